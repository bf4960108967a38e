/* The imports that `hooks.c` replaces. */
#ifndef SOCKEYE_TESTS_IMPORTS_H
#define SOCKEYE_TESTS_IMPORTS_H

#include "hook.h"

#ifndef SIO_TCP_INITIAL_RTO
#define SIO_TCP_INITIAL_RTO _WSAIOW(IOC_VENDOR, 17)
#endif
#ifndef SIO_KEEPALIVE_VALS
#define SIO_KEEPALIVE_VALS _WSAIOW(IOC_VENDOR, 4)
#endif

/* What was asked of the system. */
static struct {
    volatile LONG largest_send, backlog, syn_once, keepalive_interval;
} seen;

/* How `WSAEnumNetworkEvents` tells what is recorded. */
static volatile LONG fd_sets;
enum { FD_AS_IS, FD_CLOSE_ALONE, FD_ONE_BY_ONE };

/* A refusal of sends begins above so many bytes. */
#define SEND_LIMIT (16 * 1024)

HOOK(int, send, (SOCKET socket, const char *bytes, int len, int flags))
{
    if (is_refused("send")) return SOCKET_ERROR;
    return before_send(socket, bytes, len, flags);
}

HOOK(BOOL, PostQueuedCompletionStatus,
     (HANDLE port, DWORD bytes, ULONG_PTR key, LPOVERLAPPED operation))
{
    if (is_refused("PostQueuedCompletionStatus")) return FALSE;
    return before_PostQueuedCompletionStatus(port, bytes, key, operation);
}

HOOK(DWORD, QueueUserAPC, (PAPCFUNC routine, HANDLE thread, ULONG_PTR argument))
{
    if (is_refused("QueueUserAPC")) return 0;
    return before_QueueUserAPC(routine, thread, argument);
}

HOOK(int, WSAPoll, (WSAPOLLFD * sockets, ULONG count, int timeout))
{
    if (is_refused("WSAPoll")) return SOCKET_ERROR;
    return before_WSAPoll(sockets, count, timeout);
}

HOOK(int, select, (int none, fd_set *in, fd_set *out, fd_set *broken, const struct timeval *time))
{
    if (is_refused("select")) return SOCKET_ERROR;
    return before_select(none, in, out, broken, time);
}

HOOK(DWORD, WSAWaitForMultipleEvents,
     (DWORD count, const WSAEVENT *events, BOOL all, DWORD timeout, BOOL alertable))
{
    if (is_refused("WSAWaitForMultipleEvents")) return WSA_WAIT_FAILED;
    return before_WSAWaitForMultipleEvents(count, events, all, timeout, alertable);
}

HOOK(BOOL, GetQueuedCompletionStatusEx,
     (HANDLE port, LPOVERLAPPED_ENTRY entries, ULONG room, PULONG count, DWORD timeout, BOOL alert))
{
    if (is_refused("GetQueuedCompletionStatusEx")) return FALSE;
    return before_GetQueuedCompletionStatusEx(port, entries, room, count, timeout, alert);
}

HOOK(SOCKET, accept, (SOCKET listener, struct sockaddr *peer, int *len))
{
    if (is_refused("accept")) return INVALID_SOCKET;
    return before_accept(listener, peer, len);
}

HOOK(int, setsockopt, (SOCKET socket, int level, int name, const char *value, int len))
{
    if (name == SO_UPDATE_ACCEPT_CONTEXT && is_refused("SO_UPDATE_ACCEPT_CONTEXT"))
        return SOCKET_ERROR;
    return before_setsockopt(socket, level, name, value, len);
}

HOOK(int, connect, (SOCKET socket, const struct sockaddr *peer, int len))
{
    if (is_refused("connect")) return SOCKET_ERROR;
    return before_connect(socket, peer, len);
}

HOOK(int, listen, (SOCKET socket, int backlog))
{
    seen.backlog = backlog;
    return before_listen(socket, backlog);
}

HOOK(int, WSASend,
     (SOCKET socket, WSABUF *pieces, DWORD count, DWORD *sent, DWORD flags,
      WSAOVERLAPPED *operation, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine))
{
    LONG total = 0;
    for (DWORD i = 0; i < count; i++) total += (LONG)pieces[i].len;
    if (total > seen.largest_send) seen.largest_send = total;
    if (total > SEND_LIMIT && is_refused("WSASend")) return SOCKET_ERROR;
    return before_WSASend(socket, pieces, count, sent, flags, operation, routine);
}

/* Accepts in flight, so that their results are known from those of other operations. */
static LPOVERLAPPED volatile accepts[64];
static LPFN_ACCEPTEX before_AcceptEx;
static LPFN_CONNECTEX before_ConnectEx;

static BOOL WINAPI in_place_of_AcceptEx(SOCKET listener, SOCKET socket, void *room, DWORD bytes,
                                        DWORD local, DWORD peer, DWORD *count,
                                        LPOVERLAPPED operation)
{
    size_t at = 0;
    while (at < 64 && accepts[at] != operation
           && InterlockedCompareExchangePointer((void *volatile *)&accepts[at], operation, NULL)
                  != NULL)
        at++;
    return before_AcceptEx(listener, socket, room, bytes, local, peer, count, operation);
}

static BOOL WINAPI in_place_of_ConnectEx(SOCKET socket, const struct sockaddr *peer, int len,
                                         void *bytes, DWORD count, DWORD *sent,
                                         LPOVERLAPPED operation)
{
    if (is_refused("ConnectEx")) return FALSE;
    return before_ConnectEx(socket, peer, len, bytes, count, sent, operation);
}

HOOK(BOOL, WSAGetOverlappedResult,
     (SOCKET socket, LPOVERLAPPED operation, DWORD *count, BOOL waits, DWORD *flags))
{
    for (size_t at = 0; at < 64; at++) {
        if (accepts[at] != operation) continue;
        accepts[at] = NULL;
        if (is_refused("AcceptEx, late")) return FALSE;
        break;
    }
    return before_WSAGetOverlappedResult(socket, operation, count, waits, flags);
}

HOOK(int, WSAIoctl,
     (SOCKET socket, DWORD control, void *in, DWORD in_len, void *out, DWORD out_len, DWORD *count,
      LPOVERLAPPED operation, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine))
{
    const GUID accept_name = WSAID_ACCEPTEX, connect_name = WSAID_CONNECTEX;
    const int answer = before_WSAIoctl(socket, control, in, in_len, out, out_len, count, operation,
                                       routine);
    if (control == SIO_TCP_INITIAL_RTO && in_len >= 3)
        seen.syn_once = ((const unsigned char *)in)[2] == 0xfe;
    if (control == SIO_KEEPALIVE_VALS && in_len == 12)
        seen.keepalive_interval = (LONG)((const ULONG *)in)[2];
    if (answer != 0 || control != SIO_GET_EXTENSION_FUNCTION_POINTER) return answer;
    if (memcmp(in, &accept_name, sizeof accept_name) == 0) {
        before_AcceptEx = *(LPFN_ACCEPTEX *)out;
        *(LPFN_ACCEPTEX *)out = in_place_of_AcceptEx;
    } else if (memcmp(in, &connect_name, sizeof connect_name) == 0) {
        before_ConnectEx = *(LPFN_CONNECTEX *)out;
        *(LPFN_CONNECTEX *)out = in_place_of_ConnectEx;
    }
    return answer;
}

/* What an earlier call kept back, of one socket. */
static long kept;
static SOCKET keeper;

HOOK(int, WSAEnumNetworkEvents, (SOCKET socket, WSAEVENT event, WSANETWORKEVENTS *record))
{
    if (is_refused("WSAEnumNetworkEvents")) return SOCKET_ERROR;
    const int answer = before_WSAEnumNetworkEvents(socket, event, record);
    if (answer != 0 || fd_sets == FD_AS_IS) return answer;
    if (fd_sets == FD_CLOSE_ALONE && (record->lNetworkEvents & FD_CLOSE))
        record->lNetworkEvents &= ~FD_READ;
    if (fd_sets == FD_ONE_BY_ONE) {
        long all = record->lNetworkEvents | (keeper == socket ? kept : 0);
        record->lNetworkEvents = all & -all;
        keeper = socket;
        kept = all & ~record->lNetworkEvents;
        if (kept != 0) WSASetEvent(event);
    }
    return answer;
}

static void install(void)
{
    INSTALL(send);
    INSTALL(PostQueuedCompletionStatus);
    INSTALL(QueueUserAPC);
    INSTALL(WSAPoll);
    INSTALL(select);
    INSTALL(WSAWaitForMultipleEvents);
    INSTALL(GetQueuedCompletionStatusEx);
    INSTALL(accept);
    INSTALL(setsockopt);
    INSTALL(connect);
    INSTALL(listen);
    INSTALL(WSASend);
    INSTALL(WSAGetOverlappedResult);
    INSTALL(WSAIoctl);
    INSTALL(WSAEnumNetworkEvents);
}

#endif
