#include "secure.hpp"

namespace storm {

namespace {

/* A certificate and its key that everybody may know: it is for this program alone, and nobody
   checks it. Valid until 2126. */
const char *const CERTIFICATE =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlTCCATugAwIBAgIUKjb6GBhH4iVsFIW8ZwXIF4hGK94wCgYIKoZIzj0EAwIw\n"
    "FTETMBEGA1UEAwwKc3Rvcm0udGVzdDAgFw0yNjEyMDEwMDA1NTdaGA8yMTI2MTEw\n"
    "NzAwMDU1N1owFTETMBEGA1UEAwwKc3Rvcm0udGVzdDBZMBMGByqGSM49AgEGCCqG\n"
    "SM49AwEHA0IABNZ118cXUpQ3/VZiSqtZlT8r6tw4i4W6qIZR8gTbGAnvn6tYHDSq\n"
    "/bYcpwlZ2L1i+U7zlb2JggYd82XK4sA/FY6jZzBlMB0GA1UdDgQWBBTZ0S/UWgM7\n"
    "my+VwQEwzx8J2ChLJjAfBgNVHSMEGDAWgBTZ0S/UWgM7my+VwQEwzx8J2ChLJjAV\n"
    "BgNVHREEDjAMggpzdG9ybS50ZXN0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwID\n"
    "SAAwRQIhAPNQlwHtk+GR3SSBy0wfjmtAbWSsAVWEq02zHrqTVZr0AiAB4TAUI8q1\n"
    "8iRKgXu2BZLHFlJpVA5DNr2NlpaYOYsQPw==\n"
    "-----END CERTIFICATE-----\n";
const char *const KEY =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1b6uG8CF612/dBq/\n"
    "uLN6wPtaKAdsWTsSwLaboaIWEJahRANCAATWddfHF1KUN/1WYkqrWZU/K+rcOIuF\n"
    "uqiGUfIE2xgJ75+rWBw0qv22HKcJWdi9YvlO85W9iYIGHfNlyuLAPxWO\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace

sockeye_tls server_tls(uint32_t version)
{
    sockeye_tls tls;
    sockeye_tls_init(&tls, sizeof tls);
    tls.cert_pem = CERTIFICATE;
    tls.key_pem = KEY;
    tls.min_version = version;
    return tls;
}

sockeye_tls client_tls()
{
    sockeye_tls tls;
    sockeye_tls_init(&tls, sizeof tls);
    tls.verify = SOCKEYE_TLS_VERIFY_NONE;
    return tls;
}

}  // namespace storm
