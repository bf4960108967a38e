/* How the storm does TLS. */
#ifndef SOCKEYE_STORM_SECURE_HPP
#define SOCKEYE_STORM_SECURE_HPP

#include "sockeye.h"

namespace storm {

sockeye_tls server_tls(uint32_t version);
sockeye_tls client_tls();

}  // namespace storm

#endif
