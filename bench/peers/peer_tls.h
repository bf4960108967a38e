/* What the peers with OpenSSL share: their options and the context. TLS 1.3, and the library's
   defaults beside that: two tickets for a handshake, as Sockeye gives. */
#ifndef BENCH_PEER_TLS_H
#define BENCH_PEER_TLS_H

#include "peer.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

/* Ends the program with what OpenSSL has to say. */
static inline void tls_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
            ERR_error_string(ERR_get_error(), NULL));
    exit(1);
}

struct tls_options {
    struct options common;
    const char *cert, *key;
};

/* Reads a command line with --form (`forms` ends with NULL), --job echo, --cert and --key. */
static inline void tls_options_read(struct tls_options *options, int argc, char **argv,
                                    const char *const *forms)
{
    memset(options, 0, sizeof *options);
    options_init(&options->common);
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && !strcmp(argv[i], "--form")) {
            options->common.form = value;
        } else if (value && !strcmp(argv[i], "--cert")) {
            options->cert = value;
        } else if (value && !strcmp(argv[i], "--key")) {
            options->key = value;
        } else if (option_take(&options->common, argv[i], value) != 2) {
            usage(argv[i], forms);
        }
    }
    const char *const *form = forms;
    while (*form && strcmp(*form, options->common.form) != 0) form++;
    if (!*form) usage(options->common.form, forms);
    if (options->common.job != JOB_ECHO) usage("it has --job echo alone", forms);
    if (!options->cert || !options->key) usage("--cert FILE and --key FILE are missing", forms);
}

/* Prepares a context that a library made. */
static inline void tls_prepare(SSL_CTX *context, const struct tls_options *options)
{
    if (!SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)) tls_die("version");
    /* Tickets hold their sessions themselves. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1) tls_die(options->cert);
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
        tls_die(options->key);
}

#endif
