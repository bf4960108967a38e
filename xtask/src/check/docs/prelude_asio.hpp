// What a fragment with asio may take for granted.
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using asio::ip::tcp;
static asio::io_context context(1);
static tcp::socket peer(context);
static asio::steady_timer timer(context);
static std::string message;

void tick();
void wake();
void closed(std::error_code failed);
