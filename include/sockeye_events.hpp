#ifndef SOCKEYE_EVENTS_HPP
#define SOCKEYE_EVENTS_HPP

/*
 * Connections, listeners, and the events that are reported of them. sockeye.hpp includes this, and
 * has the rules.
 */

#include "sockeye_values.hpp"

namespace sockeye {

// --- Connections and listeners -------------------------------------------------------------------

/// A connection: a handle with the calls on it.
class conn {
public:
    conn() noexcept : net_(nullptr), id_() {}
    conn(sockeye_net *net, sockeye_conn id) noexcept : net_(net), id_(id) {}

    sockeye_conn id() const noexcept { return id_; }
    /// A small number for arrays, reused after the batch with CLOSED.
    uint32_t index() const noexcept { return sockeye_conn_index(id_); }
    explicit operator bool() const noexcept { return id_.id != 0; }
    friend bool operator==(conn a, conn b) noexcept { return a.id_.id == b.id_.id; }
    friend bool operator!=(conn a, conn b) noexcept { return a.id_.id != b.id_.id; }

    /// One message, whole or not at all. ERR_AGAIN is followed by a `writable`.
    status send(bytes data) const noexcept { return sockeye_send(net_, id_, data.data, data.len); }
    status send(const message_parts &message) const noexcept
    {
        sockeye_status each = SOCKEYE_OK;
        const sockeye_status taken = sockeye_send_message(net_, &id_, 1, &message, &each);
        return taken < 0 ? taken : each;
    }
    /// The bytes committed, without a copy of them. They are not written to afterwards.
    status send(const buffer &message) const noexcept
    {
        const bytes all[] = {{message.data(), message.size()}};
        return send(message_parts(all).from(message));
    }
    /// One message in a lane, where the connection has lanes; else as `send`.
    status send_lane(uint32_t lane, bytes data) const noexcept
    { return sockeye_send_lane(net_, id_, lane, data.data, data.len); }
    status send_parts(std::initializer_list<bytes> parts) const noexcept
    { return send(message_parts(parts.begin(), parts.size())); }
    /// Closes it; `how` is a `sockeye_close_how`.
    status close(uint32_t how = SOCKEYE_CLOSE_GRACEFUL) const noexcept
    { return sockeye_close(net_, id_, how); }
    status close_with(bytes last, uint32_t how = SOCKEYE_CLOSE_GRACEFUL) const noexcept
    { return sockeye_close_with(net_, id_, how, last.data, last.len); }
    status pause() const noexcept { return sockeye_conn_pause(net_, id_); }
    status resume() const noexcept { return sockeye_conn_resume(net_, id_); }
    /// Gives it another endpoint, and where it stands between two messages (`step`) another framing
    /// and bytes that come in front of what was not delivered.
    status configure(const sockeye_endpoint &with, bytes unread = {}) const noexcept
    { return sockeye_conn_configure(net_, id_, &with, unread.data, unread.len); }
    /// Whether the host has not closed it, and its last batch is not over.
    bool is_open() const noexcept { return sockeye_conn_is_open(net_, id_) > 0; }
    status set_user_data(uint64_t number) const noexcept
    { return sockeye_conn_set_user_data(net_, id_, number); }
    /// The same with a pointer, which `event::user` gives back.
    status set_user(const void *pointer) const noexcept
    { return set_user_data(reinterpret_cast<uintptr_t>(pointer)); }
    status set_queue(uint32_t queue) const noexcept
    { return sockeye_conn_set_queue(net_, id_, queue); }
    /// The descriptor of its socket, to look at. The library's.
    status native(intptr_t &out) const noexcept { return sockeye_conn_native(net_, id_, &out); }
    /// Takes its socket out of the net, with what is on its way in and out.
    ///
    /// Ownership: OK moves the socket to the caller.
    status release_socket(intptr_t &handle, buffer &unread, buffer &unsent) const noexcept
    {
        sockeye_buffer in, out;
        const status done = sockeye_conn_release(net_, id_, &handle, &in, &out);
        if (done) {
            unread = buffer(in);
            unsent = buffer(out);
        }
        return done;
    }
    status info(sockeye_conn_info &out) const noexcept
    { return sockeye_conn_get_info(net_, id_, &out, sizeof out); }
    /// What the system has measured of the way to the peer.
    status tcp_info(sockeye_tcp_info &out) const noexcept
    { return sockeye_conn_get_tcp_info(net_, id_, &out, sizeof out); }
    /// What the ends of a TLS connection agreed on.
    status tls_info(sockeye_tls_info &out) const noexcept
    { return sockeye_conn_get_tls(net_, id_, &out, sizeof out); }
    /// What a WebSocket has agreed on.
    status web_info(sockeye_web_info &out) const noexcept
    { return sockeye_conn_get_web(net_, id_, &out, sizeof out); }
    /// What is known of the path of a connection with lanes.
    status lanes_info(sockeye_lanes_info &out) const noexcept
    { return sockeye_conn_get_lanes(net_, id_, &out, sizeof out); }
    /// Closes a WebSocket in order, with a code for the peer.
    status close_web(uint32_t code) const noexcept
    { return sockeye_close_web(net_, id_, code); }
    /// The peer's certificate in DER, or how long it is.
    status tls_certificate(void *buffer, std::size_t cap, std::size_t &len) const noexcept
    { return sockeye_conn_get_tls_certificate(net_, id_, buffer, cap, &len); }
    status stats(sockeye_conn_stats &out) const noexcept
    { return sockeye_conn_get_stats(net_, id_, &out, sizeof out); }
#if defined(SOCKEYE_HPP_THROWS)
    sockeye_conn_info info() const
    { return detail::made<sockeye_conn_info>([&](auto &out) { return info(out); }); }
    sockeye_conn_stats stats() const
    { return detail::made<sockeye_conn_stats>([&](auto &out) { return stats(out); }); }
#endif

private:
    sockeye_net *net_;
    sockeye_conn id_;
};

/// A group of connections: a handle with the calls on it. It lives until `destroy`, or as long as
/// its net.
class group {
public:
    group() noexcept : net_(nullptr), id_() {}
    group(sockeye_net *net, sockeye_group id) noexcept : net_(net), id_(id) {}

    sockeye_group id() const noexcept { return id_; }
    explicit operator bool() const noexcept { return id_.id != 0; }
    friend bool operator==(group a, group b) noexcept { return a.id_.id == b.id_.id; }
    friend bool operator!=(group a, group b) noexcept { return a.id_.id != b.id_.id; }

    status add(conn member) const noexcept { return sockeye_group_add(net_, id_, member.id()); }
    status remove(conn member) const noexcept
    { return sockeye_group_remove(net_, id_, member.id()); }
    /// How many members there are. Returns: a count.
    status count() const noexcept { return sockeye_group_count(net_, id_); }
    /// One message to all members but one. Members without room are skipped.
    status send(const message_parts &message, conn except = conn(),
                uint32_t *skipped = nullptr) const noexcept
    { return sockeye_group_send(net_, id_, except.id(), &message, skipped); }
    status send(bytes data, conn except = conn()) const noexcept
    {
        const bytes all[] = {data};
        return send(message_parts(all), except);
    }
    status stats(sockeye_group_stats &out) const noexcept
    { return sockeye_group_get_stats(net_, id_, &out, sizeof out); }
    status destroy() const noexcept { return sockeye_group_destroy(net_, id_); }

private:
    sockeye_net *net_;
    sockeye_group id_;
};

/// A listener: a handle with the calls on it. Sends, groups and stats are for `udp://`.
class listener_ref {
public:
    listener_ref() noexcept : net_(nullptr), id_() {}
    listener_ref(sockeye_net *net, sockeye_listener id) noexcept : net_(net), id_(id) {}

    sockeye_listener id() const noexcept { return id_; }
    explicit operator bool() const noexcept { return id_.id != 0; }
    friend bool operator==(listener_ref a, listener_ref b) noexcept { return a.id_.id == b.id_.id; }
    friend bool operator!=(listener_ref a, listener_ref b) noexcept { return a.id_.id != b.id_.id; }

    status close() const noexcept { return sockeye_listener_close(net_, id_); }
    /// Takes its socket out of the net. Ownership: OK moves the socket to the caller.
    status release_socket(intptr_t &handle) const noexcept
    { return sockeye_listener_release(net_, id_, &handle); }
    status send_to(const sockeye_address &to, bytes data) const noexcept
    { return sockeye_send_to(net_, id_, &to, data.data, data.len); }
    status join(const sockeye_address &group, uint32_t interface_index = 0) const noexcept
    { return sockeye_listener_join(net_, id_, &group, interface_index); }
    status leave(const sockeye_address &group, uint32_t interface_index = 0) const noexcept
    { return sockeye_listener_leave(net_, id_, &group, interface_index); }
    /// Has new connections get another certificate.
    status set_tls(const sockeye_tls &with) const noexcept
    { return sockeye_listener_set_tls(net_, id_, &with); }
    status info(sockeye_listener_info &out) const noexcept
    { return sockeye_listener_get_info(net_, id_, &out, sizeof out); }
    status stats(sockeye_listener_stats &out) const noexcept
    { return sockeye_listener_get_stats(net_, id_, &out, sizeof out); }
#if defined(SOCKEYE_HPP_THROWS)
    sockeye_listener_info info() const
    { return detail::made<sockeye_listener_info>([&](auto &out) { return info(out); }); }
    sockeye_listener_stats stats() const
    { return detail::made<sockeye_listener_stats>([&](auto &out) { return stats(out); }); }
#endif

protected:
    sockeye_net *net_;
    sockeye_listener id_;
};

/// A listener that closes at its end, or with its net. Its connections live on.
class listener : public listener_ref {
public:
    listener() noexcept = default;
    explicit listener(listener_ref taken) noexcept : listener_ref(taken) {}
    listener(listener &&from) noexcept : listener_ref(from.release()) {}
    listener &operator=(listener from) noexcept // which takes the old one with it
    {
        std::swap(static_cast<listener_ref &>(*this), static_cast<listener_ref &>(from));
        return *this;
    }
    ~listener() { reset(); }

    /// Leaves it open, for as long as its net lives.
    listener_ref release() noexcept
    { return std::exchange(static_cast<listener_ref &>(*this), listener_ref()); }
    void reset() noexcept
    {
        const listener_ref old = release();
        if (old) (void)old.close();
    }
};

// --- Events --------------------------------------------------------------------------------------

/// One event. It is borrowed, with its payload and whatever view of it, until the next poll of its
/// queue, or until the callback returns that it was given to.
class event {
public:
    event(sockeye_net *net, const sockeye_event &raw) noexcept : net_(net), raw_(&raw) {}

    /// A `sockeye_event_kind`, or one of a later version.
    uint32_t kind() const noexcept { return raw_->kind; }
    sockeye::conn conn() const noexcept { return {net_, raw_->conn}; }
    listener_ref listener() const noexcept { return {net_, raw_->listener}; }
    uint64_t user_data() const noexcept { return raw_->user_data; }
    /// The pointer of `conn::set_user`.
    template <class T> T *user() const noexcept
    { return reinterpret_cast<T *>(static_cast<uintptr_t>(raw_->user_data)); }
    const sockeye_event &raw() const noexcept { return *raw_; }
    sockeye_net *net() const noexcept { return net_; }

    /// Calls the first of these that takes a view of this event's kind: `opened`, `message`,
    /// `received`, `datagram`, `writable`, `moved`, `closed`, `listener_closed`, `posted`, `ended`,
    /// `due`, `resolved` or `migrated`. One that takes an `event` takes every kind, new ones too. A
    /// kind that none takes is passed over.
    template <class... F> void visit(F &&...functions) const;

    /// Whether the host has closed its connection, so that only its CLOSED still counts.
    bool is_behind_close() const noexcept
    {
        return raw_->conn.id != 0 && raw_->kind != SOCKEYE_EVENT_CLOSED
            && sockeye_conn_is_open(net_, raw_->conn) == 0;
    }

protected:
    sockeye_net *net_;
    const sockeye_event *raw_;
};

/// The first event of a connection.
struct opened : event {
    explicit opened(event of) noexcept : event(of) {}
    /// By `listener`; else it was connected.
    bool accepted() const noexcept { return raw_->listener.id != 0; }
    /// What the backend has put into the player's connect token, 256 bytes; empty without one.
    bytes user_data() const noexcept { return {raw_->data, raw_->data_len}; }
};

/// An event with a payload, which is valid until the next poll of its queue.
struct payload : event {
    explicit payload(event of) noexcept : event(of) {}
    std::string_view text() const noexcept
    { return {reinterpret_cast<const char *>(raw_->data), raw_->data_len}; }
    const uint8_t *data() const noexcept { return raw_->data; }
    std::size_t size() const noexcept { return raw_->data_len; }
#if defined(__cpp_lib_span)
    std::span<const std::byte> span() const noexcept
    { return {reinterpret_cast<const std::byte *>(raw_->data), raw_->data_len}; }
#endif
    /// Keeps the payload beyond the poll.
    status hold(buffer &out) const noexcept
    {
        sockeye_buffer held;
        const status done = sockeye_event_hold(net_, raw_, &held);
        if (done) out = buffer(held);
        return done;
    }
#if defined(SOCKEYE_HPP_THROWS)
    [[nodiscard]] buffer hold() const
    { return detail::made<buffer>([&](buffer &out) { return hold(out); }); }
#endif
};

/// One message of a connection with framing.
struct message : payload {
    explicit message(event of) noexcept : payload(of) {}
    /// It was longer than `frame_max_bytes`, and the rest is lost (`overlong` is CUT).
    bool truncated() const noexcept { return (raw_->flags & SOCKEYE_FLAG_TRUNCATED) != 0; }
    /// The lane that it came in; 0 where there are none.
    uint32_t lane() const noexcept { return raw_->code; }
    /// Others of its lane may be lost.
    bool unreliable() const noexcept { return (raw_->flags & SOCKEYE_FLAG_UNRELIABLE) != 0; }
};

/// What arrived on a connection without framing (BYTES): a piece of its stream, and no message.
struct received : payload {
    explicit received(event of) noexcept : payload(of) {}
};

/// One datagram, of a listener or of a connected socket.
struct datagram : payload {
    explicit datagram(event of) noexcept : payload(of) {}
    address from() const noexcept
    {
        const sockeye_address *sender = sockeye_event_address(raw_);
        return sender ? address(*sender) : address();
    }
    bool truncated() const noexcept { return (raw_->flags & SOCKEYE_FLAG_TRUNCATED) != 0; }
    /// A datagram back to where this one came from.
    status reply(bytes data) const noexcept
    { return raw_->listener.id != 0 ? listener().send_to(from(), data) : conn().send(data); }
};

/// There is room again, in a connection's outbox or a `udp://` listener's.
struct writable : event {
    explicit writable(event of) noexcept : event(of) {}
    /// Sends refused since the last one.
    uint64_t refused() const noexcept { return raw_->detail; }
};

/// A connection leaves this queue, or comes to it.
struct moved : event {
    explicit moved(event of) noexcept : event(of) {}
    uint32_t other_queue() const noexcept { return static_cast<uint32_t>(raw_->detail); }
};

/// The peer ended its side of a connection that is `half_open`, which stays.
struct ended : event {
    explicit ended(event of) noexcept : event(of) {}
};

/// The last event of whatever it is, and why.
struct ending : event {
    explicit ending(event of) noexcept : event(of) {}
    /// A `sockeye_cause`.
    int32_t cause() const noexcept { return raw_->cause; }
    const char *cause_text() const noexcept { return sockeye_cause_text(raw_->cause); }
    int32_t os_error() const noexcept { return raw_->os_error; }
};

/// The last event of a connection.
struct closed : ending {
    explicit closed(event of) noexcept : ending(of) {}
    /// Bytes taken but not handed to the system.
    uint64_t lost() const noexcept { return raw_->detail; }
    /// Bytes of the frame that did not come whole (TRUNCATED).
    uint32_t partial() const noexcept
    { return raw_->cause == SOCKEYE_CAUSE_TRUNCATED ? raw_->code : 0; }
};

/// The last event of a listener.
struct listener_closed : ending {
    explicit listener_closed(event of) noexcept : ending(of) {}
};

/// From `net_ref::post`.
struct posted : event {
    explicit posted(event of) noexcept : event(of) {}
    uint64_t detail() const noexcept { return raw_->detail; }
};

/// A timer is due.
struct due : event {
    explicit due(event of) noexcept : event(of) {}
    sockeye_timer timer() const noexcept { return {raw_->detail}; }
    /// Periods that are over beside this one and are not told.
    uint32_t missed() const noexcept { return raw_->code; }
};

/// The peer goes on from another address.
struct migrated : event {
    explicit migrated(event of) noexcept : event(of) {}
};

/// The answer to `net_ref::resolve` or `net_ref::resolve_address`.
struct resolved : event {
    explicit resolved(event of) noexcept : event(of) {}
    /// Whether something was found. If not, `cause` is RESOLVE and `os_error` the resolver's code.
    bool found() const noexcept { return raw_->cause == 0; }
    int32_t cause() const noexcept { return raw_->cause; }
    int32_t os_error() const noexcept { return raw_->os_error; }
    /// How many addresses there are: of an answer to `resolve`.
    std::size_t size() const noexcept { return raw_->data_len / sizeof(sockeye_address); }
    address operator[](std::size_t at) const noexcept
    {
        sockeye_address one;
        std::memcpy(&one, raw_->data + at * sizeof one, sizeof one);
        return one;
    }
    /// Of an answer to `resolve_address`; empty where nothing was found.
    std::string_view name() const noexcept
    { return raw_->data_len == 0 ? std::string_view() : std::string_view(text()); }
    std::string_view service() const noexcept
    { return raw_->data_len == 0 ? std::string_view() : text() + name().size() + 1; }

private:
    const char *text() const noexcept { return reinterpret_cast<const char *>(raw_->data); }
};

template <class... F> void event::visit(F &&...functions) const
{
    static_assert((detail::takes_any<F, opened, message, received, datagram, writable, moved,
                                     closed, listener_closed, posted, ended, due, resolved,
                                     migrated, event>
                   && ...),
                  "one of the functions takes no kind of event");
    switch (kind()) {
    case SOCKEYE_EVENT_OPENED: return detail::call_first(opened(*this), functions...);
    case SOCKEYE_EVENT_MESSAGE: return detail::call_first(message(*this), functions...);
    case SOCKEYE_EVENT_BYTES: return detail::call_first(received(*this), functions...);
    case SOCKEYE_EVENT_DATAGRAM: return detail::call_first(datagram(*this), functions...);
    case SOCKEYE_EVENT_WRITABLE: return detail::call_first(writable(*this), functions...);
    case SOCKEYE_EVENT_MOVED: return detail::call_first(moved(*this), functions...);
    case SOCKEYE_EVENT_CLOSED: return detail::call_first(closed(*this), functions...);
    case SOCKEYE_EVENT_LISTENER_CLOSED:
        return detail::call_first(listener_closed(*this), functions...);
    case SOCKEYE_EVENT_POSTED: return detail::call_first(posted(*this), functions...);
    case SOCKEYE_EVENT_ENDED: return detail::call_first(ended(*this), functions...);
    case SOCKEYE_EVENT_TIMER: return detail::call_first(due(*this), functions...);
    case SOCKEYE_EVENT_RESOLVED: return detail::call_first(resolved(*this), functions...);
    case SOCKEYE_EVENT_MIGRATED: return detail::call_first(migrated(*this), functions...);
    default: return detail::call_first(*this, functions...);
    }
}

/// A range of events: what one poll gave, or one call of a callback. Borrowed as they are.
class events {
public:
    class iterator {
    public:
        using value_type = event;
        using reference = event;
        using pointer = void;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() noexcept = default;
        iterator(sockeye_net *net, const sockeye_event *at) noexcept : net_(net), at_(at) {}
        event operator*() const noexcept { return {net_, *at_}; }
        iterator &operator++() noexcept { return ++at_, *this; }
        iterator operator++(int) noexcept { return {net_, at_++}; }
        friend bool operator==(iterator a, iterator b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(iterator a, iterator b) noexcept { return a.at_ != b.at_; }

    private:
        sockeye_net *net_ = nullptr;
        const sockeye_event *at_ = nullptr;
    };

    events() noexcept = default;
    events(sockeye_net *net, uint32_t queue, const sockeye_event *first, std::size_t count) noexcept
        : net_(net), first_(first), count_(count), queue_(queue) {}

    iterator begin() const noexcept { return {net_, first_}; }
    iterator end() const noexcept { return {net_, first_ + count_}; }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    event operator[](std::size_t at) const noexcept { return {net_, first_[at]}; }
    uint32_t queue() const noexcept { return queue_; }
    sockeye_net *net() const noexcept { return net_; }
    /// `event::visit` for each, in order, but not for what stands behind a close by the host, which
    /// one of the functions may do.
    template <class... F> void visit(F &&...functions) const
    {
        for (const event each : *this)
            if (!each.is_behind_close()) each.visit(functions...);
    }

private:
    sockeye_net *net_ = nullptr;
    const sockeye_event *first_ = nullptr;
    std::size_t count_ = 0;
    uint32_t queue_ = 0;
};

/// Room for N events, which a poll fills: made once, used by every poll of one thread.
template <uint32_t N = 256> class batch : public events {
    static_assert(N > 0 && N <= INT32_MAX);

public:
    batch() noexcept {}
    batch(const batch &) = delete;
    batch &operator=(const batch &) = delete;

private:
    friend class net_ref;
    sockeye_event room_[N];
};

} // namespace sockeye

#endif // SOCKEYE_EVENTS_HPP
