#include "bot.hpp"

#include <algorithm>
#include <cstdio>

#include "host.hpp"

namespace arena {
namespace {

constexpr uint64_t kMillisecond = 1000;

bool contains(const Snapshot &seen, uint16_t id)
{
    return std::any_of(seen.players.begin(), seen.players.end(),
                       [id](const PlayerState &player) { return player.id == id; });
}

} // namespace

Bot::Bot(Crowd &crowd, uint32_t number, bool restless, uint64_t start_us)
    : crowd_(crowd), number_(number), restless_(restless), next_us_(start_us),
      random_(number * 2654435761U + 1)
{
}

void Bot::drive(uint64_t now)
{
    const bool over = crowd_.ending || now >= crowd_.end_us;
    switch (state_) {
    case State::away:
        if (over)
            state_ = State::done;
        else if (now >= next_us_)
            connect(now);
        break;
    case State::playing:
        if (over || (restless_ && now >= next_us_))
            say_bye();
        else
            send_input(now);
        break;
    default: break;
    }
}

void Bot::connect(uint64_t now)
{
    // The number comes back with every event, from the first on.
    sockeye::endpoint endpoint = arena_endpoint();
    endpoint.user_data = number_;
    const sockeye::status status = crowd_.net.connect(crowd_.url, endpoint, conn_);
    crowd_.totals.sessions++;
    if (!status) {
        std::fprintf(stderr, "bot %u: connect: %s\n", number_, sockeye::last_error());
        crowd_.totals.connect_failed++;
        state_ = State::done;
        return;
    }
    state_ = State::connecting;
    sequence_ = acknowledged_ = inputs_ = snapshots_ = 0;
    players_ = 0;
    next_us_ = now + (1500 + random(2500)) * kMillisecond;
}

void Bot::handle(sockeye::event event, uint64_t now)
{
    event.visit([this](sockeye::opened) { say_hello(); },
                [&](sockeye::message got) { message(got.data(), got.size(), now); },
                [&](sockeye::closed gone) { closed(gone, now); });
}

void Bot::say_hello()
{
    Hello hello;
    hello.name = "bot" + std::to_string(number_);
    Writer message(Type::hello);
    hello.put(message);
    state_ = State::greeting;
    if (!send(message)) (void)conn_.close(SOCKEYE_CLOSE_RESET);
}

// Runs one way for a while, then another.
void Bot::send_input(uint64_t now)
{
    if (sequence_ == 0 || random(20) == 0) {
        input_.x = static_cast<int8_t>(static_cast<int32_t>(random(255)) - 127);
        input_.y = static_cast<int8_t>(static_cast<int32_t>(random(255)) - 127);
    }
    input_.sequence = sequence_ + 1;
    input_.sent_us = static_cast<uint32_t>(now);
    Writer message(Type::input);
    input_.put(message);
    if (!send(message)) return;
    sequence_++;
    sent_at_[sequence_ % kRemembered] = now;
    inputs_++;
    crowd_.totals.inputs++;
}

void Bot::say_bye()
{
    Bye bye;
    bye.inputs_sent = inputs_;
    Writer message(Type::bye);
    bye.put(message);
    if (send(message)) state_ = State::leaving; // else at the next drive
}

void Bot::message(const uint8_t *data, size_t size, uint64_t now)
{
    Reader in(data, size);
    const auto type = static_cast<Type>(in.u8());
    const bool greeted = state_ == State::playing || state_ == State::leaving;
    if (type == Type::welcome && state_ == State::greeting)
        welcome(in);
    else if (type == Type::snapshot && greeted)
        snapshot(data, size, now);
    else if (type == Type::ending && greeted)
        crowd_.ending = true;
    else if (type == Type::goodbye && state_ != State::left)
        goodbye(in);
    else
        crowd_.totals.corrupt++; // not at this time, or not at all
}

void Bot::welcome(Reader &in)
{
    Welcome welcome;
    if (!welcome.get(in) || welcome.version != kVersion || welcome.tick_hz != kTickHz) {
        crowd_.totals.corrupt++;
        return;
    }
    id_ = welcome.id;
    next_tick_ = welcome.first_tick;
    state_ = State::playing;
    crowd_.totals.joins++;
}

void Bot::snapshot(const uint8_t *data, size_t size, uint64_t now)
{
    Snapshot &seen = crowd_.seen;
    snapshots_++;
    crowd_.totals.snapshots++;
    if (!seen.get(data, size)) {
        crowd_.totals.corrupt++;
        return;
    }
    if (newer(next_tick_, seen.tick)) {
        crowd_.totals.out_of_order++;
        return;
    }
    crowd_.totals.missed += seen.tick - next_tick_;
    next_tick_ = seen.tick + 1;
    check_roster(seen);
    for (const PlayerState &player : seen.players)
        if (player.id == id_) return check_acknowledged(player.input, now);
    crowd_.totals.roster_errors++; // the bot itself is not in it
}

void Bot::check_roster(const Snapshot &seen)
{
    bool sound = players_ + seen.joined.size() == seen.players.size() + seen.left.size();
    if (snapshots_ == 1) // knows of nobody before, but its own coming has to be told in it
        sound = std::count(seen.joined.begin(), seen.joined.end(), id_) == 1;
    for (const uint16_t id : seen.joined) sound = sound && contains(seen, id);
    for (const uint16_t id : seen.left) sound = sound && !contains(seen, id);
    if (!sound) crowd_.totals.roster_errors++;
    players_ = seen.players.size();
}

// Every input that this snapshot is the first to acknowledge has taken so long.
void Bot::check_acknowledged(uint32_t input, uint64_t now)
{
    if (newer(acknowledged_, input) || newer(input, sequence_)) {
        crowd_.totals.ack_errors++;
        return;
    }
    for (; acknowledged_ != input; acknowledged_++) {
        const uint32_t next = acknowledged_ + 1;
        if (sequence_ - next < kRemembered) crowd_.latency.add(now - sent_at_[next % kRemembered]);
    }
}

void Bot::goodbye(Reader &in)
{
    Goodbye goodbye;
    const bool joined = state_ == State::playing || state_ == State::leaving;
    if (!goodbye.get(in)) crowd_.totals.corrupt++;
    if (state_ != State::leaving) {
        std::fprintf(stderr, "bot %u: sent away: %s\n", number_, reason_text(goodbye.reason));
        // A server that stops while the bot is still at the door has done nothing wrong.
        if (joined || goodbye.reason != Reason::stopped) crowd_.totals.kicked++;
    }
    if (joined) {
        crowd_.totals.leaves++;
        const bool last = snapshots_ == 0 || goodbye.last_tick + 1 == next_tick_;
        if (!last) crowd_.totals.missed++;
        if (goodbye.inputs_received != inputs_ || goodbye.snapshots_sent != snapshots_)
            crowd_.totals.count_errors++;
    }
    state_ = State::left;
}

void Bot::closed(sockeye::closed gone, uint64_t now)
{
    if (state_ != State::left)
        std::fprintf(stderr, "bot %u: %s\n", number_, gone.cause_text());
    else if (gone.cause() != SOCKEYE_CAUSE_PEER)
        crowd_.totals.lost++; // all was said, but the end was not in order
    const bool ended_well = state_ == State::left;
    if (state_ == State::connecting || state_ == State::greeting) crowd_.totals.connect_failed++;
    if (state_ == State::playing || state_ == State::leaving) {
        crowd_.totals.lost++;
        crowd_.totals.leaves++;
    }
    next_us_ = now + (200 + random(300)) * kMillisecond;
    state_ = ended_well && restless_ ? State::away : State::done;
}

bool Bot::send(const Writer &message)
{
    const sockeye::status status = conn_.send(message);
    // CLOSED: its event is on the way and tells it all.
    if (!status && status != SOCKEYE_ERR_CLOSED) crowd_.totals.refused++;
    return static_cast<bool>(status);
}

// xorshift: the same bot does the same in every run.
uint32_t Bot::random(uint32_t below)
{
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ % below;
}

} // namespace arena
