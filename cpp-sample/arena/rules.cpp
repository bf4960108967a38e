#include "rules.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace arena {
namespace {

// "10.0.0.0/8", or an address alone: all bits of it.
bool read_prefix(const std::string &words, sockeye_guard_rule &rule)
{
    const size_t slash = words.find('/');
    sockeye::address address;
    if (!sockeye::address::parse(words.substr(0, slash), address)) return false;
    rule.address = address;
    rule.prefix_bits = address.family == 4 ? 32 : 128;
    if (slash == std::string::npos) return true;
    char *end = nullptr;
    const unsigned long bits = std::strtoul(words.c_str() + slash + 1, &end, 10);
    if (end == words.c_str() + slash + 1 || *end != '\0' || bits > rule.prefix_bits) return false;
    rule.prefix_bits = static_cast<uint32_t>(bits);
    return true;
}

} // namespace

bool load_rules(sockeye::net_ref net, const std::string &file, std::string &said)
{
    std::ifstream in(file);
    if (!in) return said = "cannot read " + file, false;
    std::vector<sockeye_guard_rule> rules;
    std::string line;
    for (int number = 1; std::getline(in, line); number++) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string action, prefix, more;
        if (!(words >> action)) continue;
        sockeye_guard_rule rule{};
        rule.action = action == "allow" ? SOCKEYE_GUARD_ALLOW : SOCKEYE_GUARD_DENY;
        const bool known = action == "allow" || action == "deny";
        if (!known || !(words >> prefix) || words >> more || !read_prefix(prefix, rule))
            return said = file + ":" + std::to_string(number) + ": not a rule: " + line, false;
        rules.push_back(rule);
    }
    // All at once: a peer meets the old rules or the new ones.
    const sockeye::status set = net.guard_set(rules.data(), rules.size());
    if (!set) return said = sockeye::last_error(), false;
    return said = std::to_string(rules.size()) + " rules", true;
}

} // namespace arena
