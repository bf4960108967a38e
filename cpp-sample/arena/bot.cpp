#include "bot.hpp"

#include <algorithm>
#include <cstdio>

#include "host.hpp"

namespace arena {
namespace {

constexpr uint64_t kMillisecond = 1000;
constexpr uint16_t kNobody = 0; // never an id

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
    sockeye::endpoint endpoint = arena_endpoint(crowd_.url);
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
    sequence_ = acknowledged_ = inputs_ = snapshots_ = missed_ = sightings_ = 0;
    areas_ = 0;
    newest_tick_ = due_ = 0;
    id_ = kNobody;
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
    if (!send(message, kNewestLane)) return;
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
    else if (type == Type::view && greeted)
        view(in);
    else if (type == Type::snapshot && (greeted || (crowd_.lanes && state_ != State::away)))
        snapshot(data, size, now);
    else if (type == Type::notice && greeted)
        crowd_.totals.notices++;
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
    state_ = State::playing;
    crowd_.totals.joins++;
}

void Bot::view(Reader &in)
{
    View view;
    if (!view.get(in)) {
        crowd_.totals.corrupt++;
        return;
    }
    for (uint32_t area = 0; area < kAreas; area++) {
        if (has(areas_, area)) miss(area, view.first_tick); // they do not come any more
        if (has(view.areas, area)) next_tick_[area] = view.first_tick;
    }
    if (areas_ == 0) first_tick_ = view.first_tick;
    areas_ = view.areas;
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
    if (!in_order(seen)) {
        crowd_.totals.out_of_order++;
        return;
    }
    for (const PlayerState &player : seen.players) {
        if (area_at(player.x, player.y) != seen.area) crowd_.totals.area_errors++;
        if (player.id == id_) see_itself(player, seen.tick, now);
    }
}

// With lanes the VIEW may come later than its snapshots: then they are in the order of their ticks.
bool Bot::in_order(const Snapshot &seen)
{
    if (crowd_.lanes) {
        if (newer(newest_tick_, seen.tick)) return false;
        newest_tick_ = seen.tick;
        return true;
    }
    if (!has(areas_, seen.area) || newer(next_tick_[seen.area], seen.tick)) return false;
    miss(seen.area, seen.tick);
    next_tick_[seen.area] = seen.tick + 1;
    return true;
}

// There is no snapshot of this area before `tick` any more.
void Bot::miss(uint32_t area, uint32_t tick)
{
    if (crowd_.lanes || !newer(tick, next_tick_[area])) return;
    missed_ += tick - next_tick_[area];
    crowd_.totals.missed += tick - next_tick_[area];
}

void Bot::see_itself(const PlayerState &self, uint32_t tick, uint64_t now)
{
    const bool again = sightings_ > 0 && !newer(tick, last_seen_);
    const bool elsewhere = !crowd_.lanes && areas_near(self.x, self.y) != areas_;
    if (again || elsewhere) crowd_.totals.area_errors++;
    sightings_++;
    last_seen_ = tick;
    const auto step = static_cast<int16_t>(self.input - static_cast<uint16_t>(acknowledged_));
    check_acknowledged(acknowledged_ + static_cast<uint32_t>(step), now);
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
        crowd_.totals.due += goodbye.snapshots_due;
        const uint32_t end = goodbye.last_tick + 1;
        for (uint32_t area = 0; area < kAreas; area++)
            if (has(areas_, area)) miss(area, end);
        // In each tick it was in one snapshot, which came or is among the missed.
        const bool seen = areas_ == 0 || sightings_ + missed_ >= end - first_tick_;
        const bool agreed = goodbye.inputs_received == inputs_ &&
                            goodbye.snapshots_due == snapshots_ + missed_ && seen;
        // With lanes some of both are lost, and the last snapshots may be still on the way.
        const bool sound = crowd_.lanes ? goodbye.inputs_received <= inputs_ : agreed;
        if (!sound) crowd_.totals.count_errors++;
    }
    due_ = goodbye.snapshots_due;
    state_ = State::left;
}

void Bot::closed(sockeye::closed gone, uint64_t now)
{
    if (state_ != State::left)
        std::fprintf(stderr, "bot %u: %s\n", number_, gone.cause_text());
    else if (gone.cause() != SOCKEYE_CAUSE_PEER)
        crowd_.totals.lost++; // all was said, but the end was not in order
    const bool ended_well = state_ == State::left;
    if (crowd_.lanes && ended_well) {
        if (snapshots_ > due_) crowd_.totals.count_errors++;
        crowd_.totals.missed += due_ - snapshots_;
    }
    if (state_ == State::connecting || state_ == State::greeting) crowd_.totals.connect_failed++;
    if (state_ == State::playing || state_ == State::leaving) {
        crowd_.totals.lost++;
        crowd_.totals.leaves++;
    }
    next_us_ = now + (200 + random(300)) * kMillisecond;
    state_ = ended_well && restless_ ? State::away : State::done;
}

bool Bot::send(const Writer &message, uint32_t lane)
{
    const sockeye::status status = conn_.send_lane(lane, message);
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
