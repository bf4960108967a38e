// What a C++ fragment of the documentation may take for granted.
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "sockeye.hpp"

static sockeye::net net;
static sockeye::listener door;
static sockeye::conn conn;
static sockeye::batch<> events;
static sockeye::status status;

// The host's own.
void simulate();
void player_input(uint64_t user_data, std::string_view text);
