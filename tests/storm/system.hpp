/* What the storm asks of the system beside the library: plain sockets, what the process has. */
#ifndef SOCKEYE_STORM_SYSTEM_HPP
#define SOCKEYE_STORM_SYSTEM_HPP

#include <cstddef>
#include <cstdint>

#ifdef _WIN32
#include <winsock2.h>
#endif

namespace storm {

#ifdef _WIN32
using PlainSocket = SOCKET;
/* Handles that the compiler's runtime makes when a thread or a lock is first used. */
constexpr uint32_t FIRST_USES = 8;
constexpr PlainSocket NO_SOCKET = INVALID_SOCKET;
#else
using PlainSocket = int;
constexpr uint32_t FIRST_USES = 0;
constexpr PlainSocket NO_SOCKET = -1;
#endif

/* Before the first of them. */
void start_sockets();
/* A TCP socket that does not block and is not inherited; NO_SOCKET when there is none left. */
PlainSocket open_socket();
/* Connects on this machine. False: nobody is there, or nobody takes it in time. */
bool connect_socket(PlainSocket socket, uint32_t ip, uint16_t port);
bool send_bytes(PlainSocket socket, const uint8_t *bytes, size_t len);
/* The close resets the connection. */
void reset_at_close(PlainSocket socket);
void end_sending(PlainSocket socket);
void close_socket(PlainSocket socket);

uint32_t process_number();
/* Threads of this process. */
uint32_t thread_count();
/* Open descriptors of this process, or handles. */
uint32_t descriptor_count();

}  // namespace storm

#endif
