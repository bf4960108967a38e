/* WebSocket by Boost.Beast on Boost.Asio, in one thread, without locks. What makes it strong: plain
   sockets without Beast's timers (one for each connection), streams that were compiled without
   compression, whole messages in one frame, and a buffer that stays.

   A broadcast is one buffer for all; who is still being written to has it queued, up to a limit. */
#include "peer.h"
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

static struct options options;

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using error = boost::system::error_code;
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using listener = asio::basic_socket_acceptor<tcp, executor>;
using message = std::shared_ptr<const std::vector<std::uint8_t>>;

class session;
std::unordered_set<session *> sessions;

class session : public std::enable_shared_from_this<session> {
  public:
    explicit session(socket_type socket) : stream_(std::move(socket))
    {
        stream_.binary(true);
        stream_.auto_fragment(false);
        stream_.read_message_max(PAYLOAD_MOST);
    }

    ~session()
    {
        sessions.erase(this);
    }

    void start()
    {
        stream_.async_accept([self = shared_from_this()](error failed) {
            if (failed) return;
            if (options.job == JOB_BROADCAST) sessions.insert(self.get());
            self->read();
        });
    }

    /* Sends it, or queues it behind what is being sent. */
    void tell(const message &next)
    {
        if (queue_.size() * next->size() > UNWRITTEN_MOST) return;
        queue_.push_back(next);
        if (queue_.size() == 1) write_queued();
    }

  private:
    void read()
    {
        stream_.async_read(buffer_, [self = shared_from_this()](error failed, std::size_t) {
            if (failed) {
                sessions.erase(self.get());
            } else if (options.job == JOB_ECHO) {
                self->write();
            } else {
                self->buffer_.consume(self->buffer_.size());
                self->read();
            }
        });
    }

    void write()
    {
        stream_.async_write(buffer_.data(),
                            [self = shared_from_this()](error failed, std::size_t size) {
                                if (failed) return;
                                self->buffer_.consume(size);
                                self->read();
                            });
    }

    void write_queued()
    {
        stream_.async_write(asio::buffer(*queue_.front()),
                            [self = shared_from_this()](error failed, std::size_t) {
                                if (failed) return;
                                self->queue_.pop_front();
                                if (!self->queue_.empty()) self->write_queued();
                            });
    }

    beast::websocket::stream<socket_type, false> stream_;
    beast::flat_buffer buffer_;
    std::deque<message> queue_;
};

void accept_next(listener &door)
{
    door.async_accept([&door](error failed, socket_type socket) {
        if (!failed) {
            std::make_shared<session>(std::move(socket))->start();
        } else if (failed == asio::error::no_descriptors || failed == asio::error::no_memory) {
            throw boost::system::system_error(failed, "accept");
        }
        accept_next(door);
    });
}

void broadcast(std::vector<std::uint8_t> &burst, std::uint64_t tick, std::uint64_t intended)
{
    broadcast_burst(burst.data(), &options, tick, intended);
    for (std::uint32_t i = 0; i < options.burst; i++) {
        const auto begin = burst.begin() + static_cast<std::ptrdiff_t>(i) * options.size;
        const message next =
            std::make_shared<const std::vector<std::uint8_t>>(begin, begin + options.size);
        for (session *each : sessions) each->tell(next);
    }
}

} // namespace

int main(int argc, char **argv)
{
    static const char *const FORMS[] = {"loop", nullptr};
    char facts[64];
    options_read(&options, argc, argv, FORMS);
    if (options.job == JOB_TICK) usage("it has no --job tick", FORMS);
    peer_start();
    thread_name("game");
    asio::io_context loop(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    listener door(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    door.set_option(tcp::no_delay(true));
    door.listen(PEER_BACKLOG);
    accept_next(door);
    std::snprintf(facts, sizeof facts, "boost=%d.%d beast=%d", BOOST_VERSION / 100000,
                  BOOST_VERSION / 100 % 1000, BOOST_BEAST_VERSION);
    peer_listening(door.local_endpoint().port(), facts);
    if (options.job == JOB_ECHO) {
        loop.run();
        return 0;
    }
    struct ticker ticker;
    std::vector<std::uint8_t> burst(std::size_t{options.burst} * options.size);
    ticker_start(&ticker, options.period_ms);
    for (;;) {
        const std::uint64_t intended = ticker_sleep(&ticker);
        loop.poll();
        broadcast(burst, ticker.number, intended);
        /* A write begins in the call; its handler comes with a poll. */
        loop.poll();
    }
}
