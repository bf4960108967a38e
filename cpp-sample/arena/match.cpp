#include "match.hpp"

#include <algorithm>
#include <cstdio>

#include "host.hpp"

namespace arena {
namespace {

// What others are told of a body. They compute its areas from it: so do we.
PlayerState state_of(const Body &body)
{
    const auto speed = [](Fixed value) {
        return static_cast<int8_t>(std::clamp(value / 4096, -127, 127));
    };
    PlayerState state;
    state.id = body.id;
    state.x = static_cast<uint16_t>(body.x / 64);
    state.y = static_cast<uint16_t>(body.y / 64);
    state.vx = speed(body.vx);
    state.vy = speed(body.vy);
    state.input = static_cast<uint16_t>(body.input);
    return state;
}

} // namespace

Match::Match(sockeye::net_ref net, uint32_t connections_max) : areas_(net), guests_(connections_max)
{
    for (sockeye::group *group : {&everybody_, &watchers_}) {
        const sockeye::status made = net.create_group(*group);
        if (!made) die("a group", made);
    }
    everything_.area = kAreas;
    for (uint32_t area = 0; area < kAreas; area++)
        snapshots_[area].area = static_cast<uint8_t>(area);
}

void Match::handle(sockeye::event event, uint64_t now)
{
    event.visit([this](sockeye::opened come) { opened(come.conn()); },
                [&](sockeye::message got) { message(guest_of(got.conn()), got, now); },
                [this](sockeye::closed gone) { closed(guest_of(gone.conn())); });
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
    const bool watching = guest.state == State::watching;
    const bool playing = guest.state == State::playing;
    if (type == Type::watch && guest.state == State::greeting) return watch(guest, in);
    if (type == Type::hello && !playing) return hello(guest, in);
    if (type == Type::ping && (watching || playing)) return ping(guest, in);
    if (type == Type::input && playing) return input(guest, in, now);
    if (type == Type::bye && playing) {
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
    if (guest.state == State::watching) (void)watchers_.remove(guest.conn);
    guest.state = State::playing;
    guest.id = free_id();
    for (const char c : hello.name) guest.name += c >= ' ' && c <= '~' ? c : '?';
    guest.place = static_cast<uint32_t>(playing_.size());
    playing_.push_back(guest.conn.index());
    world_.add(guest.id);
    counts_.joins++;

    Welcome welcome;
    welcome.id = guest.id;
    Writer message(Type::welcome);
    welcome.put(message);
    tell(guest, message);
    if (guest.state == State::playing) (void)everybody_.add(guest.conn);
}

void Match::watch(Guest &guest, Reader &in)
{
    Watch watch;
    if (!watch.get(in)) return dismiss(guest, Reason::protocol);
    if (watch.version != kVersion) return dismiss(guest, Reason::version);
    guest.state = State::watching;
    (void)watchers_.add(guest.conn); // refused for one who is leaving: CLOSED follows
}

void Match::ping(Guest &guest, Reader &in)
{
    Ping ping;
    if (!ping.get(in)) return dismiss(guest, Reason::protocol);
    Writer message(Type::pong);
    ping.put(message);
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
    goodbye.snapshots_due = guest.due;
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
    areas_.move(guest.conn, guest.areas, 0);
    (void)everybody_.remove(guest.conn); // a lost one has left by itself
    counts_.leaves++;
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
    look_around();
    send_snapshots();
    measure();
}

// Puts every player into the groups of the areas near him, and into the snapshot of his own.
void Match::look_around()
{
    for (Snapshot &snapshot : snapshots_) {
        snapshot.tick = tick_;
        snapshot.players.clear();
    }
    // From the end: who is dismissed gives his place to the last, who has been looked at then.
    for (size_t i = playing_.size(); i-- > 0;) {
        Guest &guest = guest_at(i);
        const PlayerState state = state_of(*world_.find(guest.id));
        const AreaSet areas = areas_near(state.x, state.y);
        if (areas != guest.areas) see(guest, areas);
        if (guest.state != State::playing) continue;
        snapshots_[area_at(state.x, state.y)].players.push_back(state);
        guest.moved = false;
        guest.due += size_of(areas);
        guest.last_tick = tick_;
        counts_.due += size_of(areas);
    }
}

void Match::see(Guest &guest, AreaSet areas)
{
    areas_.move(guest.conn, guest.areas, areas);
    guest.areas = areas;
    View view;
    view.first_tick = tick_;
    view.areas = areas;
    Writer message(Type::view);
    view.put(message);
    tell(guest, message);
}

void Match::send_snapshots()
{
    for (const Snapshot &snapshot : snapshots_) {
        message_.restart(Type::snapshot);
        snapshot.put(message_);
        const sockeye::status sent = areas_.send(snapshot.area, message_);
        if (!sent) counts_.refused += areas_.members(snapshot.area);
    }
    if (watchers_.count().count() > 0) send_everything();
}

void Match::send_everything()
{
    everything_.tick = tick_;
    everything_.players.clear();
    for (const Body &body : world_.bodies()) everything_.players.push_back(state_of(body));
    message_.restart(Type::snapshot);
    everything_.put(message_);
    // Not counted among those that are due: who watches is no part of the game.
    (void)send_newest(watchers_, 1, message_);
}

// Each is a call of the system: it asks for a few players in each tick, and for all in a second.
void Match::measure()
{
    for (size_t i = tick_ % kTickHz; i < playing_.size(); i += kTickHz) {
        sockeye_tcp_info way{};
        sockeye_lanes_info lanes{};
        const sockeye::conn conn = guest_at(i).conn;
        if (conn.tcp_info(way) && way.rtt_us > 0) round_trips_.add(way.rtt_us);
        if (conn.lanes_info(lanes) && lanes.rtt_us > 0) round_trips_.add(lanes.rtt_us);
    }
}

void Match::end()
{
    ending_ = true;
    const Writer message(Type::ending);
    for (size_t i = playing_.size(); i-- > 0;) tell(guest_at(i), message);
    for (Guest &guest : guests_)
        if (guest.state == State::greeting || guest.state == State::watching)
            dismiss(guest, Reason::stopped);
}

void Match::dismiss_all()
{
    for (Guest &guest : guests_)
        if (guest.state != State::none && guest.state != State::gone)
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
