// Who may connect: a file with a rule in each line, "allow 10.0.0.0/8" or "deny 203.0.113.7".
#pragma once

#include <string>

#include "sockeye.hpp"

namespace arena {

// Replaces the guard's rules by those of a file. Says how many there are; or what is wrong, and the
// old rules stay.
bool load_rules(sockeye::net_ref net, const std::string &file, std::string &said);

// How many bits of an address are one machine's: an IPv6 one has its whole /64.
inline uint32_t bits_of(const sockeye::address &address) { return address.family == 4 ? 32 : 64; }

} // namespace arena
