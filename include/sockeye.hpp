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
 * take is in sockeye_values.hpp, connections and events are in sockeye_events.hpp. Every function
 * of sockeye.h is reached from here; what is left to C are the single fields of its structs.
 */

#include <memory>

#include "sockeye_events.hpp"

namespace sockeye {

// --- Nets ----------------------------------------------------------------------------------------

namespace detail {

/// Stand between the library and the host's functions. What these throw ends the program here, by
/// `noexcept`: it must not pass through the library, which is not C++.
template <class F> void deliver(void *user, sockeye_net *net, uint32_t queue,
                                const sockeye_event *first, uint32_t count) noexcept
{ (*static_cast<F *>(user))(events(net, queue, first, count)); }
template <class F> void tell(void *user, uint32_t level, const char *line) noexcept
{ (*static_cast<F *>(user))(level, std::string_view(line)); }
template <class F> uint32_t admits(void *user, sockeye_listener door,
                                   const sockeye_address *peer) noexcept
{ return (*static_cast<F *>(user))(door, *peer) ? SOCKEYE_ADMIT : SOCKEYE_REFUSE; }

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

    /// The same with sockets that are there already: one that listens, and one that is connected,
    /// of which so many bytes were read. Ownership: OK moves the socket to the net.
    status adopt(intptr_t handle, const sockeye_endpoint &with, listener &out) const noexcept
    {
        sockeye_listener id;
        const status done = sockeye_listen_adopt(net_, handle, &with, &id);
        if (done) out = listener(listener_ref(net_, id));
        return done;
    }
    status adopt(intptr_t handle, const sockeye_endpoint &with, bytes unread,
                 conn &out) const noexcept
    {
        sockeye_conn id;
        const status done = sockeye_conn_adopt(net_, handle, &with, unread.data, unread.len, &id);
        if (done) out = conn(net_, id);
        return done;
    }

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
    /// The poll that waits, or else the next one, answers 0. A signal handler may call it.
    status wake(uint32_t queue = 0) const noexcept { return sockeye_wake(net_, queue); }
    // An event of a kind of the host's own, SOCKEYE_EVENT_HOST or above, with a copy of the bytes.
    [[nodiscard]] status post_message(uint32_t queue, uint32_t kind, uint64_t detail,
                                      uint64_t user_data, const void* data, size_t len)
        const noexcept
    { return sockeye_post_message(net_, queue, kind, detail, user_data, data, len); }
    /// `due` tells of it: after so long, and then every `every` where that is not 0.
    status start_timer(uint32_t queue, timeout after, timeout every, uint64_t user_data,
                       sockeye_timer &out) const noexcept
    {
        return sockeye_timer_start(net_, queue, static_cast<uint32_t>(after.ms()),
                                   static_cast<uint32_t>(every.ms()), user_data, &out);
    }
    status stop_timer(sockeye_timer timer) const noexcept
    { return sockeye_timer_stop(net_, timer); }
    /// A group without members.
    status create_group(group &out) const noexcept
    {
        sockeye_group id;
        const status done = sockeye_group_create(net_, &id);
        if (done) out = group(net_, id);
        return done;
    }
    /// Replaces all rules for who may connect. Without rules everybody may who is not banned.
    status guard_set(const sockeye_guard_rule *rules, std::size_t count) const noexcept
    { return sockeye_guard_set(net_, rules, count); }
    /// Bans the first `bits` bits of an address for so long; 0 lifts the ban.
    status guard_ban(const sockeye_address &of, uint32_t bits,
                     std::chrono::milliseconds time) const noexcept
    {
        const uint64_t ms = time.count() < 0 ? 0 : static_cast<uint64_t>(time.count());
        return sockeye_guard_ban(net_, &of, bits, ms);
    }
    /// What was refused, by reason.
    status guard_get_stats(sockeye_guard_stats &out) const noexcept
    { return sockeye_guard_get_stats(net_, &out, sizeof out); }
    /// Asks `function(sockeye_listener, const sockeye_address &)` about each peer that the guard
    /// lets in, whether it may, with the promises of `set_callback`.
    template <class F> status set_admit(F &function) const noexcept
    { return set_admit(&detail::admits<F>, detail::place(function)); }
    status set_admit(sockeye_admit_fn function, void *user) const noexcept
    { return sockeye_set_admit(net_, function, user); }
    status clear_admit() const noexcept { return sockeye_set_admit(net_, nullptr, nullptr); }
    /// `resolved` has the addresses of a host, each with the port of `service`, a number or a name.
    status resolve(uint32_t queue, c_text name, c_text service, uint64_t user_data) const noexcept
    { return sockeye_resolve(net_, queue, name.data, service.data, user_data); }
    status resolve(uint32_t queue, c_text name, uint64_t user_data) const noexcept
    { return sockeye_resolve(net_, queue, name.data, nullptr, user_data); }
    /// `resolved` has the names of a host and of its port's service.
    status resolve_address(uint32_t queue, const sockeye_address &of,
                           uint64_t user_data) const noexcept
    { return sockeye_resolve_address(net_, queue, &of, user_data); }
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

    /// What waits in a queue now.
    status stats(uint32_t queue, sockeye_queue_stats &out) const noexcept
    { return sockeye_queue_get_stats(net_, queue, &out, sizeof out); }
    /// What the system measures of many connections: room for as many. Returns: of how many.
    status tcp_info(conn_list of, sockeye_tcp_info *out) const noexcept
    { return sockeye_conns_get_tcp_info(net_, of.data, of.size, out, sizeof *out); }
    /// A latency. Needs `config::histograms`.
    status histogram(sockeye_histogram_kind kind, sockeye_histogram &out) const noexcept
    { return sockeye_net_get_histogram(net_, kind, &out, sizeof out); }

    /// The numbers as text for Prometheus. ERR_TOO_BIG: `out_len` is how much room it needs.
    status metrics(char *buffer, std::size_t cap, std::size_t &out_len) const noexcept
    { return sockeye_metrics_write(net_, buffer, cap, &out_len); }
    /// Serves them at `tcp://host:port` and /metrics, to whoever reaches that.
    status listen_metrics(c_text url, uint32_t *out_port = nullptr) const noexcept
    { return sockeye_metrics_listen(net_, url.data, out_port); }
    status close_metrics() const noexcept { return sockeye_metrics_close(net_); }

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
    { return detail::made<listener>([&](auto &out) { return listen(url, &with, out); }); }
    [[nodiscard]] conn connect(c_text url, const sockeye_endpoint &with = endpoint()) const
    { return detail::made<conn>([&](auto &out) { return connect(url, &with, out); }); }
    intptr_t wait_handle(uint32_t queue) const
    { return detail::made<intptr_t>([&](auto &out) { return wait_handle(queue, out); }); }
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
    { return detail::made<net>([&](auto &out) { return open(with, out); }); }
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
