#include "match.hpp"

#include <algorithm>
#include <cstdio>

namespace arena {

Match::Match(sockeye::net_ref net, uint32_t connections_max, uint32_t kick_after)
    : net_(net), kick_after_(kick_after), guests_(connections_max)
{
}

void Match::handle(const sockeye::events &events, uint64_t now)
{
    // Not `writable`: the next snapshot tries anyway.
    events.visit([this](sockeye::opened event) { opened(event.conn()); },
                 [&](sockeye::message event) { message(guest_of(event.conn()), event, now); },
                 [this](sockeye::closed event) { closed(guest_of(event.conn())); });
}

void Match::opened(sockeye::conn conn)
{
    counts_.opened++;
    Guest &guest = guest_of(conn); // the place may be an old one's
    guest = Guest();
    guest.conn = conn;
    guest.state = State::greeting;
    if (ending_) dismiss(guest, Reason::stopped);
}

void Match::message(Guest &guest, sockeye::message event, uint64_t now)
{
    if (guest.state == State::gone) return; // was in the array already when we closed
    counts_.messages_in++;
    Reader in(event.data(), event.size());
    const auto type = static_cast<Type>(in.u8());
    if (type == Type::hello && guest.state == State::greeting) return hello(guest, in);
    if (type == Type::input && guest.state == State::playing) return input(guest, in, now);
    if (type == Type::bye && guest.state == State::playing) {
        Bye bye;
        return dismiss(guest, bye.get(in) ? Reason::bye : Reason::protocol);
    }
    dismiss(guest, Reason::protocol);
}

void Match::hello(Guest &guest, Reader &in)
{
    Hello hello;
    if (!hello.get(in)) return dismiss(guest, Reason::protocol);
    if (hello.version != kVersion) return dismiss(guest, Reason::version);
    if (playing_.size() == kBodiesMax) return dismiss(guest, Reason::full);
    guest.state = State::playing;
    guest.id = free_id();
    for (const char c : hello.name) guest.name += c >= ' ' && c <= '~' ? c : '?';
    guest.place = static_cast<uint32_t>(playing_.size());
    playing_.push_back(guest.conn.id());
    world_.add(guest.id);
    snapshot_.joined.push_back(guest.id);
    counts_.joins++;

    Welcome welcome;
    welcome.id = guest.id;
    welcome.first_tick = tick_ + 1;
    Writer message(Type::welcome);
    welcome.put(message);
    tell(guest, message);
}

void Match::input(Guest &guest, Reader &in, uint64_t now)
{
    Input input;
    if (!input.get(in)) return dismiss(guest, Reason::protocol);
    counts_.inputs++;
    guest.inputs++;
    if (!newer(input.sequence, guest.newest)) {
        counts_.stale++;
        return;
    }
    if (guest.moved) counts_.superseded++;
    if (guest.last_came_us != 0) {
        const auto sent = static_cast<int64_t>(input.sent_us - guest.last_sent_us);
        const auto came = static_cast<int64_t>(now - guest.last_came_us);
        jitter_.add(static_cast<uint64_t>(came > sent ? came - sent : sent - came));
    }
    guest.last_sent_us = input.sent_us;
    guest.last_came_us = now;
    guest.newest = input.sequence;
    guest.moved = true;
    Body *body = world_.find(guest.id);
    body->push_x = input.x;
    body->push_y = input.y;
    body->input = input.sequence;
}

void Match::closed(Guest &guest)
{
    counts_.closed++;
    if (guest.state == State::playing) {
        counts_.lost++;
        leave(guest);
    }
    guest.state = State::none;
}

void Match::dismiss(Guest &guest, Reason reason)
{
    if (guest.state == State::playing) leave(guest);
    if (reason != Reason::bye && reason != Reason::stopped) {
        counts_.kicked++;
        std::fprintf(stderr, "arena_server: kicked '%s': %s\n", guest.name.c_str(),
                     reason_text(reason));
    }
    guest.state = State::gone;
    Goodbye goodbye;
    goodbye.reason = reason;
    goodbye.inputs_received = guest.inputs;
    goodbye.snapshots_sent = guest.snapshots;
    goodbye.last_tick = guest.last_tick;
    Writer message(Type::goodbye);
    goodbye.put(message);
    const sockeye::status status = guest.conn.close_with(message);
    if (status) counts_.messages_out++;
    if (status == SOCKEYE_ERR_NO_MEMORY) (void)guest.conn.close(SOCKEYE_CLOSE_RESET);
}

void Match::leave(Guest &guest)
{
    // The last one takes his place, so that the list stays without holes.
    playing_[guest.place] = playing_.back();
    guest_at(guest.place).place = guest.place;
    playing_.pop_back();
    world_.remove(guest.id);
    counts_.leaves++;
    // Whom nobody has heard of yet does not leave either.
    auto &joined = snapshot_.joined;
    const auto unheard = std::find(joined.begin(), joined.end(), guest.id);
    if (unheard != joined.end())
        joined.erase(unheard);
    else
        snapshot_.left.push_back(guest.id);
}

void Match::tell(Guest &guest, const Writer &message)
{
    const sockeye::status status = guest.conn.send(message);
    if (status)
        counts_.messages_out++;
    else if (status == SOCKEYE_ERR_AGAIN)
        dismiss(guest, Reason::slow);
    // Anything else says that it has closed: its event is on the way.
}

void Match::tick()
{
    tick_++;
    world_.step();
    fill_snapshot();
    send_snapshot();
}

void Match::fill_snapshot()
{
    const auto speed = [](Fixed value) {
        return static_cast<int8_t>(std::clamp(value / 4096, -127, 127));
    };
    snapshot_.tick = tick_;
    snapshot_.players.clear();
    for (const Body &body : world_.bodies()) {
        PlayerState state;
        state.id = body.id;
        state.x = static_cast<uint16_t>(body.x / 64);
        state.y = static_cast<uint16_t>(body.y / 64);
        state.vx = speed(body.vx);
        state.vy = speed(body.vy);
        state.input = body.input;
        state.distance = static_cast<uint32_t>(body.distance / 64);
        snapshot_.players.push_back(state);
    }
    message_.restart(Type::snapshot);
    snapshot_.put(message_);
    // Told: who leaves from here on, also while we send, is for the next one.
    snapshot_.joined.clear();
    snapshot_.left.clear();
}

void Match::send_snapshot()
{
    if (playing_.empty()) return;
    answers_.assign(playing_.size(), SOCKEYE_ERR_NO_MEMORY);
    const sockeye::status taken = net_.send_many(playing_, message_, answers_.data());
    counts_.messages_out += static_cast<uint64_t>(taken.count());
    counts_.snapshots += static_cast<uint64_t>(taken.count());
    // From the end: who is dismissed gives his place to the last, who has been looked at then.
    for (size_t i = playing_.size(); i-- > 0;) {
        Guest &guest = guest_at(i);
        guest.moved = false;
        if (answers_[i] >= 0) {
            guest.snapshots++;
            guest.last_tick = tick_;
            guest.refused_in_row = 0;
        } else if (answers_[i] == SOCKEYE_ERR_AGAIN || answers_[i] == SOCKEYE_ERR_NO_MEMORY) {
            counts_.refused++;
            if (++guest.refused_in_row >= kick_after_) dismiss(guest, Reason::slow);
        }
    }
}

void Match::end()
{
    ending_ = true;
    const Writer message(Type::ending);
    for (size_t i = playing_.size(); i-- > 0;) tell(guest_at(i), message);
    for (Guest &guest : guests_)
        if (guest.state == State::greeting) dismiss(guest, Reason::stopped);
}

void Match::dismiss_all()
{
    for (Guest &guest : guests_)
        if (guest.state == State::greeting || guest.state == State::playing)
            dismiss(guest, Reason::stopped);
}

// Ids go round: one is free again only after all others had their turn, so that a late packet or a
// client that still shows the dead does not take a new player for the old one.
uint16_t Match::free_id()
{
    while (world_.find(next_id_) != nullptr || next_id_ == 0 || next_id_ == kNoBody) next_id_++;
    return next_id_++;
}

} // namespace arena
