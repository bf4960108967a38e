//! A session and what stands below it: what the engine talks to.

use super::event::{Cause, Event};
use super::framer::Framing;
use super::input::Input;
use super::laned::Laned;
use super::layer::{Layer, Plain, Starved, State, TlsFacts, WebFacts};
use super::limits::{Limits, Millis};
use super::outbox::Outbox;
use super::session::{Session, Want};
use crate::buf::{Chunk, Pool, Release, Slice, Train};
use std::mem;

/// A session, with a layer below it or without. It has the same four kinds of methods: getters;
/// `handle_*`, what happened; what the host wants; `poll_*`, what is to be done.
///
/// A layer is in a box together with its session: a connection without one has nothing of it but
/// the branch that asks.
pub struct Stack(pub(super) Kind);

pub(super) enum Kind {
    Bare(Session),
    Layered(Box<Layered>),
    Laned(Box<Laned>),
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Stack>() <= size_of::<Session>());

pub(super) struct Layered {
    session: Session,
    below: Below,
}

/// A layer, and what it has on its way to the model.
struct Below {
    layer: Box<dyn Layer>,
    /// To be sent, and not with the model.
    wire: Train,
    /// True exactly when the model has a train.
    flying: bool,
    /// What the last train was made of: the outbox counts it until its last byte is written.
    plain: Option<Train>,
    /// So many bytes of `plain`.
    taken: usize,
    /// The layer has something that it was not asked for.
    unasked: bool,
    /// It stands in line for its costly work.
    queued: bool,
    /// That it is open was reported.
    opened: bool,
    /// Messages are those of a WebSocket; the bits of the window that ours are deflated with.
    web: Option<u8>,
    /// A message that came with what opened the layer: OPENED is reported first.
    early: Option<Box<Event>>,
    /// The peer has said that nothing follows.
    ended: bool,
    /// The bytes that there was no memory for when it last had something to send.
    starved: Option<usize>,
}

/// Received bytes, to be parsed now. What is left of them is kept for the next time.
pub struct Intake<'a> {
    input: Input<'a>,
    below: Option<&'a mut Below>,
}

impl Stack {
    /// A session without input or output, and nothing below it. `manual`: sends wait for a flush.
    pub fn new(now: Millis, manual: bool) -> Stack {
        Stack(Kind::Bare(Session::new(now, manual)))
    }

    /// Puts a layer below the session. From here on what is received is the layer's.
    pub fn add_layer(&mut self, layer: Box<dyn Layer>) {
        debug_assert!(!self.is_layered(), "one layer at most");
        let session = mem::take(self.session_mut());
        let below = Below {
            layer,
            wire: Train::default(),
            flying: false,
            plain: None,
            taken: 0,
            unasked: false,
            queued: false,
            opened: false,
            web: None,
            early: None,
            ended: false,
            starved: None,
        };
        self.0 = Kind::Layered(Box::new(Layered { session, below }));
    }

    /// The session, to be asked.
    #[inline(always)]
    pub fn session(&self) -> &Session {
        match &self.0 {
            Kind::Bare(session) => session,
            Kind::Layered(all) => &all.session,
            Kind::Laned(all) => &all.session,
        }
    }

    /// The session, for what the host wants of it: messages know of no layer.
    #[inline(always)]
    pub fn session_mut(&mut self) -> &mut Session {
        match &mut self.0 {
            Kind::Bare(session) => session,
            Kind::Layered(all) => &mut all.session,
            Kind::Laned(all) => &mut all.session,
        }
    }

    #[inline(always)]
    fn below(&self) -> Option<&Below> {
        match &self.0 {
            Kind::Bare(_) | Kind::Laned(_) => None,
            Kind::Layered(all) => Some(&all.below),
        }
    }

    /// Whether there is a layer.
    #[inline]
    pub fn is_layered(&self) -> bool {
        self.below().is_some()
    }

    /// What waits to be written, as messages: what a layer has sealed of it is still counted.
    #[inline]
    pub fn outbox(&self) -> &Outbox {
        self.session().outbox()
    }

    /// As `Session::owed`.
    #[inline]
    pub fn owed(&self, limits: &Limits) -> Option<usize> {
        let owed = self.session().owed(limits);
        owed.or_else(|| self.lanes()?.owed(limits))
    }

    /// As `Session::partial_bytes`.
    pub fn partial_bytes(&self) -> u32 {
        self.session().partial_bytes()
    }

    /// As `Session::quiet_since`; all that a layer is sent counts.
    pub fn quiet_since(&self) -> Millis {
        self.session().quiet_since()
    }

    /// As `Session::send_since`.
    pub fn send_since(&self) -> Millis {
        self.session().send_since()
    }

    /// Whether received bytes wait to be parsed, or a complete frame to be reported.
    #[inline]
    pub fn has_input(&self) -> bool {
        self.session().has_input() || self.below().is_some_and(|below| below.unasked)
    }

    /// Bytes of memory that an unfinished frame or record has here, and of input that waits to be
    /// parsed.
    pub fn held_bytes(&self) -> usize {
        let below = match &self.0 {
            Kind::Bare(_) => 0,
            Kind::Layered(all) => all.below.layer.held_bytes(),
            Kind::Laned(all) => all.lanes.facts().held_bytes as usize,
        };
        self.session().held_bytes() + below
    }

    /// Whether nothing waits to be written, neither here nor in what a layer has sealed.
    #[inline]
    pub fn is_written(&self) -> bool {
        self.outbox().bytes() == 0 && self.below().is_none_or(|below| below.wire.is_empty())
    }

    /// Whether the end of the stream comes too early: the layer's peer has not said that nothing
    /// follows.
    pub fn is_cut(&self) -> bool {
        self.below().is_some_and(|below| !below.ended && !below.layer.ends_with_stream())
    }

    /// The bytes that there was no memory for when `poll_transmit` last had nothing.
    #[inline]
    pub fn starved(&self) -> Option<usize> {
        self.below()?.starved
    }

    /// Bytes arrived, with the chunk of `Want::Into` if that was asked for.
    #[inline]
    pub fn handle_received(
        &mut self,
        slice: Slice,
        into: Option<Chunk>,
        now: Millis,
    ) -> Intake<'_> {
        match &mut self.0 {
            Kind::Bare(session) => {
                Intake { input: session.handle_received(slice, into, now), below: None }
            }
            Kind::Laned(all) => {
                Intake { input: all.session.handle_received(slice, into, now), below: None }
            }
            Kind::Layered(all) => {
                debug_assert!(into.is_none(), "it was not asked for");
                all.handle_received(slice, now);
                Intake { input: all.session.input(), below: Some(&mut all.below) }
            }
        }
    }

    /// What arrived, or arrives now, is only for the layer itself. Answers why that failed.
    pub fn handle_unwanted(&mut self, slice: Slice, pool: &Pool, now: Millis) -> Option<Cause> {
        let Kind::Layered(all) = &mut self.0 else { return None };
        if !slice.is_empty() {
            all.handle_received(slice, now);
        }
        all.below.skip(pool, now)
    }

    /// The chunk of `Want::Into` came back.
    pub fn handle_returned(&mut self, chunk: Chunk) {
        self.session_mut().handle_returned(chunk);
    }

    /// What was received before and is still to be parsed.
    pub fn input(&mut self) -> Intake<'_> {
        match &mut self.0 {
            Kind::Bare(session) => Intake { input: session.input(), below: None },
            Kind::Laned(all) => Intake { input: all.session.input(), below: None },
            Kind::Layered(all) => {
                Intake { input: all.session.input(), below: Some(&mut all.below) }
            }
        }
    }

    /// Whether and where to receive next. Asking starts the clocks that wait for the peer.
    #[inline]
    pub fn poll_recv(&mut self, now: Millis) -> Want {
        match &mut self.0 {
            Kind::Bare(session) => session.poll_recv(now),
            Kind::Laned(all) => all.session.poll_recv(now),
            Kind::Layered(all) => all.poll_recv(now),
        }
    }

    /// What the model is to write next: of messages `most` bytes at most, as far as a layer has not
    /// sealed them.
    #[inline]
    pub fn poll_transmit(&mut self, pool: &Pool, most: u32, now: Millis) -> Option<Train> {
        match &mut self.0 {
            Kind::Bare(session) => session.poll_transmit(most, now),
            Kind::Laned(all) => all.session.poll_transmit(most, now),
            Kind::Layered(all) => all.poll_transmit(pool, most, now),
        }
    }

    /// The model wrote `count` bytes of the train, 0 when it gave up, and gives it back.
    #[inline]
    pub fn handle_sent(&mut self, count: usize, train: Train, release: &mut Release) {
        match &mut self.0 {
            Kind::Bare(session) => session.handle_sent(count, train, release),
            Kind::Laned(all) => all.session.handle_sent(count, train, release),
            Kind::Layered(all) => all.handle_sent(count, train, release),
        }
    }

    /// Whether the layer is open, reported once.
    pub fn poll_opened(&mut self) -> bool {
        match &mut self.0 {
            Kind::Bare(_) | Kind::Laned(_) => false,
            Kind::Layered(all) => all.below.opens(),
        }
    }

    /// Whether our end of the stream may be sent, once nothing waits to be written. If not, the
    /// layer ends its side first.
    #[inline]
    pub fn poll_end(&mut self) -> bool {
        match &mut self.0 {
            Kind::Bare(_) | Kind::Laned(_) => true,
            Kind::Layered(all) => {
                all.below.layer.end();
                matches!(all.below.layer.state(), State::Done(_))
            }
        }
    }

    /// It stands in line no more.
    pub fn unqueue(&mut self) {
        if let Kind::Layered(all) = &mut self.0 {
            all.below.queued = false;
        }
    }

    /// Why the layer failed.
    pub fn failure(&self) -> Option<Cause> {
        match self.below()?.layer.state() {
            State::Done(cause) if cause != Cause::Host => Some(cause),
            _ => None,
        }
    }

    /// Whether the layer has failed and still has to say why.
    pub fn has_last_word(&self) -> bool {
        self.below().is_some_and(|below| below.layer.has_last_word() || !below.wire.is_empty())
    }

    /// What the peer said of why it ends: see `Layer::code`.
    pub fn code(&self) -> u16 {
        self.below().map_or(0, |below| below.layer.code())
    }

    /// The number that the layer sends when it ends: see `Layer::set_code`.
    pub fn set_code(&mut self, code: u16) -> bool {
        match &mut self.0 {
            Kind::Bare(_) | Kind::Laned(_) => false,
            Kind::Layered(all) => all.below.layer.set_code(code),
        }
    }

    /// What TLS has agreed on.
    pub fn tls(&self) -> Option<TlsFacts> {
        self.below().filter(|below| below.opened)?.layer.tls()
    }

    /// Whether its messages are those of a WebSocket; the bits of the window that ours may be
    /// deflated with, 0: not at all.
    #[inline]
    pub fn web(&self) -> Option<u8> {
        self.below()?.web
    }

    /// What a WebSocket has agreed on.
    pub fn web_facts(&self) -> Option<WebFacts> {
        self.below().filter(|below| below.opened)?.layer.web()
    }

    /// When the layer wants to be called.
    #[inline]
    pub fn poll_alarm(&self) -> Option<Millis> {
        self.below()?.layer.poll_timeout()
    }

    /// Calls the layer if it wanted that by now. Whether it did. `reading`: what the peer says is
    /// received.
    pub fn handle_alarm(&mut self, now: Millis, reading: bool) -> bool {
        let due = self.poll_alarm().is_some_and(|at| at <= now);
        if due && let Kind::Layered(all) = &mut self.0 {
            match reading {
                true => all.below.layer.handle_timeout(now),
                false => all.below.layer.handle_unread(now),
            }
        }
        due
    }

    /// When the peer is late, and for what: see `Session::poll_timeout`.
    #[inline]
    pub fn poll_timeout(
        &self,
        limits: &Limits,
        accepted: bool,
        reading: bool,
        sending: bool,
    ) -> Option<(Millis, Cause)> {
        self.session().poll_timeout(limits, accepted, reading, sending)
    }

    /// As `Session::poll_idle`.
    #[inline]
    pub fn poll_idle(&self, limits: &Limits) -> Option<(Millis, Cause)> {
        self.session().poll_idle(limits)
    }

    /// As `Session::poll_writable`.
    #[inline]
    pub fn poll_writable(&mut self, limits: &Limits) -> Option<u32> {
        let refused = self.session_mut().poll_writable(limits);
        let Kind::Laned(all) = &mut self.0 else { return refused };
        let of_lanes = all.lanes.relieved(limits);
        refused.map(|refused| refused + of_lanes.unwrap_or(0)).or(of_lanes)
    }

    /// What was sent so far may leave.
    #[inline]
    pub fn flush(&mut self) {
        self.session_mut().flush();
    }

    /// Drops what was received and not reported; a layer has what it needs of it.
    pub fn discard(&mut self) {
        self.session_mut().discard();
    }

    /// Gives up memory that nothing is in.
    pub fn relax(&mut self) {
        self.session_mut().relax();
    }

    /// Drops what is pending; answers how many bytes of messages that were.
    pub fn abandon(&mut self) -> u32 {
        if let Kind::Layered(all) = &mut self.0 {
            (all.below.wire, all.below.plain) = (Train::default(), None);
        }
        let bytes = self.session_mut().abandon();
        match &mut self.0 {
            Kind::Laned(all) => all.lanes.clear().try_into().unwrap_or(u32::MAX),
            Kind::Bare(_) | Kind::Layered(_) => bytes,
        }
    }
}

impl Layered {
    fn handle_received(&mut self, slice: Slice, now: Millis) {
        self.session.hear(now);
        self.below.layer.handle_received(slice, now);
        self.below.unasked = true;
    }

    fn poll_recv(&mut self, now: Millis) -> Want {
        if self.below.unasked {
            return Want::No;
        }
        match self.session.poll_recv(now) {
            // What comes is not of the frame as yet.
            Want::Into(chunk) => {
                self.session.handle_returned(chunk);
                Want::Fresh
            }
            want => want,
        }
    }

    fn poll_transmit(&mut self, pool: &Pool, most: u32, now: Millis) -> Option<Train> {
        let below = &mut self.below;
        below.starved = None;
        if below.flying {
            return None;
        }
        if below.wire.is_empty() {
            let open = below.layer.state() == State::Open && below.plain.is_none();
            let plain = if open { self.session.poll_transmit(most, now) } else { None };
            let plain = plain.unwrap_or_default();
            let taken = match below.layer.poll_wire(&plain, &mut below.wire, pool, now) {
                Ok(taken) => taken,
                Err(Starved(bytes)) => {
                    below.starved = Some(bytes);
                    0
                }
            };
            if taken > 0 {
                (below.plain, below.taken) = (Some(plain), taken);
            } else if !plain.is_empty() {
                self.session.handle_sent(0, plain, &mut Release::default());
            }
            if below.wire.is_empty() && below.layer.owed_bytes() > 0 {
                below.starved = Some(below.layer.owed_bytes());
            }
        }
        if below.wire.is_empty() {
            return None;
        }
        self.session.begin_send(now);
        below.flying = true;
        Some(mem::take(&mut below.wire))
    }

    fn handle_sent(&mut self, mut count: usize, train: Train, release: &mut Release) {
        let below = &mut self.below;
        below.flying = false;
        for mut slice in train.into_slices() {
            let gone = count.min(slice.len());
            count -= gone;
            if gone == slice.len() {
                release.add(slice);
            } else {
                slice.advance(gone);
                below.wire.push(slice);
            }
        }
        if below.wire.is_empty()
            && below.layer.owed_bytes() == 0
            && let Some(plain) = below.plain.take()
        {
            self.session.handle_sent(below.taken, plain, release);
        }
    }
}

impl Below {
    fn opens(&mut self) -> bool {
        let open = matches!(self.layer.state(), State::Open | State::Ending);
        if !open || mem::replace(&mut self.opened, true) {
            return false;
        }
        self.web = self.layer.web().map(|_| self.layer.compression().unwrap_or(0));
        true
    }

    /// What the layer has, asked once.
    fn ask(&mut self, pool: &Pool, now: Millis) -> Plain {
        if self.ended {
            return Plain::End;
        }
        let plain = self.layer.poll_plain(pool, now);
        match plain {
            Plain::Nothing | Plain::Broken(_) => self.unasked = false,
            Plain::End => self.ended = true,
            Plain::Bytes(_) | Plain::Message { .. } | Plain::Starved(_) => {}
        }
        plain
    }

    /// Drops all plaintext. Answers why the layer failed.
    fn skip(&mut self, pool: &Pool, now: Millis) -> Option<Cause> {
        self.early = None;
        while self.unasked {
            match self.ask(pool, now) {
                Plain::Starved(_) => break,
                Plain::Broken(cause) => return Some(cause),
                Plain::End => self.unasked = false,
                Plain::Nothing | Plain::Bytes(_) | Plain::Message { .. } => {}
            }
        }
        None
    }
}

impl Intake<'_> {
    /// Whether nothing is left to be parsed.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.below.as_ref().is_none_or(|below| !below.unasked)
    }

    /// Whether it takes long to work on.
    pub fn is_costly(&self) -> bool {
        self.below.as_ref().is_some_and(|below| below.unasked && below.layer.is_costly())
    }

    /// It stands in line for that from here on. Whether it did not before.
    pub fn queue(&mut self) -> bool {
        self.below.as_mut().is_some_and(|below| !mem::replace(&mut below.queued, true))
    }

    /// The next message, or the end of what can be parsed.
    #[inline(always)]
    pub fn poll_event(&mut self, framing: &Framing, pool: &Pool, now: Millis) -> Option<Event> {
        let event = self.input.poll_event(framing, pool, now);
        if event.is_some() || self.below.is_none() {
            return event;
        }
        self.poll_below(framing, pool, now)
    }

    /// The next message in what the layer has.
    fn poll_below(&mut self, framing: &Framing, pool: &Pool, now: Millis) -> Option<Event> {
        loop {
            let below = self.below.as_deref_mut().filter(|below| below.unasked)?;
            if let Some(early) = below.early.take() {
                return Some(*early);
            }
            let plain = below.ask(pool, now);
            let event = match plain {
                Plain::Nothing | Plain::End => None,
                Plain::Bytes(slice) => {
                    self.input.feed(slice);
                    None
                }
                Plain::Message { data, text } => {
                    self.input.session.received = true;
                    let event = if text { Event::Text(data) } else { Event::Message(data) };
                    if self.below.as_deref_mut().is_some_and(Below::opens) {
                        self.below.as_deref_mut()?.early = Some(Box::new(event));
                        return Some(Event::Opened);
                    }
                    Some(event)
                }
                Plain::Starved(bytes) => Some(Event::Starved(bytes)),
                Plain::Broken(cause) => Some(Event::Broken(cause)),
            };
            if event.is_none() && self.below.as_deref_mut().is_some_and(Below::opens) {
                return Some(Event::Opened);
            }
            if let Some(below) = self.below.as_deref_mut().filter(|below| below.ended) {
                below.unasked = false;
                return Some(Event::Ended);
            }
            let event = event.or_else(|| self.input.poll_event(framing, pool, now));
            if event.is_some() {
                return event;
            }
        }
    }
}
