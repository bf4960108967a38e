//! What an outbox gathers is cut into the same messages again, and two ends of the tests' transport
//! over a network that loses, doubles and swaps datagrams.

#[path = "../../tests/common/freight.rs"]
mod freight;

use crate::buf::{Arena, Pool, Reader, Release, Slice};
use crate::session::{Cause, Limits, Memory, Outgoing, Parts, Session, Side, Tag};
use crate::transport::lanes::Micros;
use crate::transport::{
    Carrying, Cutter, Datagram, Endpoint, Event, Full, Handled, Reason, Run, Stream, Target,
    Transmit,
};
use freight::{
    ACCEPT, AGAIN_US, CLOSE, DATA, FREIGHT, Freight, HEADER, LONE_FREIGHT, MESSAGE_MAX, OPEN,
    RESET, UNREAD_MAX, WAITING_MAX, datagram, parse,
};
use std::net::SocketAddr;

const NOW: Micros = 1_000_000;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
        (self.0 >> 33) as usize % end
    }
}

/// One end of a wire: a transport, its memory, and what it told.
struct End {
    address: SocketAddr,
    pool: Pool,
    freight: Freight,
    events: Vec<Event>,
    read: Vec<(Stream, Vec<u8>)>,
    handled: Vec<Handled>,
    /// The next stream that a peer opens.
    vacant: u32,
}

impl End {
    fn new(side: Side, address: &str) -> End {
        End {
            address: address.parse().expect("an address"),
            pool: Pool::new(1 << 20),
            freight: Freight::new(side),
            events: Vec::new(),
            read: Vec::new(),
            handled: Vec::new(),
            vacant: 0,
        }
    }

    fn target(&self) -> Target {
        Target { peer: self.address, token: None }
    }

    fn pair() -> (End, End) {
        (End::new(Side::Connected, "10.0.0.1:5"), End::new(Side::Accepted, "10.0.0.2:6"))
    }

    fn slice(&self, bytes: &[u8]) -> Slice {
        self.pool.take(bytes.len().max(1)).expect("memory").write(bytes)
    }

    /// A datagram comes.
    fn receive(&mut self, peer: SocketAddr, bytes: &[u8]) -> Handled {
        let data = self.slice(bytes);
        let datagram = Datagram { peer, local: None, data };
        let handled = self.freight.handle_datagram(datagram, Some(Stream(self.vacant)), NOW);
        self.vacant += u32::from(handled == Handled::New);
        self.handled.push(handled);
        self.look();
        handled
    }

    /// Takes what it has to tell.
    fn look(&mut self) {
        while let Some(event) = self.freight.poll_event() {
            if let Event::Readable(stream) = event {
                while let Some(message) = self.freight.read(stream) {
                    self.read.push((stream, message.data.to_vec()));
                }
            } else {
                self.events.push(event);
            }
        }
    }

    /// What it sends now.
    fn sends(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Transmit::Datagram(datagram) = self.freight.poll_transmit(&self.pool, NOW) {
            all.push(datagram.data.to_vec());
        }
        self.look();
        all
    }

    fn write(&mut self, stream: Stream, message: &[u8]) -> Result<(), Full> {
        let data = self.slice(message);
        let run = Run { data, first: true, last: true, len: message.len(), tag: Tag::default() };
        self.freight.write(stream, run, NOW)
    }

    /// All that both have to say to each other arrives.
    fn exchange(&mut self, other: &mut End) {
        loop {
            let (there, back) = (self.sends(), other.sends());
            if there.is_empty() && back.is_empty() {
                return;
            }
            for bytes in there {
                other.receive(self.address, &bytes);
            }
            for bytes in back {
                self.receive(other.address, &bytes);
            }
        }
    }
}

/// A session whose outbox is full of messages, given to it in every way that there is; and the
/// messages.
fn full_outbox(random: &mut Random, pool: &Pool, arena: &Arena) -> (Session, Vec<Vec<u8>>) {
    let framing = Cutter::framing(MESSAGE_MAX, false);
    let (limits, memory) = (Limits::default(), Memory { arena, pool });
    let mut session = Session::new(NOW, false);
    let mut all = Vec::new();
    let mut buffer = pool.take(200_000).expect("memory").write_zeros(200_000);
    buffer.truncate(200_000);
    for number in 0..60_u8 {
        let len = [0, 1, 60, 3000, 50_000][random.below(5)];
        let message = vec![number; len];
        let taken = match random.below(3) {
            0 => session.send(&framing, &limits, memory, Outgoing::Copy(&message), false),
            1 => {
                let parts = [&message[..len / 3], &message[len / 3..]];
                let parts = Parts::new(&parts, None).expect("parts");
                session.send_parts(&framing, &limits, memory, &parts)
            }
            // More pieces than a train has.
            _ => {
                let places = (0..24).map(|at| &buffer[at * 8000..at * 8000 + 4096]);
                let parts: Vec<&[u8]> = places.take(14).flat_map(|it| [it, b"+"]).collect();
                let parts = Parts::new(&parts, Some(&buffer)).expect("parts");
                let mut framed =
                    parts.frame(&framing, pool, 1, crate::buf::Purpose::Send).expect("memory");
                let taken = session.send_framed(&framing, &limits, memory, &mut framed, 0.into());
                if taken.is_ok() {
                    all.push([&[0; 4096][..], b"+"].concat().repeat(14));
                }
                continue;
            }
        };
        if taken.is_ok() {
            all.push(message);
        }
    }
    (session, all)
}

#[test]
fn what_an_outbox_gathers_is_cut_into_the_same_messages() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let pool = Pool::new(64 << 20);
        let arena = Arena::new(pool.clone());
        let (mut session, sent) = full_outbox(&mut random, &pool, &arena);
        let (mut cutter, mut got, mut message) = (Cutter::default(), Vec::new(), Vec::new());
        let mut runs = 0;
        while let Some(train) = session.poll_transmit(u32::MAX, NOW) {
            for slice in train.slices() {
                let mut rest = Reader::from(slice.clone());
                while let Some(run) = cutter.next(&mut rest) {
                    assert_eq!(run.first, message.is_empty() && runs == 0);
                    message.extend_from_slice(&run.data);
                    runs += 1;
                    if run.last {
                        assert_eq!(run.len, message.len());
                        got.push(std::mem::take(&mut message));
                        runs = 0;
                    }
                }
                assert!(rest.rest().is_empty(), "all of it is cut");
            }
            let len = train.len();
            session.handle_sent(len, train, &mut Release::default());
        }
        assert!(cutter.is_between() && got == sent, "seed {seed}");
    }
}

#[test]
fn a_stream_opens_carries_messages_and_ends() {
    let (mut client, mut server) = End::pair();
    let stream = Stream(0);
    client.freight.connect(stream, server.target(), NOW);
    client.exchange(&mut server);
    assert_eq!((client.events.as_slice(), server.vacant), (&[Event::Opened(stream)][..], 1));
    for message in [&b"one"[..], b"", &[7; MESSAGE_MAX as usize]] {
        assert_eq!(client.write(stream, message), Ok(()));
        assert_eq!(server.write(stream, message), Ok(()));
    }
    client.exchange(&mut server);
    let messages = [b"one".to_vec(), Vec::new(), vec![7; MESSAGE_MAX as usize]];
    for end in [&client, &server] {
        assert!(end.read.iter().map(|(_, message)| message).eq(&messages));
    }
    assert_eq!(client.write(stream, b"last"), Ok(()));
    client.freight.close(stream, NOW);
    client.exchange(&mut server);
    assert_eq!(client.events.last(), Some(&Event::Closed(stream, Cause::Host)));
    assert_eq!(server.events, [Event::Closed(stream, Cause::Peer)]);
    assert_eq!(server.read.last().map(|(_, message)| message.as_slice()), Some(&b"last"[..]));
    client.freight.forget(stream, NOW);
    server.freight.forget(stream, NOW);
    assert!(client.sends().is_empty() && server.sends().is_empty(), "both know it");
    assert_eq!((client.freight.poll_timeout(), server.freight.poll_timeout()), (None, None));
}

#[test]
fn a_stream_that_is_forgotten_is_reset() {
    let (mut client, mut server) = End::pair();
    client.freight.connect(Stream(0), server.target(), NOW);
    client.freight.connect(Stream(1), server.target(), NOW);
    client.exchange(&mut server);
    assert_eq!(server.write(Stream(1), b"given up"), Ok(()));
    client.freight.forget(Stream(0), NOW);
    server.freight.forget(Stream(1), NOW);
    client.exchange(&mut server);
    assert_eq!(server.events, [Event::Closed(Stream(0), Cause::Reset)]);
    assert_eq!(client.events.last(), Some(&Event::Closed(Stream(1), Cause::Reset)));
    assert!(client.read.is_empty());
}

#[test]
fn a_beginning_is_asked_for_again() {
    let (mut client, mut server) = End::pair();
    client.freight.connect(Stream(3), server.target(), NOW);
    assert_eq!(client.sends(), [datagram(1, OPEN, b"")]);
    assert_eq!(client.freight.poll_timeout(), Some(NOW + AGAIN_US));
    client.freight.handle_timeout(NOW + AGAIN_US - 1);
    assert!(client.sends().is_empty(), "not before its time");
    client.freight.handle_timeout(NOW + AGAIN_US);
    let again = client.sends();
    assert_eq!(again, [datagram(1, OPEN, b"")]);
    assert_eq!(server.receive(client.address, &again[0]), Handled::New);
    assert_eq!(server.sends(), [datagram(1, ACCEPT, b"")], "and is lost");
    assert_eq!(server.receive(client.address, &again[0]), Handled::Existing(Stream(0)));
    assert_eq!(server.sends(), [datagram(1, ACCEPT, b"")]);
    assert_eq!(server.write(Stream(0), b"early"), Ok(()));
    let early = server.sends();
    assert_eq!(client.receive(server.address, &early[0]), Handled::Existing(Stream(3)));
    assert_eq!(client.events, [Event::Opened(Stream(3))], "whoever writes has accepted");
    assert_eq!(client.freight.poll_timeout(), None);
}

#[test]
fn strangers_get_nothing_or_a_reset() {
    let (client, mut server) = End::pair();
    let from = client.address;
    for short in [&[][..], &[0; HEADER - 1]] {
        assert_eq!(server.receive(from, short), Handled::Dropped(Reason::Malformed));
    }
    assert_eq!(server.receive(from, &datagram(1, 99, b"?")), Handled::Dropped(Reason::Malformed));
    for kind in [ACCEPT, CLOSE, RESET] {
        let of_none = datagram(1, kind, b"");
        assert_eq!(server.receive(from, &of_none), Handled::Dropped(Reason::Unknown));
    }
    assert!(server.sends().is_empty(), "and no answer");
    assert_eq!(server.receive(from, &datagram(9, DATA, b"lost")), Handled::Reply);
    let answers = server.sends();
    assert_eq!(
        answers.iter().map(|it| parse(it)).collect::<Vec<_>>(),
        [Some((9, RESET, &b""[..]))]
    );
    let (peer, data) = (from, server.slice(&datagram(4, OPEN, b"")));
    let open = Datagram { peer, local: None, data };
    let refused = server.freight.handle_datagram(open, None, NOW);
    assert_eq!(refused, Handled::Dropped(Reason::Refused));
    assert_eq!(server.sends(), [datagram(4, RESET, b"")]);
    assert!(server.events.is_empty() && server.read.is_empty());
}

#[test]
fn what_waits_is_bounded() {
    let (mut client, mut server) = End::pair();
    client.freight.connect(Stream(0), server.target(), NOW);
    client.freight.connect(Stream(1), server.target(), NOW);
    client.exchange(&mut server);
    client.events.clear();
    for _ in 0..WAITING_MAX {
        assert_eq!(client.write(Stream(0), b"x"), Ok(()));
    }
    for stream in [Stream(0), Stream(1), Stream(0)] {
        assert_eq!(client.write(stream, b"y"), Err(Full));
    }
    assert_eq!(client.sends().len(), WAITING_MAX);
    assert_eq!(client.events, [Event::Writable(Stream(0)), Event::Writable(Stream(1))]);
    for number in 0..10_000 {
        server.receive(client.address, &datagram(1000 + number, DATA, b""));
    }
    assert_eq!(server.sends().len(), 2 * WAITING_MAX, "answers to strangers");
    let at = client.address;
    for _ in 0..2 * UNREAD_MAX {
        let data = server.slice(&datagram(1, DATA, b"z"));
        server.freight.handle_datagram(Datagram { peer: at, local: None, data }, None, NOW);
    }
    server.look();
    assert_eq!(server.read.len(), UNREAD_MAX, "more was lost");
}

/// Whatever the network does, no end speaks of a stream that it was told to forget, nothing is read
/// that was not written, and who is open knows of its peer's end at the next word.
#[test]
fn over_a_bad_network() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (mut client, mut server) = End::pair();
        let mut wire: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut live = Vec::new();
        for step in 0..400_u32 {
            match random.below(8) {
                0 if live.len() < 20 => {
                    client.freight.connect(Stream(step), server.target(), NOW);
                    live.push(Stream(step));
                }
                1 if !live.is_empty() => {
                    let stream = live.swap_remove(random.below(live.len()));
                    client.freight.forget(stream, NOW);
                }
                2 | 3 if !live.is_empty() => {
                    let stream = live[random.below(live.len())];
                    let _ = client.write(stream, &stream.0.to_be_bytes());
                }
                4 => client.freight.handle_timeout(NOW + Micros::from(step) * AGAIN_US),
                5 => wire.extend(server.sends().into_iter().map(|it| (false, it))),
                _ => wire.extend(client.sends().into_iter().map(|it| (true, it))),
            }
            if !wire.is_empty() {
                let (there, bytes) = wire.swap_remove(random.below(wire.len()));
                match random.below(10) {
                    0 => continue,
                    1 => wire.push((there, bytes.clone())),
                    _ => {}
                }
                let (from, to) = (client.address, server.address);
                match there {
                    true => server.receive(from, &bytes),
                    false => client.receive(to, &bytes),
                };
            }
            client.look();
            for event in client.events.drain(..) {
                let stream = event.stream();
                assert!(live.contains(&stream), "seed {seed}: {event:?} of none that lives");
            }
        }
        let written = |message: &[u8]| message.len() == 4;
        assert!(server.read.iter().all(|(_, message)| written(message)), "seed {seed}");
        assert!(client.read.is_empty());
    }
}

#[test]
fn transports_are_alike_only_where_they_are_made_alike() {
    assert!(FREIGHT == FREIGHT && FREIGHT != LONE_FREIGHT);
    assert!(FREIGHT != Carrying { message_max_bytes: 1, ..FREIGHT });
}
