/* TLS on standalone asio (C++17, -DASIO_STANDALONE): asio::ssl::stream, one thread, a context
   without locks. It echoes bytes unseen: async_read_some into a buffer of the connection, and
   async_write of what came. The stream itself keeps two buffers of 17 KiB beside those of OpenSSL,
   and gives one record a read. */
#include "peer_tls.h"
#include <array>
#include <asio.hpp>
#include <asio/ssl.hpp>
#include <memory>
#include <utility>

namespace {

using asio::ip::tcp;
using error = std::error_code;
using socket_type = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using listener = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

class session : public std::enable_shared_from_this<session> {
  public:
    session(socket_type socket, asio::ssl::context &context) : stream_(std::move(socket), context)
    {
    }

    void start()
    {
        stream_.async_handshake(asio::ssl::stream_base::server,
                                [self = shared_from_this()](error failed) {
                                    if (!failed) self->read();
                                });
    }

  private:
    void read()
    {
        stream_.async_read_some(asio::buffer(buffer_),
                                [self = shared_from_this()](error failed, std::size_t size) {
                                    if (!failed) self->write(size);
                                });
    }

    void write(std::size_t size)
    {
        asio::async_write(stream_, asio::buffer(buffer_, size),
                          [self = shared_from_this()](error failed, std::size_t) {
                              if (!failed) self->read();
                          });
    }

    asio::ssl::stream<socket_type> stream_;
    /* A record. */
    std::array<unsigned char, 16384> buffer_;
};

void accept_next(listener &door, asio::ssl::context &context)
{
    door.async_accept([&](error failed, socket_type socket) {
        if (!failed) {
            std::make_shared<session>(std::move(socket), context)->start();
        } else if (failed == asio::error::no_descriptors || failed == asio::error::no_memory) {
            throw std::system_error(failed, "accept");
        }
        accept_next(door, context);
    });
}

} // namespace

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", nullptr};
    struct tls_options options;
    char facts[96];
    tls_options_read(&options, argc, argv, FORMS);
    peer_start();
    thread_name("game");
    asio::io_context loop(ASIO_CONCURRENCY_HINT_UNSAFE);
    asio::ssl::context context(asio::ssl::context::tls_server);
    tls_prepare(context.native_handle(), &options);
    listener door(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    door.set_option(tcp::no_delay(true));
    door.listen(PEER_BACKLOG);
    accept_next(door, context);
    std::snprintf(facts, sizeof facts, "asio=%d.%d.%d openssl=%s", ASIO_VERSION / 100000,
                  ASIO_VERSION / 100 % 1000, ASIO_VERSION % 100,
                  OpenSSL_version(OPENSSL_VERSION_STRING));
    peer_listening(door.local_endpoint().port(), facts);
    loop.run();
}
