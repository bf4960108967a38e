#include "ledger.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace storm {

namespace {

constexpr uint32_t MAGIC = 0x53746F72;
constexpr size_t HEADER = 16;
constexpr uint8_t FILLING = 0x5A;

const char *the_run = "";

}  // namespace

void name_run(const char *name)
{
    the_run = name;
}

void fail(const char *what, uint64_t one, uint64_t two)
{
    std::fprintf(stderr, "storm: %s (%#" PRIx64 ", %#" PRIx64 ")\n%s\n", what, one, two, the_run);
    std::fflush(stderr);
    std::abort();
}

uint64_t mark_of(uint64_t handle)
{
    return (handle ^ (handle >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
}

void write_message(uint8_t *bytes, size_t len, uint32_t caller, uint64_t number)
{
    if (len < HEADER) {
        std::memset(bytes, FILLING, len);
        return;
    }
    std::memcpy(bytes, &MAGIC, 4);
    std::memcpy(bytes + 4, &caller, 4);
    std::memcpy(bytes + 8, &number, 8);
    std::memset(bytes + HEADER, static_cast<uint8_t>(number), len - HEADER);
}

void Ledger::connected(sockeye_conn conn)
{
    const std::lock_guard<std::mutex> guard(lock_);
    Conn &known = conns_[conn.id];
    if (known.connected) fail("connect gave a handle twice", conn.id);
    known.connected = true;
}

void Ledger::listening(sockeye_listener door)
{
    const std::lock_guard<std::mutex> guard(lock_);
    Door &known = doors_[door.id];
    if (known.listening) fail("listen gave a handle twice", door.id);
    known.listening = true;
}

void Ledger::marked(sockeye_conn conn)
{
    const std::lock_guard<std::mutex> guard(lock_);
    conns_[conn.id].marked = true;
}

void Ledger::look(uint32_t queue, const sockeye_event *events, int32_t count)
{
    const std::lock_guard<std::mutex> guard(lock_);
    for (int32_t at = 0; at < count; at++) {
        look_at(queue, events[at]);
        if (events[at].kind != SOCKEYE_EVENT_OPENED) continue;
        for (int32_t later = at + 1; later < count; later++)
            if (events[later].conn.id == events[at].conn.id)
                fail("an event behind its OPENED in one array", events[at].conn.id);
    }
}

void Ledger::look_at(uint32_t queue, const sockeye_event &event)
{
    if (event.kind == SOCKEYE_EVENT_OPENED) return opened(queue, event);
    if (event.kind == SOCKEYE_EVENT_POSTED) return posted(queue, event);
    if (event.kind == SOCKEYE_EVENT_LISTENER_CLOSED) {
        Door &door = doors_[event.listener.id];
        if (door.closed) fail("LISTENER_CLOSED twice", event.listener.id);
        if (event.cause == 0) fail("LISTENER_CLOSED without a cause", event.listener.id);
        door.closed = true;
        door.queue = queue;
        return;
    }
    Conn &conn = conns_[event.conn.id];
    if (conn.closed) fail("an event behind CLOSED", event.conn.id, event.kind);
    if (conn.seen && conn.queue != queue) fail("an event on another queue", event.conn.id, queue);
    conn.seen = true;
    conn.queue = queue;
    if (conn.marked && event.user_data != mark_of(event.conn.id))
        fail("user_data set at OPENED is not on a later event", event.conn.id, event.user_data);
    if (event.kind == SOCKEYE_EVENT_CLOSED) {
        if (event.cause == 0) fail("CLOSED without a cause", event.conn.id);
        if (!conn.opened) conn.dialled = true;
        conn.closed = true;
        return;
    }
    if (!conn.opened) fail("an event before OPENED", event.conn.id, event.kind);
    if (event.kind == SOCKEYE_EVENT_MESSAGE || event.kind == SOCKEYE_EVENT_BYTES)
        return message(conn, event);
    if (event.kind != SOCKEYE_EVENT_WRITABLE) fail("an event of unknown kind", event.kind);
    if (event.detail == 0) fail("WRITABLE though nothing was refused", event.conn.id);
}

void Ledger::opened(uint32_t queue, const sockeye_event &event)
{
    Conn &conn = conns_[event.conn.id];
    if (conn.seen) fail("OPENED twice or too late", event.conn.id);
    conn.seen = conn.opened = true;
    conn.queue = queue;
    conn.dialled = event.listener.id == 0;
    conn.raw = event.user_data == RAW;
    if (conn.dialled) return;
    if (conn.connected) fail("a handle of connect was accepted", event.conn.id);
    const Door &door = doors_[event.listener.id];
    if (door.closed && door.queue == queue)
        fail("OPENED behind its LISTENER_CLOSED", event.conn.id, event.listener.id);
}

void Ledger::message(Conn &conn, const sockeye_event &event)
{
    messages_++;
    if (conn.raw != (event.kind == SOCKEYE_EVENT_BYTES))
        fail("bytes for a message, or the reverse", event.conn.id, event.kind);
    if (conn.raw) return;
    uint32_t magic = 0, caller = 0;
    uint64_t number = 0;
    uint8_t filling = FILLING;
    size_t at = 0;
    if (event.data_len >= HEADER) std::memcpy(&magic, event.data, 4);
    if (magic == MAGIC) {
        std::memcpy(&caller, event.data + 4, 4);
        std::memcpy(&number, event.data + 8, 8);
        if (caller >= CALLERS) fail("a message of nobody", event.conn.id, caller);
        if (number <= conn.last[caller]) fail("out of order", event.conn.id, number);
        conn.last[caller] = number;
        filling = static_cast<uint8_t>(number);
        at = HEADER;
    }
    for (; at < event.data_len; at++)
        if (event.data[at] != filling) fail("a message is not as it was sent", event.conn.id, at);
}

void Ledger::posted(uint32_t queue, const sockeye_event &event)
{
    const uint64_t caller = event.detail >> 32;
    if (caller >= CALLERS) fail("POSTED by nobody", event.detail);
    if (event.user_data != mark_of(event.detail)) fail("POSTED with wrong numbers", event.detail);
    const uint64_t number = ++posted_[caller][queue];
    if ((event.detail & UINT32_MAX) != number) fail("POSTED out of order", event.detail, number);
}

void Ledger::look_at_end(const uint64_t (&posted)[CALLERS][QUEUES_MAX]) const
{
    const std::lock_guard<std::mutex> guard(lock_);
    for (const auto &[id, conn] : conns_) {
        if (!conn.closed) fail("CLOSED never came", id);
        if (conn.dialled && !conn.connected) fail("a connection that nobody made", id);
    }
    for (const auto &[id, door] : doors_) {
        if (!door.closed) fail("LISTENER_CLOSED never came", id);
        if (!door.listening) fail("a listener that nobody made", id);
    }
    for (uint32_t caller = 0; caller < CALLERS; caller++)
        for (uint32_t queue = 0; queue < QUEUES_MAX; queue++)
            if (posted_[caller][queue] != posted[caller][queue])
                fail("a POSTED never came", posted_[caller][queue], posted[caller][queue]);
}

}  // namespace storm
