/* Servers on standalone asio (C++17, -DASIO_STANDALONE). The game itself is in game.h.

   loop: all on one thread. The context runs with ASIO_CONCURRENCY_HINT_UNSAFE, so without a lock.
   typical: the chat server of the tutorials: shared_ptr sessions, async_read_some, a queue of
   messages for each session with one async_write at a time, asio::post for every reply. The hint
   is the 1 that the documentation gives for one running thread.
   expert: the reactor style of loop, with the batches of game.h. A turn of the loop is one run_one,
   which may sleep, and one poll for all else that is ready, up to a limit: poll alone has no end
   while peers go on sending. The hint is ASIO_CONCURRENCY_HINT_UNSAFE_IO: no locks around sockets.
   Its documentation asks that the run functions and all operations on I/O objects happen in one
   thread at a time, and so they do; asio::post is neither, and the scheduler keeps its lock.

   What makes loop and expert strong:
   - Little is read by async_read_some into a small buffer of the connection, which costs a second
     recv that finds nothing; much is awaited with async_wait and then read at once into a large
     shared buffer, which costs an epoll_ctl instead but touches less memory. What the last read
     brought decides: either way alone is some percent dearer where it is the wrong one.
   - Writes are tried at once with write_some; only for a rest the socket is awaited.
   - The memory of a handler lies in its connection (asio would keep two for each thread, and none
     from one run function to the next, nor for a post from another thread): nothing is allocated
     for a message or a wake-up.
   - Sockets have the executor of io_context, not any_io_executor.
   A second post is left out while one is under way, and asio itself makes a system call for a post
   only when the loop sleeps. No ASIO_DISABLE_* is set: epoll, eventfd and threads are wanted, and
   what else there is costs nothing here. */
#include "game.h"
#include <algorithm>
#include <array>
#include <asio.hpp>
#include <atomic>
#include <deque>
#include <memory>
#include <memory_resource>
#include <utility>
#include <vector>

namespace {

using asio::ip::tcp;
using error = std::error_code;
using executor = asio::io_context::executor_type;
using stream = asio::basic_stream_socket<tcp, executor>;
using listener = asio::basic_socket_acceptor<tcp, executor>;

/* Reads that bring less are small. */
constexpr std::size_t SMALL = 1024;

const tcp::endpoint HERE(asio::ip::address_v4::loopback(), 0);

/* Gives every new connection to `take`, for ever. */
template <class Acceptor, class Take>
void accept_next(Acceptor &door, Take take)
{
    door.async_accept([&door, take](error failed, auto socket) {
        if (!failed) {
            take(std::move(socket));
        } else if (failed == asio::error::no_descriptors || failed == asio::error::no_memory ||
                   failed == asio::error::no_buffer_space) {
            throw std::system_error(failed, "accept");
        }
        accept_next(door, take);
    });
}

template <class Acceptor, class Take>
void open_door(Acceptor &door, Take take)
{
    char facts[64];
    /* Accepted sockets inherit it: a system call less for each connection. */
    door.set_option(tcp::no_delay(true));
    door.listen(PEER_BACKLOG);
    accept_next(door, take);
    std::snprintf(facts, sizeof facts, "asio=%d.%d.%d", ASIO_VERSION / 100000,
                  ASIO_VERSION / 100 % 1000, ASIO_VERSION % 100);
    peer_listening(door.local_endpoint().port(), facts);
}

/* --- memory for one handler at a time -------------------------------------------------------- */

class handler_memory : public std::pmr::memory_resource {
  private:
    void *do_allocate(std::size_t size, std::size_t) override
    {
        if (taken_ || size > sizeof bytes_) return ::operator new(size);
        taken_ = true;
        return bytes_;
    }

    void do_deallocate(void *memory, std::size_t, std::size_t) override
    {
        if (memory != bytes_) return ::operator delete(memory);
        taken_ = false;
    }

    bool do_is_equal(const memory_resource &to) const noexcept override { return this == &to; }

    /* All that asio 1.22 asks for here is 120 bytes at most. */
    alignas(std::max_align_t) unsigned char bytes_[128];
    bool taken_ = false;
};

template <class Handler>
auto in_memory(handler_memory &memory, Handler handler)
{
    return asio::bind_allocator(std::pmr::polymorphic_allocator<std::byte>(&memory),
                                std::move(handler));
}

/* --- reactor: what loop and expert have in common -------------------------------------------- */

class conn;

/* The one thread and its connections. */
class reactor {
  public:
    /* A handler of a connection begins. */
    virtual void turn() {}
    /* RECEIVE_SIZE bytes to read into. */
    virtual uint8_t *room() = 0;
    /* `data` is in room(), or in the connection's small buffer. It may write, and so close. false:
       the connection must go. */
    virtual bool received(conn &from, const uint8_t *data, std::size_t size) = 0;
    /* A connection came or left. */
    virtual void tell(uint64_t, bool) {}

    void left(uint64_t id)
    {
        table_remove(&conns_, id);
        tell(id, false);
    }

    /* Whether a connection with so many bytes not yet written gets nothing of the next `size`. */
    bool misses(std::size_t unwritten, std::size_t size)
    {
        if (unwritten <= UNWRITTEN_MOST || options_.job != JOB_BROADCAST) return false;
        missed_ += size / options_.size;
        return true;
    }

    /* A connection with more bytes than this not yet written is not read. */
    const std::size_t stall;
    /* A tick hears each connection once and takes all that came of it; what has been heard waits
       here for the next one. (poll would not end while peers answer an echo at once.) */
    const bool ticks;
    std::vector<conn *> heard;

  protected:
    reactor(const options &chosen, int hint, std::size_t most, bool alone)
        : stall(chosen.job == JOB_BROADCAST ? SIZE_MAX : most),
          ticks(alone && chosen.job == JOB_TICK), options_(chosen), context_(hint),
          door_(context_, HERE)
    {
    }
    ~reactor() = default;
    void begin();

    const options &options_;
    asio::io_context context_;
    listener door_;
    table conns_ = {};

  private:
    uint64_t missed_ = 0;
};

/* Lives until it has been closed and its last handler has run. Outside of handlers at least one is
   outstanding, unless it waits for the next tick. */
class conn {
  public:
    conn(reactor &server, stream socket) : server_(server), socket_(std::move(socket))
    {
        socket_.non_blocking(true);
    }
    ~conn() { splitter_free(&split); }

    std::size_t unwritten() const { return rest_.size() - written_; }

    /* Reads when there is something. */
    void arm()
    {
        outstanding_++;
        if (large_) {
            socket_.async_wait(stream::wait_read, in_memory(read_memory_, [this](error failed) {
                                   run([&] { readable(failed, 0); });
                               }));
        } else {
            socket_.async_read_some(asio::buffer(small_),
                                    in_memory(read_memory_, [this](error failed, std::size_t got) {
                                        run([&] { readable(failed, got); });
                                    }));
        }
    }

    /* Writes what the socket takes now, and keeps the rest. Of broadcasts, too slow a peer misses
       some. false: it has been closed. */
    bool write(const iovec *pieces, int count, std::size_t size)
    {
        std::size_t sent = 0;
        if (server_.misses(unwritten(), size)) return true;
        if (rest_.empty()) {
            error failed;
            sent = write_now(pieces, count, failed);
            if (failed && failed != asio::error::would_block) return close(), false;
            if (sent == size) return true;
        }
        bool wait = rest_.empty();
        keep(pieces, count, sent);
        if (wait) await_room();
        return true;
    }

    void close()
    {
        if (closed_) return;
        error ignored;
        closed_ = true;
        socket_.close(ignored);
        server_.left(id);
    }

    uint64_t id = 0;
    splitter split = {};

  private:
    template <class Body>
    void run(Body body)
    {
        server_.turn();
        body();
        if (--outstanding_ == 0 && closed_) delete this;
    }

    /* `got` bytes are in the small buffer. */
    void readable(error failed, std::size_t got)
    {
        if (failed) close();
        if (closed_) return;
        bool more = large_;
        if (!large_) {
            if (!server_.received(*this, small_.data(), got)) return close();
            large_ = more = got == SMALL;
        }
        while (more && !closed_ && unwritten() <= server_.stall) {
            uint8_t *room = server_.room();
            got = socket_.read_some(asio::buffer(room, RECEIVE_SIZE), failed);
            if (failed == asio::error::would_block) break;
            if (failed || !server_.received(*this, room, got)) return close();
            large_ = got >= SMALL;
            more = got == RECEIVE_SIZE && server_.ticks;
        }
        if (!closed_) go_on();
    }

    void go_on()
    {
        stalled_ = unwritten() > server_.stall;
        if (stalled_) return;
        if (!server_.ticks) return arm();
        server_.heard.push_back(this);
    }

    std::size_t write_now(const iovec *pieces, int count, error &failed)
    {
        if (count == 1)
            return socket_.write_some(asio::buffer(pieces->iov_base, pieces->iov_len), failed);
        static thread_local std::vector<asio::const_buffer> buffers;
        buffers.clear();
        for (int i = 0; i < count; i++) buffers.emplace_back(pieces[i].iov_base, pieces[i].iov_len);
        return socket_.write_some(buffers, failed);
    }

    void keep(const iovec *pieces, int count, std::size_t skip)
    {
        if (written_ > rest_.size() / 2) {
            rest_.erase(rest_.begin(), rest_.begin() + std::ptrdiff_t(written_));
            written_ = 0;
        }
        for (int i = 0; i < count; i++) {
            const auto *bytes = static_cast<const uint8_t *>(pieces[i].iov_base);
            std::size_t size = pieces[i].iov_len, before = std::min(skip, size);
            rest_.insert(rest_.end(), bytes + before, bytes + size);
            skip -= before;
        }
    }

    void await_room()
    {
        outstanding_++;
        socket_.async_wait(stream::wait_write, in_memory(write_memory_, [this](error failed) {
                               run([&] { writable(failed); });
                           }));
    }

    void writable(error failed)
    {
        if (!failed && !closed_)
            written_ +=
                socket_.write_some(asio::buffer(rest_.data() + written_, unwritten()), failed);
        if (failed && failed != asio::error::would_block) close();
        if (closed_) return;
        if (unwritten()) return await_room();
        rest_ = {};
        written_ = 0;
        if (stalled_) go_on();
    }

    reactor &server_;
    stream socket_;
    /* Handlers that have not yet ended. */
    int outstanding_ = 0;
    bool closed_ = false, stalled_ = false;
    /* Read with async_wait and at once, not with async_read_some. */
    bool large_ = false;
    /* What the socket had no room for, from `written_` on. While there is some, room is awaited. */
    std::vector<uint8_t> rest_;
    std::size_t written_ = 0;
    handler_memory read_memory_, write_memory_;
    std::array<uint8_t, SMALL> small_;
};

void reactor::begin()
{
    open_door(door_, [this](stream socket) {
        conn *one = new conn(*this, std::move(socket));
        one->id = table_add(&conns_, one);
        turn();
        tell(one->id, true);
        one->arm();
    });
}

/* --- loop ------------------------------------------------------------------------------------ */

class loop final : reactor {
  public:
    explicit loop(const options &chosen)
        : reactor(chosen, ASIO_CONCURRENCY_HINT_UNSAFE, 0, true)
    {
    }

    [[noreturn]] void run()
    {
        thread_name("game");
        begin();
        if (options_.job == JOB_ECHO) context_.run();
        std::vector<uint8_t> burst(std::size_t(options_.burst) * options_.size);
        ticker schedule;
        ticker_start(&schedule, options_.period_ms);
        for (;;) {
            uint64_t intended = ticker_sleep(&schedule);
            for (conn *one : heard) one->arm();
            heard.clear();
            context_.poll();
            if (options_.job != JOB_BROADCAST) continue;
            broadcast_burst(burst.data(), &options_, schedule.number, intended);
            for (uint32_t i = 0; i < conns_.count; i++)
                if (conns_.slots[i].item)
                    broadcast(static_cast<conn *>(conns_.slots[i].item), burst.data());
        }
    }

  private:
    uint8_t *room() override { return buffer_.data(); }

    bool received(conn &from, const uint8_t *data, std::size_t size) override
    {
        iovec piece = {const_cast<uint8_t *>(data), size};
        if (options_.job != JOB_BROADCAST) from.write(&piece, 1, size);
        return true;
    }

    /* One write for each message, or one for all. */
    void broadcast(conn *to, uint8_t *burst)
    {
        uint32_t together = options_.gather ? options_.burst : 1;
        for (uint32_t i = 0; i < options_.burst; i += together) {
            iovec piece = {burst + std::size_t(i) * options_.size,
                           std::size_t(options_.size) * together};
            if (!to->write(&piece, 1, piece.iov_len)) return;
        }
    }

    std::array<uint8_t, RECEIVE_SIZE> buffer_;
};

/* --- typical --------------------------------------------------------------------------------- */

struct typical {
    const options &chosen;
    asio::io_context context{1};
    tcp::acceptor door{context, HERE};
    struct game game = {};
    table sessions = {};
    uint64_t missed = 0;

    [[noreturn]] void run();
};

class session : public std::enable_shared_from_this<session> {
  public:
    session(typical &server, tcp::socket socket) : server_(server), socket_(std::move(socket)) {}
    ~session()
    {
        for (message *each : queue_) std::free(each);
        splitter_free(&split_);
    }

    void start()
    {
        id_ = table_add(&server_.sessions, this);
        typical_tell(&server_.game, id_, true);
        read();
    }

    /* Takes the message. */
    void deliver(message *reply)
    {
        if (server_.chosen.job == JOB_BROADCAST && unwritten_ > UNWRITTEN_MOST) {
            server_.missed++;
            std::free(reply);
            return;
        }
        unwritten_ += reply->size;
        queue_.push_back(reply);
        if (queue_.size() == 1) write();
    }

  private:
    /* A peer that does not read what it asked for is not read either; a broadcast skips it. */
    void read()
    {
        paused_ = unwritten_ > UNWRITTEN_MOST && server_.chosen.job != JOB_BROADCAST;
        if (paused_) return;
        socket_.async_read_some(
            asio::buffer(buffer_), [self = shared_from_this()](error failed, std::size_t got) {
                if (failed || !typical_received(&self->server_.game, self->id_, &self->split_,
                                                self->buffer_.data(), got)) {
                    self->close();
                } else {
                    self->read();
                }
            });
    }

    void write()
    {
        asio::async_write(
            socket_, asio::buffer(message_data(queue_.front()), queue_.front()->size),
            [self = shared_from_this()](error failed, std::size_t) { self->written(failed); });
    }

    void written(error failed)
    {
        unwritten_ -= queue_.front()->size;
        std::free(queue_.front());
        queue_.pop_front();
        if (failed) return close();
        if (!queue_.empty()) return write();
        if (paused_) read();
    }

    void close()
    {
        if (closed_) return;
        error ignored;
        closed_ = true;
        socket_.close(ignored);
        table_remove(&server_.sessions, id_);
        typical_tell(&server_.game, id_, false);
    }

    typical &server_;
    tcp::socket socket_;
    uint64_t id_ = 0;
    bool closed_ = false, paused_ = false;
    splitter split_ = {};
    /* The first one is being written. */
    std::deque<message *> queue_;
    std::size_t unwritten_ = 0;
    std::array<uint8_t, RECEIVE_SIZE> buffer_;
};

/* On the game thread. */
void post_reply(void *to, message *reply)
{
    auto *server = static_cast<typical *>(to);
    asio::post(server->context, [server, reply] {
        typical_taken(&server->game);
        auto *found = static_cast<session *>(table_find(&server->sessions, reply->conn));
        if (!found) return std::free(reply);
        found->deliver(reply);
    });
}

void typical::run()
{
    thread_name("loop");
    game_init(&game, &chosen, this);
    game.post = post_reply;
    game_start(&game, typical_thread);
    open_door(door, [this](tcp::socket socket) {
        std::make_shared<session>(*this, std::move(socket))->start();
    });
    context.run();
    std::abort();
}

/* --- expert ---------------------------------------------------------------------------------- */

class expert final : reactor {
  public:
    explicit expert(const options &chosen)
        : reactor(chosen, ASIO_CONCURRENCY_HINT_UNSAFE_IO, UNWRITTEN_MOST, false)
    {
        game_init(&game_, &chosen, this);
        game_.wake = wake;
    }

    [[noreturn]] void run()
    {
        thread_name("loop");
        game_start(&game_, expert_thread);
        begin();
        for (;;) {
            expert_publish(&game_);
            expert_write(&game_, &conns_, write);
            handlers_ = 0;
            context_.run_one();
            if (handlers_) context_.poll();
            if (context_.stopped()) context_.restart();
        }
    }

  private:
    /* So many handlers are run before what they read is handed over. */
    static constexpr int TURN_MOST = 256;

    void turn() override
    {
        if (handlers_++ == 0) expert_awake(&game_);
        if (handlers_ == TURN_MOST) context_.stop();
    }

    /* On the game thread. */
    static void wake(void *self)
    {
        auto *server = static_cast<expert *>(self);
        if (server->woken_.exchange(true)) return;
        asio::post(server->context_,
                   in_memory(server->wake_memory_, [server] { server->woken_.store(false); }));
    }

    static bool write(void *item, const iovec *pieces, int count, std::size_t size)
    {
        return static_cast<conn *>(item)->write(pieces, count, size);
    }

    uint8_t *room() override { return expert_room(&game_); }

    bool received(conn &from, const uint8_t *data, std::size_t size) override
    {
        uint8_t *to = room();
        if (data != to) std::memcpy(to, data, size);
        bool good = expert_received(&game_, from.id, &from.split, size);
        expert_ahead(&game_, &conns_, write);
        return good;
    }

    void tell(uint64_t id, bool joined) override { expert_tell(&game_, id, joined); }

    game game_;
    /* Run in this turn; those that only wake the loop do not count. */
    int handlers_ = 0;
    /* A wake-up is on its way, and has the memory. */
    std::atomic<bool> woken_{false};
    handler_memory wake_memory_;
};

} // namespace

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", "typical", "expert", nullptr};
    static options chosen;
    options_read(&chosen, argc, argv, FORMS);
    peer_start();
    try {
        /* They live as long as the program: nothing of them is destroyed. */
        if (!std::strcmp(chosen.form, "loop")) (new loop(chosen))->run();
        if (!std::strcmp(chosen.form, "typical")) (new typical{chosen})->run();
        (new expert(chosen))->run();
    } catch (const std::exception &failed) {
        std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, failed.what());
        return 1;
    }
}
