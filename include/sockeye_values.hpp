#ifndef SOCKEYE_VALUES_HPP
#define SOCKEYE_VALUES_HPP

/*
 * What the calls of sockeye.hpp, which includes this and says the rules, answer and are given:
 * statuses and words, bytes and times, configurations and addresses, buffers and messages in parts.
 */

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

#include "sockeye.h"

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SOCKEYE_HPP_THROWS
#include <exception>
#endif

namespace sockeye {

// --- Answers and words ---------------------------------------------------------------------------

/// What a call answers: done, perhaps with a count, or not done at all, and why. True is done.
class [[nodiscard]] status {
public:
    constexpr status(sockeye_status code = SOCKEYE_OK) noexcept : code_(code) {}

    constexpr explicit operator bool() const noexcept { return code_ >= 0; }
    constexpr sockeye_status code() const noexcept { return code_; }
    constexpr int32_t count() const noexcept { return code_ < 0 ? 0 : code_; }
    const char *text() const noexcept { return sockeye_status_text(code_); }

    friend constexpr bool operator==(status a, status b) noexcept { return a.code_ == b.code_; }
    friend constexpr bool operator!=(status a, status b) noexcept { return a.code_ != b.code_; }

#if defined(SOCKEYE_HPP_THROWS)
    /// The count, or throws an `error` with the status's words.
    int32_t or_throw() const;
#endif

private:
    sockeye_status code_;
};

/// A short text by value.
template <std::size_t N> struct text {
    char data[N] = {};
    const char *c_str() const noexcept { return data; }
    operator std::string_view() const noexcept { return data; }
};

#if defined(SOCKEYE_HPP_THROWS)
/// What is thrown. Its words are a copy: of `last_error`, or the status's where no call is known.
class error : public std::exception {
public:
    error(sockeye::status why, const char *words) noexcept : why_(why)
    {
        std::snprintf(words_.data, sizeof words_.data, "%s", words);
    }
    sockeye::status status() const noexcept { return why_; }
    const char *what() const noexcept override { return words_.data; }

private:
    sockeye::status why_;
    text<256> words_;
};

inline int32_t status::or_throw() const
{
    if (code_ < 0) throw error(*this, text());
    return code_;
}
#endif

inline const char *version() noexcept { return sockeye_version(); }
inline uint32_t abi_version() noexcept { return sockeye_abi_version(); }

/// Whether the library that runs has all that this header tells of: the same major version (while
/// that is 0, the same minor one), and a binary interface that is no older.
inline bool library_fits() noexcept
{
    char *end = nullptr;
    const unsigned long major = std::strtoul(version(), &end, 10);
    if (*end != '.' || major != SOCKEYE_VERSION_MAJOR) return false;
    const unsigned long minor = std::strtoul(end + 1, nullptr, 10);
    return (major > 0 || minor == SOCKEYE_VERSION_MINOR) && abi_version() >= SOCKEYE_ABI_VERSION;
}

/// Words for this thread's last refusal, `wake` excepted. Borrowed until its next one.
inline const char *last_error() noexcept
{
    if (library_fits()) return sockeye_last_error();
    static const auto words = [] {
        text<192> made;
        std::snprintf(made.data, sizeof made.data,
                      "the program was built for Sockeye %u.%u.%u (ABI %u), the library is %s "
                      "(ABI %u)",
                      unsigned{SOCKEYE_VERSION_MAJOR}, unsigned{SOCKEYE_VERSION_MINOR},
                      unsigned{SOCKEYE_VERSION_PATCH}, unsigned{SOCKEYE_ABI_VERSION}, version(),
                      unsigned{abi_version()});
        return made;
    }();
    return words.data;
}

inline const char *cause_text(int32_t cause) noexcept { return sockeye_cause_text(cause); }

inline text<128> os_error_text(int32_t code) noexcept
{
    text<128> words;
    (void)sockeye_os_error_text(code, words.data, sizeof words.data);
    return words;
}

// --- What is given to calls ----------------------------------------------------------------------

namespace detail {

template <class R> using element =
    std::remove_cv_t<std::remove_pointer_t<decltype(std::data(std::declval<const R &>()))>>;

/// Whether R is a range of T in one piece: an array, a vector, a span.
template <class R, class T, class = void> struct lists : std::false_type {};
template <class R, class T>
struct lists<R, T, std::void_t<element<R>, decltype(std::size(std::declval<const R &>()))>>
    : std::is_same<element<R>, T> {};

/// Whether R is a range of bytes. For arrays of characters there are constructors of their own.
template <class R> constexpr bool lists_bytes =
    lists<R, unsigned char>::value || lists<R, std::byte>::value ||
    (lists<R, char>::value && !std::is_array_v<R>);

/// A duration's count as a field has it: what does not fit is the nearest that does.
constexpr uint32_t to_field(int64_t count) noexcept
{
    if (count <= 0) return 0;
    return count < INT64_C(0xFFFFFFFF) ? static_cast<uint32_t>(count) : UINT32_C(0xFFFFFFFF);
}

#if defined(SOCKEYE_HPP_THROWS)
/// What a call writes to its out-parameter, or its refusal thrown.
template <class Out, class Call> Out made(Call call)
{
    Out out{};
    if (const status done = call(out); !done) throw error(done, last_error());
    return out;
}
#endif

template <class F, class... View>
constexpr bool takes_any = (std::is_invocable_v<F &, View> || ...);

template <class View, class F, class... Rest> void call_first(View view, F &function, Rest &...rest)
{
    if constexpr (std::is_invocable_v<F &, View>)
        function(view);
    else if constexpr (sizeof...(Rest) > 0)
        call_first(view, rest...);
}

/// Where a function object is, as C takes it.
template <class F> void *place(F &function) noexcept
{
    static_assert(std::is_object_v<F>, "not a plain function: a lambda that calls it");
    return const_cast<void *>(static_cast<const volatile void *>(std::addressof(function)));
}

/// Whether P is a pointer to a text.
template <class P> constexpr bool points_to_text =
    std::is_same_v<P, const char *> || std::is_same_v<P, char *>;

} // namespace detail

/// Bytes of the host's: a literal, a text behind a pointer, a string, a string_view, a vector,
/// array or span of bytes, or pointer and size. Borrowed until the call returns that they are given
/// to. An array of characters is all of its bytes, whatever they are: only where it is `const`, as
/// a literal is, a NUL at its very end does not count. The text in a larger array is a
/// `std::string_view(array)`.
struct bytes : sockeye_bytes {
    constexpr bytes() noexcept : sockeye_bytes{nullptr, 0} {}
    bytes(const void *first, std::size_t count) noexcept
        : sockeye_bytes{first, count} {}
    template <class P, std::enable_if_t<detail::points_to_text<P>, int> = 0>
    bytes(const P &words) noexcept : bytes(words, words ? std::strlen(words) : 0) {}
    template <std::size_t N> bytes(const char (&literal)[N]) noexcept
        : bytes(literal, literal[N - 1] == '\0' ? N - 1 : N) {}
    template <std::size_t N> bytes(char (&all)[N]) noexcept : bytes(all, N) {}
    template <class R, std::enable_if_t<detail::lists_bytes<R>, int> = 0>
    bytes(const R &range) noexcept : bytes(std::data(range), std::size(range)) {}
};
static_assert(sizeof(bytes) == sizeof(sockeye_bytes), "an array of them is one of C");

/// A NUL-terminated text of the host's: a pointer, or whatever has `c_str`.
struct c_text {
    const char *data;
    constexpr c_text(const char *words) noexcept : data(words) {}
    template <class S, class = decltype(std::declval<const S &>().c_str())>
    c_text(const S &words) noexcept : data(words.c_str()) {}
};

/// Connections by their `conn::id`: a vector, an array, a span, or pointer and size.
struct conn_list {
    const sockeye_conn *data;
    std::size_t size;
    constexpr conn_list(const sockeye_conn *first, std::size_t count) noexcept
        : data(first), size(count) {}
    template <class R, std::enable_if_t<detail::lists<R, sockeye_conn>::value, int> = 0>
    conn_list(const R &range) noexcept : data(std::data(range)), size(std::size(range)) {}
};

/// The most that a call may wait, of any duration: rounded up, and below zero it is zero, so that
/// what is left of a deadline never turns into a wait without end. That is `forever`.
class timeout {
public:
    template <class Rep, class Period>
    constexpr timeout(std::chrono::duration<Rep, Period> limit) noexcept
    {
        const double exact = std::chrono::duration<double, std::milli>(limit).count();
        if (!(exact > 0)) return;
        ms_ = exact < INT32_MAX ? static_cast<int32_t>(exact) : INT32_MAX;
        if (ms_ < exact && ms_ < INT32_MAX) ms_++;
    }
    static constexpr timeout none() noexcept
    {
        timeout endless(std::chrono::milliseconds(0));
        endless.ms_ = -1;
        return endless;
    }
    /// Milliseconds, -1 for ever.
    constexpr int32_t ms() const noexcept { return ms_; }

private:
    int32_t ms_ = 0;
};

inline constexpr timeout forever = timeout::none();

// --- Models and configuration --------------------------------------------------------------------

inline status model_probe(uint32_t model, sockeye_model_info &out) noexcept
{ return sockeye_model_probe(model, &out, sizeof out); }

/// Where all of the library's memory comes from: before every other call, once in a process.
inline status set_allocator(sockeye_allocate_fn allocate, sockeye_reallocate_fn reallocate,
                            sockeye_release_fn release, void *user) noexcept
{ return sockeye_set_allocator(allocate, reallocate, release, user); }
/// Who hears of each thread of the library, when it starts and when it ends: while no net lives.
inline status set_thread_hook(sockeye_thread_fn hook, void *user) noexcept
{ return sockeye_set_thread_hook(hook, user); }
inline const char *model_name(uint32_t model) noexcept { return sockeye_model_name(model); }
inline status model_from_name(c_text name, uint32_t &out) noexcept
{ return sockeye_model_from_name(name.data, &out); }

/// What a net is made with: the defaults, to be changed by field or by duration.
struct config : sockeye_config {
    config() noexcept : sockeye_config()
    { (void)sockeye_config_init(this, sizeof(sockeye_config)); }
    using us = std::chrono::microseconds;
    config &lease(us time) noexcept { return lease_us = detail::to_field(time.count()), *this; }
    config &gather(us time) noexcept { return gather_us = detail::to_field(time.count()), *this; }
    config &spin(us time) noexcept { return spin_us = detail::to_field(time.count()), *this; }
};

/// What connections are made with: the defaults, to be changed by field or by duration.
struct endpoint : sockeye_endpoint {
    endpoint() noexcept : sockeye_endpoint()
    { (void)sockeye_endpoint_init(this, sizeof(sockeye_endpoint)); }
    using ms = std::chrono::milliseconds;
    endpoint &connect_timeout(ms time) noexcept { return put(connect_timeout_ms, time.count()); }
    endpoint &idle_timeout(ms time) noexcept { return put(idle_timeout_ms, time.count()); }
    endpoint &first_byte_timeout(ms time) noexcept
    { return put(first_byte_timeout_ms, time.count()); }
    endpoint &frame_timeout(ms time) noexcept { return put(frame_timeout_ms, time.count()); }
    endpoint &send_timeout(ms time) noexcept { return put(send_timeout_ms, time.count()); }
    endpoint &linger(ms time) noexcept { return put(linger_ms, time.count()); }
    endpoint &keepalive(std::chrono::seconds time) noexcept
    { return put(keepalive_s, time.count()); }

private:
    endpoint &put(uint32_t &field, int64_t count) noexcept
    { return field = detail::to_field(count), *this; }
};

/// What a listener lets in: all, to be changed by field. `endpoint.guard` points to it.
struct guard : sockeye_guard {
    guard() noexcept : sockeye_guard()
    { (void)sockeye_guard_init(this, sizeof(sockeye_guard)); }
    /// The proxies whose headers are believed. They stay the caller's until `listen`.
    guard &proxies(const sockeye_prefix *from, uint32_t count) noexcept
    {
        proxy_from = from;
        proxy_from_count = count;
        return *this;
    }
};

/// All addresses that begin with the same `bits` bits.
struct prefix : sockeye_prefix {
    prefix(const sockeye_address &of, uint32_t bits) noexcept : sockeye_prefix()
    {
        address = of;
        prefix_bits = bits;
    }
};

/// TLS of an endpoint: a client that checks its server as the system does, to be changed by field.
/// `endpoint.tls` points to it.
struct tls : sockeye_tls {
    tls() noexcept : sockeye_tls()
    { (void)sockeye_tls_init(this, sizeof(sockeye_tls)); }
};

/// HTTP and WebSocket of an endpoint with the defaults of `sockeye_http_init`; `endpoint.http`
/// points to it.
struct http : sockeye_http {
    http() noexcept : sockeye_http()
    { (void)sockeye_http_init(this, sizeof(sockeye_http)); }
};

/// Lanes of `game://` with the defaults of `sockeye_lanes_init`; `endpoint.lanes` points to it.
struct lanes : sockeye_lanes {
    lanes() noexcept : sockeye_lanes()
    { (void)sockeye_lanes_init(this, sizeof(sockeye_lanes)); }
};

/// What a bad network does: nothing, to be changed by field. Needs `config::taps`.
struct fault : sockeye_fault {
    fault() noexcept : sockeye_fault()
    { (void)sockeye_fault_init(this, sizeof(sockeye_fault)); }
    /// Has it happen in a whole net, to a listener and what it accepts, or to a connection:
    /// `fault.set(net.raw(), conn.id())`.
    status set(sockeye_net *net) const noexcept { return sockeye_fault_set(net, 0, this); }
    status set(sockeye_net *net, sockeye_listener of) const noexcept
    { return sockeye_fault_set(net, of.id, this); }
    status set(sockeye_net *net, sockeye_conn of) const noexcept
    { return sockeye_fault_set(net, of.id, this); }
    /// Takes back what was set for an `id`; 0: the net.
    static status clear(sockeye_net *net, uint64_t id = 0) noexcept
    { return sockeye_fault_set(net, id, nullptr); }
};

/// An internet address; family 0 is none.
struct address : sockeye_address {
    address() noexcept : sockeye_address() {}
    address(const sockeye_address &other) noexcept : sockeye_address(other) {}
    static sockeye::status parse(c_text words, address &out) noexcept
    { return sockeye_address_parse(words.data, &out); }
    /// From `len` bytes of a sockaddr_in, a sockaddr_in6, or a sockaddr_storage with one in it.
    static sockeye::status from(const void *sockaddr, std::size_t len, address &out) noexcept
    { return sockeye_address_from_sockaddr(sockaddr, len, &out); }
    /// To the system's form; a sockaddr_storage always has room.
    sockeye::status to(void *sockaddr, std::size_t cap, std::size_t &out_len) const noexcept
    { return sockeye_address_to_sockaddr(this, sockaddr, cap, &out_len); }
    /// "127.0.0.1:7777"; empty for none.
    sockeye::text<64> text() const noexcept
    {
        sockeye::text<64> words;
        (void)sockeye_address_format(this, words.data, sizeof words.data);
        return words;
    }
    /// "127.0.0.1"; empty for none.
    sockeye::text<64> ip_text() const noexcept
    {
        sockeye::text<64> words;
        (void)sockeye_address_format_ip(this, words.data, sizeof words.data);
        return words;
    }
    /// "::ffff:1.2.3.4": an IPv4 peer of a socket for both families.
    bool is_v4mapped() const noexcept { return sockeye_address_is_v4mapped(this) != 0; }
    /// The same peer, whatever address of ours it asked (`local` does not count), and whether its
    /// IPv4 address is v4-mapped or not.
    friend bool operator==(const address &one, const address &other) noexcept
    { return sockeye_address_equal(&one, &other) != 0; }
    friend bool operator!=(const address &one, const address &other) noexcept
    { return !(one == other); }
#if defined(SOCKEYE_HPP_THROWS)
    static address parse(c_text words)
    {
        address out;
        parse(words, out).or_throw();
        return out;
    }
#endif
};

/// What a connect token is made of; `addresses` and `user_data` are borrowed until it is made.
struct token_config : sockeye_token_config {
    token_config() noexcept : sockeye_token_config()
    { (void)sockeye_token_config_init(this, sizeof(sockeye_token_config)); }
    /// Makes one, which is of one player alone. It needs no net.
    status make(uint8_t (&out)[SOCKEYE_TOKEN_BYTES]) const noexcept
    { return sockeye_token_make(this, out); }
};

// --- Buffers and messages in parts ---------------------------------------------------------------

/// A piece of the library's memory: acquired, to be written, committed and sent without a copy, or
/// a held message, to be read. Given back at its end, which may come after that of its net.
class buffer {
public:
    buffer() noexcept : raw_() {}
    explicit buffer(const sockeye_buffer &taken) noexcept : raw_(taken) {}
    buffer(buffer &&from) noexcept : raw_(from.release()) {}
    buffer &operator=(buffer from) noexcept // which takes the old one with it
    {
        std::swap(raw_, from.raw_);
        return *this;
    }
    ~buffer() { reset(); }

    explicit operator bool() const noexcept { return raw_.id != 0; }
    uint8_t *data() noexcept { return raw_.data; }
    const uint8_t *data() const noexcept { return raw_.data; }
    std::size_t size() const noexcept { return raw_.data_len; }
    std::size_t capacity() const noexcept { return raw_.capacity; }
    std::string_view text() const noexcept
    { return {reinterpret_cast<const char *>(raw_.data), raw_.data_len}; }
#if defined(__cpp_lib_span)
    /// All the room there is, to be written.
    std::span<std::byte> room() noexcept
    { return {reinterpret_cast<std::byte *>(raw_.data), raw_.capacity}; }
#endif
    /// Says how much was written. Returns: OK; ERR_TOO_BIG (over the capacity: nothing changes).
    status commit(std::size_t count) noexcept
    {
        if (count > raw_.capacity) return SOCKEYE_ERR_TOO_BIG;
        raw_.data_len = static_cast<uint32_t>(count);
        return SOCKEYE_OK;
    }
    const sockeye_buffer &raw() const noexcept { return raw_; }
    /// Ownership moves to the caller, who gives it to `sockeye_buffer_release`.
    sockeye_buffer release() noexcept { return std::exchange(raw_, sockeye_buffer()); }
    void reset() noexcept
    {
        sockeye_buffer old = release();
        (void)sockeye_buffer_release(&old);
    }

private:
    sockeye_buffer raw_;
};

/// A message in parts, with the field `key` for messages where only the newest counts. Borrows the
/// array of parts, and the buffer, until it is sent.
struct message_parts : sockeye_message {
    message_parts(const bytes *list, std::size_t count) noexcept : sockeye_message()
    {
        (void)sockeye_message_init(this, sizeof(sockeye_message));
        parts = list;
        parts_count = count > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(count);
    }
    template <std::size_t N> message_parts(const bytes (&list)[N]) noexcept
        : message_parts(list, N) {}
    /// Parts in this buffer are not copied.
    message_parts &from(const buffer &memory) noexcept
    { return buffer_id = memory.raw().id, *this; }
};

} // namespace sockeye

#endif // SOCKEYE_VALUES_HPP
