#include "system.hpp"

#include "ledger.hpp"

#ifdef _WIN32
#include <windows.h>

#include <tlhelp32.h>
#else
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace storm {

bool connect_socket(PlainSocket socket, uint32_t ip, uint16_t port)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(ip);
    // On Unix it is connected when the call returns, or never; on Windows only soon.
    if (::connect(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
        return true;
#ifdef _WIN32
    fd_set writable;
    FD_ZERO(&writable);
    FD_SET(socket, &writable);
    timeval patience = {0, 50000};
    return select(0, nullptr, &writable, nullptr, &patience) == 1;
#else
    return false;
#endif
}

void reset_at_close(PlainSocket socket)
{
    struct linger reset = {};
    reset.l_onoff = 1;
    setsockopt(socket, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char *>(&reset),
               sizeof reset);
}

#ifdef _WIN32

void start_sockets()
{
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0) fail("no Winsock");
    // The first one opens what the process keeps.
    const PlainSocket socket = open_socket();
    if (socket == NO_SOCKET) fail("no socket");
    connect_socket(socket, 127u << 24 | 1, 1);
    close_socket(socket);
}

PlainSocket open_socket()
{
    const PlainSocket socket =
        WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    u_long yes = 1;
    if (socket != NO_SOCKET) ioctlsocket(socket, static_cast<long>(FIONBIO), &yes);
    return socket;
}

bool send_bytes(PlainSocket socket, const uint8_t *bytes, size_t len)
{
    const char *const text = reinterpret_cast<const char *>(bytes);
    return ::send(socket, text, static_cast<int>(len), 0) >= 0;
}

void end_sending(PlainSocket socket)
{
    ::shutdown(socket, SD_SEND);
}

void close_socket(PlainSocket socket)
{
    closesocket(socket);
}

uint32_t process_number()
{
    return GetCurrentProcessId();
}

uint32_t thread_count()
{
    uint32_t count = 0;
    const HANDLE list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (list == INVALID_HANDLE_VALUE) fail("no list of threads");
    THREADENTRY32 entry = {};
    entry.dwSize = sizeof entry;
    for (BOOL more = Thread32First(list, &entry); more; more = Thread32Next(list, &entry))
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    CloseHandle(list);
    return count;
}

/* Handles are multiples of four, and the storm has not so many. */
uint32_t descriptor_count()
{
    uint32_t count = 0;
    for (uintptr_t at = 4; at < 4 * 16384; at += 4) {
        DWORD flags;
        count += GetHandleInformation(reinterpret_cast<HANDLE>(at), &flags) != 0;
    }
    return count;
}

#else

void start_sockets() {}

PlainSocket open_socket()
{
    return ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

bool send_bytes(PlainSocket socket, const uint8_t *bytes, size_t len)
{
    return ::send(socket, bytes, len, MSG_NOSIGNAL) >= 0;
}

void end_sending(PlainSocket socket)
{
    ::shutdown(socket, SHUT_WR);
}

void close_socket(PlainSocket socket)
{
    ::close(socket);
}

uint32_t process_number()
{
    return static_cast<uint32_t>(getpid());
}

static uint32_t entries(const char *folder)
{
    uint32_t count = 0;
    DIR *const dir = opendir(folder);
    if (dir == nullptr) fail("no /proc");
    while (const dirent *const entry = readdir(dir)) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

uint32_t thread_count()
{
    return entries("/proc/self/task");
}

uint32_t descriptor_count()
{
    return entries("/proc/self/fd");
}

#endif

}  // namespace storm
