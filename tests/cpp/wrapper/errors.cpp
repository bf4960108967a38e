// Refusals: a status says which, words say why, and with exceptions on both are thrown where a call
// gives its result back. A library that is older than the header is refused, in clear words.
#include "host.hpp"

#include <string>

// Standing in for the library's own, as a program's functions do.
namespace {
uint32_t told_abi = SOCKEYE_ABI_VERSION;
const char *told_version = "0.1.0";
} // namespace
extern "C" uint32_t sockeye_abi_version(void) { return told_abi; }
extern "C" const char *sockeye_version(void) { return told_version; }

namespace {

bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

void check_versions()
{
    sockeye::net net;
    REQUIRE(sockeye::library_fits());
    told_abi = SOCKEYE_ABI_VERSION + 1; // a newer one has all that this one has
    REQUIRE_DONE(sockeye::net::open(net));
    sockeye_net *const raw = net.raw();

    told_abi = SOCKEYE_ABI_VERSION - 1;
    told_version = "0.0.9";
    REQUIRE(!sockeye::library_fits());
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, sockeye::net::open(net));
    REQUIRE(net.raw() == raw); // written only when it is done
    char ours[64];
    snprintf(ours, sizeof ours, "built for Sockeye %d.%d.%d (ABI %u)", SOCKEYE_VERSION_MAJOR,
             SOCKEYE_VERSION_MINOR, SOCKEYE_VERSION_PATCH, unsigned{SOCKEYE_ABI_VERSION});
    REQUIRE(has(sockeye::last_error(), ours));
    REQUIRE(has(sockeye::last_error(), "library is 0.0.9 (ABI 0)"));
#if defined(SOCKEYE_HPP_THROWS)
    try {
        net = sockeye::net::open();
        harness_fail(__FILE__, __LINE__, "nothing is thrown");
    } catch (const sockeye::error &error) {
        REQUIRE(error.status() == SOCKEYE_ERR_UNSUPPORTED && has(error.what(), "0.0.9"));
    }
#endif
    told_abi = SOCKEYE_ABI_VERSION;
    told_version = "1.0.0"; // another major version has other promises
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, sockeye::net::open(net));
    told_version = "0.9.0"; // and so has another minor one before 1.0
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, sockeye::net::open(net));
    told_version = "none";
    REQUIRE_ANSWER(SOCKEYE_ERR_UNSUPPORTED, sockeye::net::open(net));
    told_version = "0.1.9";
    REQUIRE_DONE(sockeye::net::open(net));
    REQUIRE(has(sockeye::version(), "0.1.9") && sockeye::abi_version() == SOCKEYE_ABI_VERSION);
}

static_assert(sockeye::status() && sockeye::status(7) && !sockeye::status(SOCKEYE_ERR_AGAIN));
static_assert(sockeye::status(7).count() == 7 && sockeye::status(-4).count() == 0);
static_assert(sockeye::status(-4) == SOCKEYE_ERR_AGAIN && sockeye::status() != SOCKEYE_ERR_AGAIN);

void check_statuses(sockeye::net_ref net)
{
    sockeye::listener door, other;
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.listen("no url", door));
    REQUIRE(!door && strlen(sockeye::last_error()) > 0);
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.listen(nullptr, door));
    REQUIRE_DONE(net.listen("tcp://127.0.0.1:0", door));
    const sockeye::listener_ref before = door;
    REQUIRE_ANSWER(SOCKEYE_ERR_BUSY, net.listen(url_of(door, "tcp", ""), other));
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.listen("no url", door));
    REQUIRE(door == before && !other);
    const sockeye::conn nobody(net.raw(), sockeye_conn{});
    const sockeye::status late = nobody.send("x");
    REQUIRE(late == SOCKEYE_ERR_STALE && strcmp(late.text(), sockeye_status_text(-2)) == 0);
    REQUIRE_ANSWER(SOCKEYE_ERR_STALE, nobody.send_parts({"x", "y"})); // not "0 took it"

    sockeye_model_info info;
    uint32_t model = 0;
    REQUIRE_DONE(sockeye::model_from_name(std::string("poll"), model));
    REQUIRE(model == SOCKEYE_MODEL_POLL && strcmp(sockeye::model_name(model), "poll") == 0);
    REQUIRE_DONE(sockeye::model_probe(model, info));
    REQUIRE_INT(1, info.available);
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, sockeye::model_from_name("abacus", model));
    REQUIRE(has(sockeye::os_error_text(2), "file"));
    REQUIRE(has(sockeye::cause_text(SOCKEYE_CAUSE_REFUSED), "refused"));
    sockeye_net_info facts;
    REQUIRE_DONE(net.info(facts));
    REQUIRE(facts.queues == 1);
    REQUIRE_DONE(net.flush());
    REQUIRE_ANSWER(SOCKEYE_ERR_INVALID, net.flush(1));
}

#if defined(SOCKEYE_HPP_THROWS)
template <class Call> std::string thrown(sockeye_status expected, Call call)
{
    try {
        call();
    } catch (const std::exception &caught) {
        const auto *error = dynamic_cast<const sockeye::error *>(&caught);
        REQUIRE(error != nullptr);
        REQUIRE_ANSWER(expected, error->status());
        return error->what();
    }
    harness_fail(__FILE__, __LINE__, "nothing is thrown");
    return "";
}

void check_throws()
{
    sockeye::net net = sockeye::net::open();
    const sockeye::listener door = net.listen("tcp://127.0.0.1:0?frame=u8");
    const std::string url = url_of(door, "tcp", "?frame=u8").data;
    REQUIRE(url.find(std::to_string(door.info().port)) != std::string::npos);
    const sockeye::conn client = net.connect(url);
    client.send("taken").or_throw();
    REQUIRE(client.info().queue == 0 && client.stats().dropped_messages == 0);
    sockeye::batch<> events;
    bool got = false;
    std::string words;
    while (!got) {
        net.poll(events, 10s).or_throw();
        events.visit([&](sockeye::message one) {
            got = one.text() == "taken";
            REQUIRE(one.hold().text() == "taken");
        });
    }
    REQUIRE(net.info().queues == 1 && net.stats().received_messages >= 1);
    REQUIRE(net.acquire(10).capacity() >= 10);
    REQUIRE(sockeye::address::parse("127.0.0.1:9").port == 9);

    words = thrown(SOCKEYE_ERR_INVALID, [&] { (void)net.listen("ftp//"); });
    REQUIRE(words == sockeye::last_error());
    words = thrown(SOCKEYE_ERR_BUSY, [&] { (void)net.listen(url); });
    REQUIRE(words == sockeye::last_error());
    words = thrown(SOCKEYE_ERR_TOO_BIG, [&] { client.send(std::string(300, 'x')).or_throw(); });
    REQUIRE(words == sockeye_status_text(SOCKEYE_ERR_TOO_BIG)); // a send sets no last error
    thrown(SOCKEYE_ERR_INVALID, [&] { (void)net.acquire(0); });
    thrown(SOCKEYE_ERR_INVALID, [&] { (void)net.wait_handle(7); });
    thrown(SOCKEYE_ERR_UNSUPPORTED, [&] { (void)door.stats(); });
    thrown(SOCKEYE_ERR_INVALID, [] { (void)sockeye::address::parse("here"); });
    sockeye::config wrong;
    wrong.queues = 65;
    words = thrown(SOCKEYE_ERR_INVALID, [&] { net = sockeye::net::open(wrong); });
    REQUIRE(has(words, "queues") && net);
}
#endif

} // namespace

int main()
{
    harness_watchdog();
    check_versions();
    sockeye::net net;
    REQUIRE_DONE(sockeye::net::open(net));
    check_statuses(net);
#if defined(SOCKEYE_HPP_THROWS)
    check_throws();
#endif
    return 0;
}
