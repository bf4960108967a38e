#ifndef SOCKEYE_HPP
#define SOCKEYE_HPP

/*
 * Sockeye for C++17 and later: thin classes over the C ABI of sockeye.h, nothing to link beside it.
 *
 * An echo server:
 *
 *     #include <sockeye.hpp>
 *     #include <cstdio>
 *
 *     int main(int argc, char **argv)
 *     {
 *         const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7777?frame=u32be";
 *         sockeye::net net;
 *         sockeye::listener door;
 *         sockeye::status done = sockeye::net::open(net);
 *         if (done) done = net.listen(url, door);
 *         if (!done) {
 *             std::fprintf(stderr, "%s\n", sockeye::last_error());
 *             return 1;
 *         }
 *         sockeye::batch<> events;
 *         while (net.poll(events, sockeye::forever)) {
 *             events.visit(
 *                 [](sockeye::message got) {
 *                     if (!got.conn().send(got.text())) (void)got.conn().close();
 *                 },
 *                 [](sockeye::closed gone) { std::printf("%s\n", gone.cause_text()); });
 *         }
 *         return 0;
 *     }
 *
 * What a call promises is said in sockeye.h, at the function whose name it has. For all of them:
 *
 * Ownership  `net`, `listener` and `buffer` own and can only be moved; one moved from is empty, and
 *            calls on it answer ERR_INVALID. `net_ref`, `listener_ref` and `conn` are handles, to
 *            be copied: an old one answers ERR_STALE, also when its net is gone. So all of them may
 *            be declared, assigned and destroyed in any order. Bytes given are copied. What an
 *            event shows is borrowed: it ends with the next poll of its queue.
 * Threads    Handles: any thread, any call. An owner is made, moved and destroyed by one thread at
 *            a time, and a queue is polled by one at a time.
 * Errors     A call answers a `status`, and out-parameters come last, as in C. Nothing throws but
 *            `status::or_throw` and the overloads without the out-parameter, which throw `error`;
 *            neither is there with exceptions off. RTTI is not needed.
 * Versions   `net::open` refuses a library that does not fit this header, and `last_error` says so.
 *            Only sockeye.h is a stable binary interface: this one is compiled into the host.
 *
 * Numbers and structs stay as C has them (SOCKEYE_MODEL_EPOLL, sockeye_net_stats); `config`,
 * `endpoint`, `address` and `message_parts` are theirs with a constructor; what calls answer and
 * take is in sockeye_values.hpp. Every function of sockeye.h is reached from here; what is left to
 * C are the single fields of its structs.
 */

#include <memory>

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
    status send_parts(std::initializer_list<bytes> parts) const noexcept
    { return send(message_parts(parts.begin(), parts.size())); }
    /// Closes it; `how` is a `sockeye_close_how`.
    status close(uint32_t how = SOCKEYE_CLOSE_GRACEFUL) const noexcept
    { return sockeye_close(net_, id_, how); }
    status close_with(bytes last, uint32_t how = SOCKEYE_CLOSE_GRACEFUL) const noexcept
    { return sockeye_close_with(net_, id_, how, last.data, last.len); }
    status pause() const noexcept { return sockeye_conn_pause(net_, id_); }
    status resume() const noexcept { return sockeye_conn_resume(net_, id_); }
    status set_user_data(uint64_t number) const noexcept
    { return sockeye_conn_set_user_data(net_, id_, number); }
    /// The same with a pointer, which `event::user` gives back.
    status set_user(const void *pointer) const noexcept
    { return set_user_data(reinterpret_cast<uintptr_t>(pointer)); }
    status set_queue(uint32_t queue) const noexcept
    { return sockeye_conn_set_queue(net_, id_, queue); }
    status info(sockeye_conn_info &out) const noexcept
    { return sockeye_conn_get_info(net_, id_, &out, sizeof out); }
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
    status send_to(const sockeye_address &to, bytes data) const noexcept
    { return sockeye_send_to(net_, id_, &to, data.data, data.len); }
    status join(const sockeye_address &group, uint32_t interface_index = 0) const noexcept
    { return sockeye_listener_join(net_, id_, &group, interface_index); }
    status leave(const sockeye_address &group, uint32_t interface_index = 0) const noexcept
    { return sockeye_listener_leave(net_, id_, &group, interface_index); }
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
    /// `datagram`, `writable`, `moved`, `closed`, `listener_closed`, `posted`, `ended` or `due`.
    /// One that takes an `event` takes every kind, new ones too. A kind none takes is passed over.
    template <class... F> void visit(F &&...functions) const;

protected:
    sockeye_net *net_;
    const sockeye_event *raw_;
};

/// The first event of a connection.
struct opened : event {
    explicit opened(event of) noexcept : event(of) {}
    /// By `listener`; else it was connected.
    bool accepted() const noexcept { return raw_->listener.id != 0; }
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

/// One frame; without framing what arrived.
struct message : payload {
    explicit message(event of) noexcept : payload(of) {}
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

template <class... F> void event::visit(F &&...functions) const
{
    static_assert((detail::takes_any<F, opened, message, datagram, writable, moved, closed,
                                     listener_closed, posted, ended, due, event> && ...),
                  "one of the functions takes no kind of event");
    switch (kind()) {
    case SOCKEYE_EVENT_OPENED: return detail::call_first(opened(*this), functions...);
    case SOCKEYE_EVENT_MESSAGE: return detail::call_first(message(*this), functions...);
    case SOCKEYE_EVENT_DATAGRAM: return detail::call_first(datagram(*this), functions...);
    case SOCKEYE_EVENT_WRITABLE: return detail::call_first(writable(*this), functions...);
    case SOCKEYE_EVENT_MOVED: return detail::call_first(moved(*this), functions...);
    case SOCKEYE_EVENT_CLOSED: return detail::call_first(closed(*this), functions...);
    case SOCKEYE_EVENT_LISTENER_CLOSED:
        return detail::call_first(listener_closed(*this), functions...);
    case SOCKEYE_EVENT_POSTED: return detail::call_first(posted(*this), functions...);
    case SOCKEYE_EVENT_ENDED: return detail::call_first(ended(*this), functions...);
    case SOCKEYE_EVENT_TIMER: return detail::call_first(due(*this), functions...);
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
    /// `event::visit` for each, in order.
    template <class... F> void visit(F &&...functions) const
    { for (const event each : *this) each.visit(functions...); }

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

// --- Nets ----------------------------------------------------------------------------------------

namespace detail {

/// Stand between the library and the host's functions. What these throw ends the program here, by
/// `noexcept`: it must not pass through the library, which is not C++.
template <class F> void deliver(void *user, sockeye_net *net, uint32_t queue,
                                const sockeye_event *first, uint32_t count) noexcept
{ (*static_cast<F *>(user))(events(net, queue, first, count)); }
template <class F> void tell(void *user, uint32_t level, const char *line) noexcept
{ (*static_cast<F *>(user))(level, std::string_view(line)); }

} // namespace detail

/// A net: a handle with the calls on it.
class net_ref {
public:
    net_ref(sockeye_net *net = nullptr) noexcept : net_(net) {}
    sockeye_net *raw() const noexcept { return net_; }
    explicit operator bool() const noexcept { return net_ != nullptr; }

    /// Ends the net and joins its threads, which may take so long. Polls give what is left.
    status shutdown(timeout drain) const noexcept
    { return sockeye_shutdown(net_, drain.ms() < 0 ? INT32_MAX : drain.ms()); }

    /// Opens a listener, `tcp://*:7777?frame=u32be`, which is open as long as `out` is.
    status listen(c_text url, listener &out) const noexcept { return listen(url, nullptr, out); }
    status listen(c_text url, const sockeye_endpoint &with, listener &out) const noexcept
    { return listen(url, &with, out); }
    /// Connects in the background: `opened` tells of success, `closed` alone of failure.
    status connect(c_text url, conn &out) const noexcept { return connect(url, nullptr, out); }
    status connect(c_text url, const sockeye_endpoint &with, conn &out) const noexcept
    { return connect(url, &with, out); }

    /// One message to many. Returns: how many took it; `out_each`, if given, has room for all.
    status send_many(conn_list to, bytes data, sockeye_status *out_each = nullptr) const noexcept
    { return sockeye_send_many(net_, to.data, to.size, data.data, data.len, out_each); }
    status send_many(conn_list to, const message_parts &message,
                     sockeye_status *out_each = nullptr) const noexcept
    { return sockeye_send_message(net_, to.data, to.size, &message, out_each); }

    /// Waits for events of a queue, and ends the batch before. Returns: how many there are; on
    /// an error `out` is empty, and ERR_SHUTDOWN or ERR_PANIC say that every event was delivered.
    template <uint32_t N>
    status poll(batch<N> &out, timeout limit, uint32_t queue = 0) const noexcept
    { return poll(out.room_, static_cast<int32_t>(N), out, limit, queue); }
    /// The same with an array of the host's.
    status poll(sockeye_event *room, int32_t cap, events &out, timeout limit,
                uint32_t queue = 0) const noexcept
    {
        const status got = sockeye_queue_poll_events(net_, queue, room, cap, limit.ms());
        out = events(net_, queue, room, static_cast<std::size_t>(got.count()));
        return got;
    }
    /// Drives a net that has no workers and whose queue has a callback, inside of this call.
    status pump(timeout limit) const noexcept
    { return sockeye_poll_events(net_, nullptr, 0, limit.ms()); }

    /// Lets what was sent leave, of all queues or of one.
    status flush() const noexcept { return sockeye_flush(net_); }
    status flush(uint32_t queue) const noexcept { return sockeye_queue_flush(net_, queue); }
    status post(uint32_t queue, uint64_t detail, uint64_t user_data = 0) const noexcept
    { return sockeye_post(net_, queue, detail, user_data); }
    /// `due` tells of it: after so long, and then every `every` where that is not 0.
    status start_timer(uint32_t queue, timeout after, timeout every, uint64_t user_data,
                       sockeye_timer &out) const noexcept
    {
        return sockeye_timer_start(net_, queue, static_cast<uint32_t>(after.ms()),
                                   static_cast<uint32_t>(every.ms()), user_data, &out);
    }
    status stop_timer(sockeye_timer timer) const noexcept
    { return sockeye_timer_stop(net_, timer); }
    /// What is readable while the queue has events, for the host's own epoll. The library's.
    status wait_handle(uint32_t queue, intptr_t &out) const noexcept
    { return sockeye_wait_handle(net_, queue, &out); }
    /// Has a packet posted to the host's own completion port (Windows) when the queue gets events.
    status wait_port(uint32_t queue, intptr_t port, uint64_t key) const noexcept
    { return sockeye_wait_port(net_, queue, port, key); }

    /// Has a queue's events given to `function(sockeye::events)`, on workers' threads or in `pump`.
    ///
    /// Ownership: borrowed until another is set, `clear_callback`, or the end of the net, which
    ///            calls nothing any more. What it uses lives as long: declare that before the net.
    /// Errors:    what it throws ends the program.
    template <class F> status set_callback(uint32_t queue, F &function) const noexcept
    { return set_callback(queue, &detail::deliver<F>, detail::place(function)); }
    status set_callback(uint32_t queue, sockeye_callback_fn function, void *user) const noexcept
    { return sockeye_set_callback(net_, queue, function, user); }
    /// When this returns it does not run and is never called again.
    status clear_callback(uint32_t queue) const noexcept
    { return sockeye_set_callback(net_, queue, nullptr, nullptr); }

    /// A buffer of at least so many bytes, to be written and sent without a copy.
    status acquire(std::size_t len, buffer &out) const noexcept
    {
        sockeye_buffer taken;
        const status done = sockeye_buffer_acquire(net_, len, &taken);
        if (done) out = buffer(taken);
        return done;
    }

    status info(sockeye_net_info &out) const noexcept
    { return sockeye_net_get_info(net_, &out, sizeof out); }
    status stats(sockeye_net_stats &out) const noexcept
    { return sockeye_net_get_stats(net_, &out, sizeof out); }
    /// What many connections have counted: room for as many. Returns: how many are not stale.
    status stats(conn_list of, sockeye_conn_stats *out) const noexcept
    { return sockeye_conns_get_stats(net_, of.data, of.size, out, sizeof *out); }

    /// Has lines up to this level given to `function(uint32_t level, std::string_view line)`, with
    /// the promises of `set_callback`.
    template <class F> status set_log(F &function, uint32_t level) const noexcept
    { return set_log(&detail::tell<F>, detail::place(function), level); }
    status set_log(sockeye_log_fn function, void *user, uint32_t level) const noexcept
    { return sockeye_set_log(net_, function, user, level); }
    status clear_log() const noexcept
    { return sockeye_set_log(net_, nullptr, nullptr, SOCKEYE_LOG_NONE); }

#if defined(SOCKEYE_HPP_THROWS)
    [[nodiscard]] listener listen(c_text url, const sockeye_endpoint &with = endpoint()) const
    { return detail::made<listener>([&](auto &out) { return listen(url, &with, out); }, true); }
    [[nodiscard]] conn connect(c_text url, const sockeye_endpoint &with = endpoint()) const
    { return detail::made<conn>([&](auto &out) { return connect(url, &with, out); }, true); }
    intptr_t wait_handle(uint32_t queue) const
    { return detail::made<intptr_t>([&](auto &out) { return wait_handle(queue, out); }, true); }
    [[nodiscard]] buffer acquire(std::size_t len) const
    { return detail::made<buffer>([&](auto &out) { return acquire(len, out); }); }
    sockeye_net_info info() const
    { return detail::made<sockeye_net_info>([&](auto &out) { return info(out); }); }
    sockeye_net_stats stats() const
    { return detail::made<sockeye_net_stats>([&](auto &out) { return stats(out); }); }
#endif

protected:
    sockeye_net *net_;

private:
    status listen(c_text url, const sockeye_endpoint *with, listener &out) const noexcept
    {
        sockeye_listener id;
        const status done = sockeye_listen(net_, url.data, with, &id);
        if (done) out = listener(listener_ref(net_, id));
        return done;
    }
    status connect(c_text url, const sockeye_endpoint *with, conn &out) const noexcept
    {
        sockeye_conn id;
        const status done = sockeye_connect(net_, url.data, with, &id);
        if (done) out = conn(net_, id);
        return done;
    }
};

/// A net that is discarded at its end, as by `sockeye_discard`, in its own callbacks too, without
/// waiting for what is not sent. No other thread calls it meanwhile, but handles of it may be used,
/// and answer ERR_STALE.
class net : public net_ref {
public:
    net() noexcept = default;
    /// Ownership of what `sockeye_init` gave moves here.
    explicit net(sockeye_net *taken) noexcept : net_ref(taken) {}
    net(net &&from) noexcept : net_ref(from.release()) {}
    net &operator=(net from) noexcept // which takes the old one with it
    {
        std::swap(net_, from.net_);
        return *this;
    }
    ~net() { reset(); }

    /// Makes a net and starts its workers. Returns: as `sockeye_init`; ERR_UNSUPPORTED also when
    /// the library does not fit this header, which `last_error` tells.
    static status open(const sockeye_config &with, net &out) noexcept
    {
        if (!library_fits()) return SOCKEYE_ERR_UNSUPPORTED;
        sockeye_net *made = nullptr;
        const status done = sockeye_init(&with, &made);
        if (done) out = net(made);
        return done;
    }
    static status open(net &out) noexcept { return open(config(), out); }
#if defined(SOCKEYE_HPP_THROWS)
    [[nodiscard]] static net open(const sockeye_config &with = config())
    { return detail::made<net>([&](auto &out) { return open(with, out); }, true); }
#endif

    /// Frees it now, when its callbacks have been given what is left, and is empty then. Returns:
    /// ERR_BUSY, ERR_WOULD_DEADLOCK: it is still here.
    status destroy() noexcept
    {
        const status done = sockeye_free(net_);
        if (done) net_ = nullptr;
        return done;
    }
    /// Ownership moves to the caller, who gives it to `sockeye_free`.
    sockeye_net *release() noexcept { return std::exchange(net_, nullptr); }
    void reset() noexcept { (void)sockeye_discard(release()); }
};

} // namespace sockeye

#endif // SOCKEYE_HPP
