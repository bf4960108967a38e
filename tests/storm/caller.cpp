#include "caller.hpp"

#include "secure.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace storm {

namespace {

constexpr size_t MESSAGE_MAX = 24000;
constexpr uint32_t FRAME_MAX = 20000;
constexpr size_t HELD_MAX = 16;
constexpr size_t SOCKETS_MAX = 6;
constexpr int32_t EVENTS = 64;

const char *const QUERIES[DOORS] = {
    "?frame=u16be",
    "?frame=u32le&max=20000",
    "?frame=varint&max=20000",
    "?frame=raw",
    "?frame=u16be",
};
/* What the peers of a stranger cannot take for a frame, where there is such a thing. */
const uint8_t GARBAGE[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
/* A small frame of filling for each framing, and what a handshake begins with. */
const uint8_t SMALL[DOORS][6] = {
    {0, 2, 0x5A, 0x5A, 0, 0}, {1, 0, 0, 0, 0x5A, 0}, {1, 0x5A, 1, 0x5A, 0, 0},
    {0x5A, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A},
    /* The beginning of a hello that never comes. */
    {22, 3, 1, 2, 0, 1}};
const size_t SMALL_LEN[DOORS] = {6, 5, 4, 6, 6};

/* Lines that the library told, and how many came after their function was taken away. */
std::atomic<uint64_t> lines{0};

void write_url(char (&url)[80], uint32_t at, uint32_t port)
{
    const uint32_t ip = World::address_of(at);
    std::snprintf(url, sizeof url, "%s://%u.%u.%u.%u:%u%s", at == DOOR_TLS ? "tls" : "tcp",
                  ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, port, QUERIES[at]);
}

void count_line(void *user, uint32_t, const char *text)
{
    if (user == nullptr || text == nullptr) fail("a line without its user");
    lines.fetch_add(std::strlen(text) > 0, std::memory_order_relaxed);
}

}  // namespace

uint32_t World::address_of(uint32_t at)
{
    const uint32_t process = process_number();
    return 127u << 24 | (1 + process / 250 % 250) << 16 | (1 + process % 250) << 8 | (1 + at);
}

uint64_t Random::next()
{
    state_ += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

Caller::Caller(World &world, uint32_t number, uint64_t seed)
    : world_(world), number_(number), random_(seed), message_(MESSAGE_MAX)
{
}

Caller::~Caller()
{
    for (const PlainSocket socket : sockets_) close_socket(socket);
}

void Caller::allow(const char *call, int32_t answer, std::initializer_list<int32_t> allowed)
{
    if (answer == SOCKEYE_ERR_SHUTDOWN && world_.ending.load()) return;
    for (const int32_t one : allowed)
        if (answer == one || (one == SOCKEYE_OK && answer > 0)) return;
    std::fprintf(stderr, "storm: %s answered %d, %s\n", call, answer, sockeye_status_text(answer));
    fail("an answer that its comment does not name");
}

void Caller::run()
{
    while (!world_.over.load()) call();
    begin("the end");
}

void Caller::call()
{
    const uint32_t which = random_.below(100);
    if (which < 30) {
        poll(random_.below(world_.queues), random_.pick({0, 0, 0, 1, 3}));
    } else if (which < 80) {
        call_conn(which - 30);
    } else {
        call_net(which - 80);
    }
}

/* Calls on connections: `which` is below 50. */
void Caller::call_conn(uint32_t which)
{
    const sockeye_conn conn = any_conn();
    const int32_t stale = SOCKEYE_ERR_STALE;
    if (which < 26) {
        send(conn);
    } else if (which < 30) {
        send_many();
    } else if (which < 34) {
        if (random_.chance(25)) close(conn);
    } else if (which < 38) {
        begin("sockeye_conn_pause");
        const int32_t answer = sockeye_conn_pause(world_.net, conn);
        if (invented_) return allow("pause of nobody", answer, {stale});
        allow("sockeye_conn_pause", answer, {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, stale});
    } else if (which < 45) {
        begin("sockeye_conn_resume");
        const int32_t answer = sockeye_conn_resume(world_.net, conn);
        if (invented_) return allow("resume of nobody", answer, {stale});
        allow("sockeye_conn_resume", answer, {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, stale});
    } else if (which < 47) {
        sockeye_conn_info info;
        const int32_t known = sockeye_conn_get_info(world_.net, conn, &info, sizeof info);
        // Before its OPENED is handled it keeps the number of its door.
        if (known >= 0 && info.user_data != mark_of(conn.id)) return;
        begin("sockeye_conn_set_user_data");
        const int32_t answer = sockeye_conn_set_user_data(world_.net, conn, mark_of(conn.id));
        if (invented_) return allow("user data of nobody", answer, {stale});
        allow("sockeye_conn_set_user_data", answer, {SOCKEYE_OK, stale});
    } else {
        ask(conn);
    }
}

/* Calls on the net and its doors: `which` is below 20. */
void Caller::call_net(uint32_t which)
{
    const uint32_t queue = random_.below(world_.queues);
    switch (which) {
    case 0: return listen();
    case 1: case 2: case 3: case 4: return connect();
    case 5: return random_.chance(20) ? close_door() : listen();
    case 6: case 7:
        begin("sockeye_flush");
        return allow("sockeye_flush", sockeye_flush(world_.net), {SOCKEYE_OK});
    case 8:
        begin("sockeye_queue_flush");
        allow("sockeye_queue_flush", sockeye_queue_flush(world_.net, queue), {SOCKEYE_OK});
        return allow("flush of no queue", sockeye_queue_flush(world_.net, 77),
                     {SOCKEYE_ERR_INVALID});
    case 9: case 10: return post();
    case 11: case 12: return acquire();
    case 13: return log();
    case 14: case 15: return ask_net();
    case 16: case 17: case 18: return stranger();
    default: break;
    }
    if (world_.ending.load() && random_.chance(20)) {
        begin("sockeye_shutdown");
        return allow("sockeye_shutdown", sockeye_shutdown(world_.net, 50), {SOCKEYE_OK});
    }
    if (!world_.handles_waited) return release();
    intptr_t handle = -1;
    begin("sockeye_wait_handle");
    allow("sockeye_wait_handle", sockeye_wait_handle(world_.net, queue, &handle),
          {SOCKEYE_OK, SOCKEYE_ERR_UNSUPPORTED, SOCKEYE_ERR_BUSY});
    begin("sockeye_wait_port");
    allow("sockeye_wait_port", sockeye_wait_port(world_.net, queue, 0, 1),
          {SOCKEYE_OK, SOCKEYE_ERR_UNSUPPORTED, SOCKEYE_ERR_BUSY});
}

sockeye_conn Caller::any_conn()
{
    sockeye_conn conn = {0};
    for (int tries = 0; conn.id == 0 && tries < 8; tries++)
        conn.id = world_.conns[random_.below(HANDLES)].load();
    invented_ = conn.id == 0 || random_.chance(4);
    if (invented_) conn.id = random_.pick({random_.next(), UINT64_C(0), UINT64_MAX});
    return conn;
}

size_t Caller::any_len()
{
    const uint32_t most = random_.pick({8u, 40u, 40u, 300u, 3000u, 15000u, uint32_t{MESSAGE_MAX}});
    return random_.below(most);
}

const uint8_t *Caller::new_message(size_t len)
{
    write_message(message_.data(), len, number_, ++messages_);
    return message_.data();
}

void Caller::listen()
{
    const uint32_t at = random_.below(DOORS);
    const sockeye_tls tls =
        server_tls(random_.pick({uint32_t{SOCKEYE_TLS12}, uint32_t{SOCKEYE_TLS13}}));
    const uint64_t there = world_.doors[at].load();
    if (there != 0 && at == DOOR_TLS) {
        begin("sockeye_listener_set_tls");
        const sockeye_listener door = {there};
        allow("sockeye_listener_set_tls", sockeye_listener_set_tls(world_.net, door, &tls),
              {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, SOCKEYE_ERR_STALE});
    }
    if (there != 0 && !random_.chance(5)) return;
    sockeye_endpoint endpoint;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.queue = random_.chance(50) ? SOCKEYE_QUEUE_SPREAD : random_.below(world_.queues);
    endpoint.outbox_max_bytes = random_.pick({4096u, 65536u, 1u << 20});
    endpoint.outbox_max_messages = random_.pick({4u, 65536u});
    endpoint.linger_ms = random_.pick({0u, 20u, 500u});
    endpoint.user_data = at == DOOR_RAW ? RAW : 0;
    endpoint.gate_reads = random_.chance(20);
    endpoint.idle_timeout_ms = random_.chance(10) ? 100 : 0;
    endpoint.first_byte_timeout_ms = random_.chance(10) ? 50 : 0;
    endpoint.send_buffer_bytes = random_.pick({0u, 8192u});
    if (at == DOOR_TLS) endpoint.tls = &tls;
    endpoint.handshake_timeout_ms = random_.pick({50u, 5000u});
    if (at != DOOR_RAW)
        endpoint.overflow = random_.pick({0u, 0u, uint32_t{SOCKEYE_OVERFLOW_DROP_OLDEST},
                                          uint32_t{SOCKEYE_OVERFLOW_CLOSE}});
    char url[80];
    write_url(url, at, 0);
    sockeye_listener door = {0};
    begin("sockeye_listen");
    const int32_t answer = sockeye_listen(world_.net, url, &endpoint, &door);
    allow("sockeye_listen", answer, {SOCKEYE_OK, SOCKEYE_ERR_LIMIT});
    if (answer < 0) return;
    world_.ledger.listening(door);
    sockeye_listener_info info;
    begin("sockeye_listener_get_info");
    const int32_t told = sockeye_listener_get_info(world_.net, door, &info, sizeof info);
    allow("sockeye_listener_get_info", told, {SOCKEYE_OK, SOCKEYE_ERR_STALE});
    if (told < 0) return;
    world_.ports[at].store(info.port);
    const uint64_t before = world_.doors[at].exchange(door.id);
    if (before != 0) sockeye_listener_close(world_.net, sockeye_listener{before});
}

void Caller::close_door()
{
    const sockeye_listener door = {world_.doors[random_.below(DOORS)].load()};
    begin("sockeye_listener_close");
    allow("sockeye_listener_close", sockeye_listener_close(world_.net, door),
          {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, SOCKEYE_ERR_STALE});
    allow("close of no door", sockeye_listener_close(world_.net, sockeye_listener{random_.next()}),
          {SOCKEYE_ERR_STALE});
}

void Caller::connect()
{
    const uint32_t at = random_.below(DOORS);
    // Now and then where nobody listens.
    const uint32_t port = random_.chance(5) ? 1 : world_.ports[at].load();
    if (port == 0) return;
    sockeye_endpoint endpoint;
    sockeye_endpoint_init(&endpoint, sizeof endpoint);
    endpoint.queue = random_.below(world_.queues);
    endpoint.outbox_max_bytes = random_.pick({8192u, 1u << 20});
    endpoint.linger_ms = random_.pick({0u, 20u, 500u});
    endpoint.user_data = at == DOOR_RAW ? RAW : 0;
    endpoint.connect_timeout_ms = random_.pick({50u, 5000u});
    const sockeye_tls tls = client_tls();
    if (at == DOOR_TLS) endpoint.tls = &tls;
    endpoint.handshake_timeout_ms = random_.pick({50u, 5000u});
    char url[80];
    write_url(url, at, port);
    sockeye_conn conn = {0};
    begin("sockeye_connect");
    const int32_t answer = sockeye_connect(world_.net, url, &endpoint, &conn);
    allow("sockeye_connect", answer, {SOCKEYE_OK, SOCKEYE_ERR_LIMIT});
    if (answer < 0) return;
    world_.ledger.connected(conn);
    world_.conns[random_.below(HANDLES)].store(conn.id);
}

void Caller::send(sockeye_conn conn)
{
    for (uint32_t left = random_.pick({1u, 1u, 1u, 8u}); left > 0; left--) {
        const size_t len = any_len();
        begin("sockeye_send");
        const int32_t answer = sockeye_send(world_.net, conn, new_message(len), len);
        if (invented_) {
            allow("send to nobody", answer, {SOCKEYE_ERR_STALE});
        } else if (len + 5 > FRAME_MAX || len > 4000) {
            allow("sockeye_send", answer, {SOCKEYE_OK, SOCKEYE_ERR_AGAIN, SOCKEYE_ERR_CLOSED,
                                           SOCKEYE_ERR_STALE, SOCKEYE_ERR_TOO_BIG});
        } else {
            allow("sockeye_send", answer, {SOCKEYE_OK, SOCKEYE_ERR_AGAIN, SOCKEYE_ERR_CLOSED,
                                           SOCKEYE_ERR_STALE});
        }
    }
}

void Caller::send_many()
{
    sockeye_conn conns[8];
    sockeye_status each[8];
    uint32_t count = 0;
    for (uint32_t left = random_.below(9); left > 0; left--) {
        const sockeye_conn conn = any_conn();
        const auto same = [conn](const sockeye_conn &other) { return other.id == conn.id; };
        // Who is named twice gets it twice.
        if (std::none_of(conns, conns + count, same)) conns[count++] = conn;
    }
    const size_t len = any_len();
    begin("sockeye_send_many");
    const int32_t taken =
        sockeye_send_many(world_.net, conns, count, new_message(len), len, each);
    allow("sockeye_send_many", taken, {SOCKEYE_OK, SOCKEYE_ERR_NO_MEMORY});
    if (taken < 0) return;
    int32_t sum = 0;
    for (uint32_t at = 0; at < count; at++) {
        sum += each[at] >= 0;
        allow("one of send_many", each[at], {SOCKEYE_OK, SOCKEYE_ERR_AGAIN, SOCKEYE_ERR_CLOSED,
                                             SOCKEYE_ERR_STALE, SOCKEYE_ERR_TOO_BIG});
    }
    if (sum != taken) fail("send_many counts wrong", static_cast<uint64_t>(sum), count);
}

void Caller::close(sockeye_conn conn)
{
    const uint32_t how = random_.pick({SOCKEYE_CLOSE_GRACEFUL, SOCKEYE_CLOSE_RESET});
    if (random_.chance(50)) {
        begin("sockeye_close");
        const int32_t answer = sockeye_close(world_.net, conn, how);
        if (invented_) return allow("close of nobody", answer, {SOCKEYE_ERR_STALE});
        return allow("sockeye_close", answer, {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, SOCKEYE_ERR_STALE});
    }
    const size_t len = any_len();
    begin("sockeye_close_with");
    const int32_t answer = sockeye_close_with(world_.net, conn, how, new_message(len), len);
    if (invented_) return allow("close of nobody", answer, {SOCKEYE_ERR_STALE});
    allow("sockeye_close_with", answer,
          {SOCKEYE_OK, SOCKEYE_ERR_CLOSED, SOCKEYE_ERR_STALE, SOCKEYE_ERR_TOO_BIG,
           SOCKEYE_ERR_NO_MEMORY});
}

void Caller::ask(sockeye_conn conn)
{
    sockeye_conn_info info;
    sockeye_conn_stats stats[2];
    const sockeye_conn both[2] = {conn, {random_.next()}};
    begin("sockeye_conn_get_info");
    allow("sockeye_conn_get_info", sockeye_conn_get_info(world_.net, conn, &info, sizeof info),
          {SOCKEYE_OK, SOCKEYE_ERR_STALE});
    begin("sockeye_conn_get_stats");
    allow("sockeye_conn_get_stats", sockeye_conn_get_stats(world_.net, conn, stats, sizeof *stats),
          {SOCKEYE_OK, SOCKEYE_ERR_STALE});
    begin("sockeye_conns_get_stats");
    allow("sockeye_conns_get_stats",
          sockeye_conns_get_stats(world_.net, both, 2, stats, sizeof *stats), {SOCKEYE_OK});
}

void Caller::ask_net()
{
    sockeye_net_info info;
    sockeye_net_stats stats;
    begin("sockeye_net_get_info");
    allow("sockeye_net_get_info", sockeye_net_get_info(world_.net, &info, sizeof info),
          {SOCKEYE_OK});
    begin("sockeye_net_get_stats");
    allow("sockeye_net_get_stats", sockeye_net_get_stats(world_.net, &stats, sizeof stats),
          {SOCKEYE_OK});
    const uint32_t most = info.connections_max + info.lingering_max;
    if (stats.connections > most) fail("too many connections", stats.connections);
    sockeye_event event;
    allow("poll of no queue", sockeye_queue_poll_events(world_.net, 77, &event, 1, 0),
          {SOCKEYE_ERR_INVALID});
}

void Caller::post()
{
    const uint32_t queue = random_.below(world_.queues);
    const uint64_t detail = uint64_t{number_} << 32 | (posted[queue] + 1);
    begin("sockeye_post");
    const int32_t answer = sockeye_post(world_.net, queue, detail, mark_of(detail));
    allow("sockeye_post", answer, {SOCKEYE_OK, SOCKEYE_ERR_AGAIN});
    posted[queue] += answer >= 0;
}

void Caller::acquire()
{
    if (held_.size() >= HELD_MAX) return release();
    const uint32_t len = 1 + random_.below(50000);
    Held held = {};
    begin("sockeye_buffer_acquire");
    const int32_t answer = sockeye_buffer_acquire(world_.net, len, &held.buffer);
    allow("sockeye_buffer_acquire", answer, {SOCKEYE_OK, SOCKEYE_ERR_NO_MEMORY});
    if (answer < 0) return;
    const uint8_t filling = static_cast<uint8_t>(random_.next());
    std::memset(held.buffer.data, filling, len);
    held.bytes.assign(len, filling);
    held_.push_back(std::move(held));
}

/* Held bytes are as they were, and go back. */
void Caller::release()
{
    for (Held &held : held_) {
        if (std::memcmp(held.buffer.data, held.bytes.data(), held.bytes.size()) != 0)
            fail("held bytes have changed", held.bytes.size());
        begin("sockeye_buffer_release");
        if (sockeye_buffer_release(&held.buffer) != SOCKEYE_OK) fail("a release is refused");
    }
    held_.clear();
}

void Caller::log()
{
    begin("sockeye_set_log");
    const bool on = random_.chance(50);
    const uint32_t level = random_.below(4);
    allow("sockeye_set_log", sockeye_set_log(world_.net, on ? count_line : nullptr, this, level),
          {SOCKEYE_OK});
}

/* A peer with a plain socket: it says something that is a frame or is none, and leaves. */
void Caller::stranger()
{
    begin("a stranger");
    if (sockets_.size() >= SOCKETS_MAX || (!sockets_.empty() && random_.chance(50))) {
        const PlainSocket socket = sockets_.back();
        sockets_.pop_back();
        if (random_.chance(30)) reset_at_close(socket);
        if (random_.chance(20)) end_sending(socket);
        return close_socket(socket);
    }
    const uint32_t at = random_.below(DOORS);
    const PlainSocket socket = open_socket();
    if (socket == NO_SOCKET) return;
    const auto port = static_cast<uint16_t>(world_.ports[at].load());
    // Not connected: a write tells.
    if (!connect_socket(socket, World::address_of(at), port) && random_.chance(50))
        return close_socket(socket);
    const bool garbage = at == 1 || at == 2 || at == DOOR_TLS ? random_.chance(20) : false;
    const uint8_t *bytes = garbage ? GARBAGE : SMALL[at];
    const size_t len = random_.below(static_cast<uint32_t>(garbage ? 8 : SMALL_LEN[at]) + 1);
    if (!send_bytes(socket, bytes, len) && random_.chance(50)) return close_socket(socket);
    sockets_.push_back(socket);
}

bool Caller::poll(uint32_t queue, int32_t timeout_ms)
{
    const std::unique_lock<std::mutex> batch(world_.batches[queue], std::try_to_lock);
    if (!batch) return true;
    invented_ = false;
    sockeye_event events[EVENTS];
    const int32_t cap = random_.pick({1, 3, EVENTS, EVENTS});
    begin("sockeye_queue_poll_events");
    const int32_t count =
        queue == 0 && random_.chance(50)
            ? sockeye_poll_events(world_.net, events, cap, timeout_ms)
            : sockeye_queue_poll_events(world_.net, queue, events, cap, timeout_ms);
    // Who asks for a wait handle is inside for a moment.
    if (count == SOCKEYE_ERR_BUSY && world_.handles_waited) return true;
    allow("poll", count, {SOCKEYE_OK});
    check_dying(queue);
    if (count < 0) return false;
    if (count > cap) fail("more events than there is room for", static_cast<uint64_t>(count));
    world_.ledger.look(queue, events, count);
    for (int32_t at = 0; at < count; at++) handle(events[at]);
    for (int32_t at = 0; at < count; at++)
        if (events[at].kind == SOCKEYE_EVENT_CLOSED)
            world_.dying[queue].push_back(events[at].conn);
    return true;
}

/* The batch in which these were closed is over. */
void Caller::check_dying(uint32_t queue)
{
    for (const sockeye_conn conn : world_.dying[queue]) {
        allow("close behind the batch", sockeye_close(world_.net, conn, SOCKEYE_CLOSE_RESET),
              {SOCKEYE_ERR_STALE});
        sockeye_conn_info info;
        if (sockeye_conn_get_info(world_.net, conn, &info, sizeof info) != SOCKEYE_ERR_STALE)
            fail("a handle lives behind its batch", conn.id);
    }
    world_.dying[queue].clear();
}

void Caller::handle(const sockeye_event &event)
{
    const sockeye_conn conn = event.conn;
    switch (event.kind) {
    case SOCKEYE_EVENT_OPENED: {
        begin("sockeye_conn_set_user_data");
        const int32_t answer = sockeye_conn_set_user_data(world_.net, conn, mark_of(conn.id));
        allow("user data at OPENED", answer, {SOCKEYE_OK});
        if (answer >= 0) world_.ledger.marked(conn);
        world_.conns[random_.below(HANDLES)].store(conn.id);
        break;
    }
    case SOCKEYE_EVENT_MESSAGE:
    case SOCKEYE_EVENT_BYTES:
        if (event.data_len > 0 && random_.chance(10)) hold(event);
        if (random_.chance(30)) send(conn);
        break;
    case SOCKEYE_EVENT_CLOSED:
        // Mostly forgotten, so that most calls are on connections that live.
        for (std::atomic<uint64_t> &known : world_.conns) {
            uint64_t id = conn.id;
            if (!random_.chance(5)) known.compare_exchange_strong(id, 0);
        }
        if (random_.chance(50)) send(conn);
        if (random_.chance(20)) ask(conn);
        break;
    case SOCKEYE_EVENT_WRITABLE: send(conn); break;
    default: break;
    }
}

void Caller::hold(const sockeye_event &event)
{
    if (held_.size() >= HELD_MAX) release();
    Held held = {};
    begin("sockeye_event_hold");
    const int32_t answer = sockeye_event_hold(world_.net, &event, &held.buffer);
    allow("sockeye_event_hold", answer, {SOCKEYE_OK, SOCKEYE_ERR_NO_MEMORY});
    if (answer < 0) return;
    if (held.buffer.data_len != event.data_len) fail("a held message of another size");
    held.bytes.assign(event.data, event.data + event.data_len);
    held_.push_back(std::move(held));
}

}  // namespace storm
