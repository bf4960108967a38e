//! A transport for tests, which wants all that a transport may want: streams that both ends have to
//! agree on, a timer, an order of its own, room that runs out, and answers to strangers. Nothing is
//! reliable but the beginning, which is asked for again until it is answered.
//!
//! A datagram is the number of a stream as its client has it (4 bytes), a kind (1 byte), and in
//! DATA a message.

use sockeye::buf::{Pool, Slice};
use sockeye::session::{Cause, Side};
use sockeye::transport::lanes::Micros;
use sockeye::transport::{
    Carrying, Datagram, Endpoint, Event, Full, Handled, Maker, Message, Reason, Run, Stream,
    Target, Transmit,
};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

pub const HEADER: usize = 5;
/// The longest message.
pub const MESSAGE_MAX: u32 = 60_000;
/// A beginning that is not answered is asked for again.
pub const AGAIN_US: Micros = 100_000;
/// What waits to be sent: from here on messages are refused, and past the second number answers
/// are not made.
pub const WAITING_MAX: usize = 256;
const ANSWERS_MAX: usize = 2 * WAITING_MAX;
/// Messages of a stream that wait to be read; more are lost.
pub const UNREAD_MAX: usize = 256;

/// A message that this transport has a fault with.
pub const POISON: &[u8] = b"a fault, for a test";

/// Kinds of datagrams.
pub const OPEN: u8 = 1;
pub const ACCEPT: u8 = 2;
pub const DATA: u8 = 3;
pub const CLOSE: u8 = 4;
pub const RESET: u8 = 5;

/// What carries a test's connections, all of a worker over one socket.
pub const FREIGHT: Carrying =
    Carrying { maker: Maker::Of(freight), message_max_bytes: MESSAGE_MAX, shares: true };
/// As `FREIGHT`, each that connects over a socket of its own.
pub const LONE_FREIGHT: Carrying = Carrying { shares: false, ..FREIGHT };

fn freight(side: Side) -> Box<dyn Endpoint> {
    Box::new(Freight::new(side))
}

/// A datagram of this transport.
pub fn datagram(number: u32, kind: u8, message: &[u8]) -> Vec<u8> {
    let mut all = number.to_be_bytes().to_vec();
    all.push(kind);
    all.extend_from_slice(message);
    all
}

/// The number, the kind and the message of one.
pub fn parse(datagram: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (number, rest) = datagram.split_first_chunk()?;
    let (kind, message) = rest.split_first()?;
    Some((u32::from_be_bytes(*number), *kind, message))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// To be asked for again at this time.
    Opening(Micros),
    Open,
    /// The goodbye waits to be sent.
    Closing,
    Over,
}

struct Line {
    peer: SocketAddr,
    local: Option<IpAddr>,
    number: u32,
    state: State,
    unread: VecDeque<Slice>,
    /// That there is something to be read was told.
    told: bool,
    blocked: bool,
}

struct Waiting {
    peer: SocketAddr,
    local: Option<IpAddr>,
    number: u32,
    kind: u8,
    runs: Vec<Slice>,
    /// It is the goodbye of this one.
    ends: Option<Stream>,
}

pub struct Freight {
    side: Side,
    lines: HashMap<Stream, Line>,
    known: HashMap<(SocketAddr, u32), Stream>,
    /// When beginnings are asked for again.
    again: BTreeSet<(Micros, Stream)>,
    /// The number of the next stream that connects.
    next: u32,
    waiting: VecDeque<Waiting>,
    /// Of a message of which not all runs came.
    runs: Vec<Slice>,
    events: VecDeque<Event>,
    blocked: VecDeque<Stream>,
}

impl Freight {
    pub fn new(side: Side) -> Freight {
        Freight {
            side,
            lines: HashMap::new(),
            known: HashMap::new(),
            again: BTreeSet::new(),
            next: 1,
            waiting: VecDeque::new(),
            runs: Vec::new(),
            events: VecDeque::new(),
            blocked: VecDeque::new(),
        }
    }

    fn send(&mut self, stream: Stream, kind: u8, runs: Vec<Slice>) {
        let Some(line) = self.lines.get(&stream) else { return };
        let (peer, local, number) = (line.peer, line.local, line.number);
        let ends = (kind == CLOSE).then_some(stream);
        self.waiting.push_back(Waiting { peer, local, number, kind, runs, ends });
    }

    /// Answers a stranger.
    fn answer(&mut self, to: &Datagram, number: u32, kind: u8) {
        if self.waiting.len() < ANSWERS_MAX {
            let (peer, local) = (to.peer, to.local);
            self.waiting.push_back(Waiting { peer, local, number, kind, runs: vec![], ends: None });
        }
    }

    fn opened(&mut self, stream: Stream) {
        let Some(line) = self.lines.get_mut(&stream) else { return };
        if let State::Opening(at) = line.state {
            line.state = State::Open;
            self.again.remove(&(at, stream));
            self.events.push_back(Event::Opened(stream));
        }
    }

    fn over(&mut self, stream: Stream, cause: Cause) {
        let Some(line) = self.lines.get_mut(&stream) else { return };
        if let State::Opening(at) = line.state {
            self.again.remove(&(at, stream));
        }
        if std::mem::replace(&mut line.state, State::Over) != State::Over {
            self.events.push_back(Event::Closed(stream, cause));
        }
    }

    fn of_stranger(
        &mut self,
        datagram: &Datagram,
        number: u32,
        kind: u8,
        vacant: Option<Stream>,
    ) -> Handled {
        match kind {
            OPEN if self.side == Side::Accepted => {
                let Some(stream) = vacant else {
                    self.answer(datagram, number, RESET);
                    return Handled::Dropped(Reason::Refused);
                };
                self.add(stream, datagram.peer, datagram.local, number, State::Open);
                self.send(stream, ACCEPT, vec![]);
                Handled::New
            }
            // Its goodbye was lost, or this one's.
            DATA => {
                self.answer(datagram, number, RESET);
                Handled::Reply
            }
            OPEN | ACCEPT | CLOSE | RESET => Handled::Dropped(Reason::Unknown),
            _ => Handled::Dropped(Reason::Malformed),
        }
    }

    fn add(
        &mut self,
        stream: Stream,
        peer: SocketAddr,
        local: Option<IpAddr>,
        number: u32,
        state: State,
    ) {
        let unread = VecDeque::new();
        let line = Line { peer, local, number, state, unread, told: false, blocked: false };
        assert!(self.lines.insert(stream, line).is_none(), "{stream:?} is not vacant");
        self.known.insert((peer, number), stream);
    }

    fn relieve(&mut self) {
        if self.waiting.len() <= WAITING_MAX / 2 {
            while let Some(stream) = self.blocked.pop_front() {
                if let Some(line) = self.lines.get_mut(&stream) {
                    line.blocked = false;
                    self.events.push_back(Event::Writable(stream));
                }
            }
        }
    }
}

impl Endpoint for Freight {
    fn handle_datagram(
        &mut self,
        mut datagram: Datagram,
        vacant: Option<Stream>,
        _now: Micros,
    ) -> Handled {
        let Some((number, kind, message)) = parse(&datagram.data) else {
            return Handled::Dropped(Reason::Malformed);
        };
        assert_ne!(message, POISON);
        let Some(&stream) = self.known.get(&(datagram.peer, number)) else {
            return self.of_stranger(&datagram, number, kind, vacant);
        };
        match kind {
            // The answer was lost.
            OPEN if self.side == Side::Accepted => self.send(stream, ACCEPT, vec![]),
            ACCEPT => self.opened(stream),
            DATA => {
                self.opened(stream);
                let line = self.lines.get_mut(&stream).expect("it is known");
                if line.state != State::Over && line.unread.len() < UNREAD_MAX {
                    datagram.data.advance(HEADER);
                    line.unread.push_back(datagram.data);
                    if !std::mem::replace(&mut line.told, true) {
                        self.events.push_back(Event::Readable(stream));
                    }
                }
            }
            CLOSE => self.over(stream, Cause::Peer),
            RESET => {
                let begins = matches!(self.lines[&stream].state, State::Opening(_));
                self.over(stream, if begins { Cause::Refused } else { Cause::Reset });
            }
            _ => return Handled::Dropped(Reason::Malformed),
        }
        Handled::Existing(stream)
    }

    fn poll_transmit(&mut self, pool: &Pool, _now: Micros) -> Transmit {
        let Some(next) = self.waiting.front() else { return Transmit::Nothing };
        let len = HEADER + next.runs.iter().map(|run| run.len()).sum::<usize>();
        let Some(mut chunk) = pool.take(len) else { return Transmit::Starved(len) };
        let next = self.waiting.pop_front().expect("just seen");
        chunk.put(&next.number.to_be_bytes());
        chunk.put(&[next.kind]);
        next.runs.iter().for_each(|run| chunk.put(run));
        if let Some(stream) = next.ends {
            self.over(stream, Cause::Host);
        }
        self.relieve();
        let (peer, local) = (next.peer, next.local);
        Transmit::Datagram(Datagram { peer, local, data: chunk.into_slice() })
    }

    fn poll_timeout(&self) -> Option<Micros> {
        self.again.first().map(|(at, _)| *at)
    }

    fn handle_timeout(&mut self, now: Micros) {
        while let Some(&(at, stream)) = self.again.first().filter(|(at, _)| *at <= now) {
            self.again.remove(&(at, stream));
            self.send(stream, OPEN, vec![]);
            self.again.insert((now + AGAIN_US, stream));
            let line = self.lines.get_mut(&stream).expect("it opens");
            line.state = State::Opening(now + AGAIN_US);
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn connect(&mut self, stream: Stream, target: Target, now: Micros) {
        let number = self.next;
        self.next += 1;
        self.add(stream, target.peer, None, number, State::Opening(now + AGAIN_US));
        self.again.insert((now + AGAIN_US, stream));
        self.send(stream, OPEN, vec![]);
    }

    fn read(&mut self, stream: Stream) -> Option<Message> {
        let line = self.lines.get_mut(&stream)?;
        let message = line.unread.pop_front();
        line.told &= message.is_some();
        message.map(Message::from)
    }

    fn write(&mut self, stream: Stream, run: Run, _now: Micros) -> Result<(), Full> {
        assert_eq!(run.first, self.runs.is_empty(), "a message begins behind another one's end");
        let line = self.lines.get_mut(&stream).expect("it is there");
        if run.first && self.waiting.len() >= WAITING_MAX {
            if !std::mem::replace(&mut line.blocked, true) {
                self.blocked.push_back(stream);
            }
            return Err(Full);
        }
        let open = line.state == State::Open;
        self.runs.push(run.data);
        if run.last {
            let runs = std::mem::take(&mut self.runs);
            assert_eq!(run.len, runs.iter().map(|run| run.len()).sum::<usize>(), "all of it");
            if open {
                self.send(stream, DATA, runs);
            }
        }
        Ok(())
    }

    fn close(&mut self, stream: Stream, _now: Micros) {
        let Some(line) = self.lines.get_mut(&stream) else { return };
        match line.state {
            State::Open => {
                line.state = State::Closing;
                self.send(stream, CLOSE, vec![]);
            }
            State::Opening(_) => {
                self.send(stream, RESET, vec![]);
                self.over(stream, Cause::Host);
            }
            State::Closing | State::Over => {}
        }
    }

    fn forget(&mut self, stream: Stream, _now: Micros) {
        if !self.lines.contains_key(&stream) {
            return;
        }
        if matches!(self.lines[&stream].state, State::Open | State::Opening(_)) {
            // What it has waiting is given up with it.
            let (peer, number) = (self.lines[&stream].peer, self.lines[&stream].number);
            self.waiting.retain(|it| (it.peer, it.number) != (peer, number));
            self.send(stream, RESET, vec![]);
        }
        let line = self.lines.remove(&stream).expect("just seen");
        if let State::Opening(at) = line.state {
            self.again.remove(&(at, stream));
        }
        self.known.remove(&(line.peer, line.number));
        self.events.retain(|event| event.stream() != stream);
        self.blocked.retain(|of| *of != stream);
        // Its goodbye may still wait, and says nothing of whoever has the number next.
        for waiting in &mut self.waiting {
            waiting.ends.take_if(|of| *of == stream);
        }
        self.relieve();
    }
}
