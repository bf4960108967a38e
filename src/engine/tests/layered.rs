//! A layer over the simulated network: the host has both ends, and a cable between them does what
//! a seed says. With TLS a cable may also change what passes, which must show; the layer of the
//! tests has no secret to see it by.

use super::told::{What, poll};
use super::{now, open, set_now, threadless};
use crate::engine::{CloseHow, Endpoint, Error, Kind, Net, layer_for_tests};
use crate::io::Token;
use crate::io::sim::{Answer, Dice, Ending, Faults, Peer, World};
use crate::session::pad::PAD;
use crate::session::{Cause, Layering, Maker, TlsMaker, tls_ends};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 60;
const STEPS: usize = 300;
const CABLES: usize = 6;
const HANDSHAKE_MS: u32 = 2000;
const URL: &str = "tcp://127.0.0.1:7?frame=u32be&max=100000";
/// Polls at the end, each behind some milliseconds: past every timeout.
const REST_POLLS: usize = 400;
const REST_MS: u64 = 10;

/// What a cable does to what passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Harm {
    No,
    /// It carries nothing any more.
    Still,
    /// It changes a bit.
    Bent,
    /// It ended both ways without a word.
    Cut,
}

struct Cable {
    /// Towards the one that connected, and the one that accepted.
    ends: [Peer; 2],
    tokens: [Token; 2],
    /// On the way to each end.
    held: [VecDeque<u8>; 2],
    /// Bytes that each end was given.
    carried: [u64; 2],
    ended: [bool; 2],
    harm: Harm,
    /// The next bytes are changed, at about this place.
    bend: Option<usize>,
}

#[derive(Default)]
struct Side {
    opened: bool,
    closed: Option<(Cause, u64)>,
    shut: Option<CloseHow>,
    /// Messages taken, and those that came.
    taken: Vec<Vec<u8>>,
    came: Vec<Vec<u8>>,
}

struct Layers {
    dice: Dice,
    world: World,
    net: Arc<Net>,
    secure: bool,
    layers: [Layering; 2],
    listener: Token,
    cables: Vec<Cable>,
    sides: BTreeMap<Token, Side>,
    number: u64,
}

fn layers(secure: bool) -> [Layering; 2] {
    let makers = match secure {
        true => tls_ends().map(|end| Maker::Tls(Arc::new(TlsMaker::new(end)))),
        false => [PAD.maker, PAD.maker],
    };
    makers.map(|maker| Layering { maker, handshake_timeout_ms: HANDSHAKE_MS })
}

impl Cable {
    /// Carries so many bytes each way, as far as they are taken.
    fn carry(&mut self, most: usize) {
        for to in [0, 1] {
            let from = 1 - to;
            let read = self.ends[from].read(most);
            if self.harm == Harm::Still {
                continue;
            }
            self.held[to].extend(read);
            if !self.held[to].is_empty()
                && let Some(at) = self.bend.take()
            {
                let at = at % self.held[to].len();
                self.held[to][at] ^= 1;
            }
            let taken = self.ends[to].write(self.held[to].make_contiguous());
            self.held[to].drain(..taken);
            self.carried[to] += taken as u64;
            match self.ends[from].ending() {
                Ending::Reset => self.ends[to].reset(),
                Ending::Ended if self.held[to].is_empty() && !self.ended[to] => {
                    self.ended[to] = true;
                    self.ends[to].end();
                }
                _ => {}
            }
        }
    }

    fn harm(&mut self, harm: Harm, at: usize) {
        if self.harm != Harm::No {
            return;
        }
        match harm {
            Harm::Bent => self.bend = Some(at),
            Harm::Cut => self.ends.iter().for_each(Peer::end),
            Harm::No | Harm::Still => {}
        }
        (self.harm, self.ended) = (harm, [harm == Harm::Cut; 2]);
    }
}

impl Layers {
    fn new(seed: u64) -> Layers {
        set_now(1);
        let mut dice = Dice::new(seed);
        let mut some = |values: &[u32]| if dice.chance(50) { dice.pick(values) } else { 0 };
        let (short, late, at_once) = (some(&[20, 90]), some(&[10, 50]), some(&[50, 100]));
        let delay = some(&[1, 6]) as usize;
        let faults = Faults { short, late, at_once, delay, shuffle: true, ..Faults::default() };
        let world = World::new(dice.roll(), faults);
        world.set_door(SocketAddr::from(([127, 0, 0, 1], 7)), Answer::Accept);
        let net = open(&world, threadless());
        let secure = dice.chance(50);
        let layers = layers(secure);
        layer_for_tests(Some(layers[1].clone()));
        let mut id = 0;
        let url = URL.replace(":7", ":0");
        net.listen(&url, Endpoint::default(), |given| id = given).expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let (cables, sides) = (Vec::new(), BTreeMap::new());
        Layers { dice, world, net, secure, layers, listener, cables, sides, number: 0 }
    }

    /// All of it; the causes of what closed, and how many messages came.
    fn play(mut self) -> (Vec<Cause>, usize) {
        for _ in 0..STEPS {
            self.step();
        }
        for _ in 0..REST_POLLS {
            self.pass(REST_MS);
            self.poll();
            self.cables.iter_mut().for_each(|cable| {
                cable.ends.iter().for_each(Peer::widen);
                cable.carry(usize::MAX);
            });
        }
        self.look_at_rest();
        assert_eq!(self.net.shutdown(Duration::ZERO), Ok(()));
        let closed = self.sides.values().filter_map(|side| Some(side.closed?.0));
        (closed.collect(), self.sides.values().map(|side| side.came.len()).sum())
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0 | 1 => self.dial(),
            2..=6 => self.send(),
            7 => self.close(),
            8 => {
                let harms: &[Harm] = match self.secure {
                    true => &[Harm::Still, Harm::Bent, Harm::Cut],
                    false => &[Harm::Still, Harm::Cut],
                };
                let (harm, at) = (self.dice.pick(harms), self.dice.below(1 << 16));
                if self.dice.chance(30) && !self.cables.is_empty() {
                    let cable = self.dice.below(self.cables.len());
                    self.cables[cable].harm(harm, at);
                }
            }
            9 => {
                let leap = self.dice.pick(&[1, 5, 50]);
                self.pass(leap);
            }
            10..=14 => {
                let most = self.dice.pick(&[1, 10, 1000, 100_000]);
                self.cables.iter_mut().for_each(|cable| cable.carry(most));
            }
            _ => self.poll(),
        }
        self.join();
    }

    fn pass(&self, ms: u64) {
        set_now(now().expect("set when it began") + ms);
    }

    fn dial(&mut self) {
        if self.sides.values().filter(|side| side.closed.is_none()).count() >= CABLES {
            return;
        }
        layer_for_tests(Some(self.layers[0].clone()));
        let mut id = 0;
        let dialled = self.net.connect(URL, Endpoint::default(), |given| id = given);
        dialled.expect("it is looked at later");
        let token = self.net.token(id, Kind::Conn).expect("its own handle");
        self.sides.insert(token, Side::default());
    }

    /// Puts a cable between what the engine connected and its listener.
    fn join(&mut self) {
        while let Some(near) = self.world.incoming() {
            let far = self.world.connect(self.listener, 1 << 16).expect("it listens");
            let token = self.world.token_of(near.link()).expect("connected by the engine");
            self.cables.push(Cable {
                ends: [near, far],
                tokens: [token, Token(0)],
                held: Default::default(),
                carried: [0; 2],
                ended: [false; 2],
                harm: Harm::No,
                bend: None,
            });
        }
    }

    fn any_side(&mut self) -> Option<Token> {
        let live = self.sides.iter().filter(|(_, side)| side.closed.is_none());
        let tokens: Vec<Token> = live.map(|(token, _)| *token).collect();
        (!tokens.is_empty()).then(|| self.dice.pick(&tokens))
    }

    /// A message, also of one that is not open: it waits.
    fn send(&mut self) {
        let Some(token) = self.any_side() else { return };
        let len = self.dice.pick(&[8, 100, 4000, 40_000]);
        self.number += 1;
        let mut message = vec![self.number as u8; len];
        message[..8].copy_from_slice(&self.number.to_le_bytes());
        match self.net.send(token, &message) {
            Ok(()) => self.sides.get_mut(&token).expect("one of them").taken.push(message),
            Err(error) => assert!(matches!(error, Error::Again | Error::Closed), "{error:?}"),
        }
    }

    fn close(&mut self) {
        if !self.dice.chance(20) {
            return;
        }
        let Some(token) = self.any_side() else { return };
        let how = self.dice.pick(&[CloseHow::Graceful, CloseHow::Graceful, CloseHow::Reset]);
        if self.net.close(token, how, None).is_ok() {
            self.sides.get_mut(&token).expect("one of them").shut = Some(how);
        }
    }

    fn poll(&mut self) {
        for told in poll(&self.net, 64, Duration::ZERO).expect("the net runs") {
            let token = told.token;
            let link = self.world.link_of(token);
            let end = |cable: &Cable| cable.ends.iter().position(|end| Some(end.link()) == link);
            let cable = self.cables.iter_mut().find_map(|cable| Some((end(cable)?, cable)));
            if let What::Opened(_) = told.what {
                let (end, cable) = cable.expect("what opens has a cable");
                cable.tokens[end] = token;
                let [there, back] = cable.carried;
                assert!(there > 0 && back > 0, "OPENED before both ends have spoken");
            }
            let side = self.sides.entry(token).or_default();
            assert!(side.closed.is_none(), "told behind CLOSED");
            match told.what {
                What::Opened(_) => {
                    assert!(!side.opened, "OPENED twice");
                    side.opened = true;
                }
                What::Message(data, _) => {
                    assert!(side.opened, "a message before OPENED");
                    side.came.push(data);
                }
                What::Closed(cause, unsent) => side.closed = Some((cause, unsent)),
                _ => {}
            }
        }
    }

    fn look_at_rest(&self) {
        for cable in &self.cables {
            let nobody = Side::default();
            let of = |end: usize| self.sides.get(&cable.tokens[end]).unwrap_or(&nobody);
            for (one, other) in [(of(0), of(1)), (of(1), of(0))] {
                one.look(other, cable.harm);
            }
            let harmless = cable.harm == Harm::No && of(0).shut.is_none() && of(1).shut.is_none();
            assert!(!harmless || of(0).opened && of(1).opened, "both open");
        }
        for side in self.sides.values() {
            let done = side.opened || side.closed.is_some();
            assert!(done, "it neither opens nor closes");
        }
    }
}

impl Side {
    /// After everybody had time for everything.
    fn look(&self, other: &Side, harm: Harm) {
        assert!(self.taken.starts_with(&other.came), "other messages came than were taken");
        let missing: usize = self.taken[other.came.len()..].iter().map(|it| it.len() + 4).sum();
        let told = format!(
            "{harm:?}: {:?} {:?}, {:?} {:?}",
            self.shut, self.closed, other.shut, other.closed
        );
        match self.closed {
            // It is closed with a cause where it was cut off from those.
            None => {
                assert!(missing == 0 || harm == Harm::Still, "{missing} bytes are lost: {told}")
            }
            Some((cause, unsent)) => {
                let all: usize = self.taken.iter().map(|it| it.len() + 4).sum();
                assert!(unsent <= all as u64, "more unsent than was taken: {told}");
                let right = match cause {
                    Cause::Host | Cause::TimeoutLinger => self.shut.is_some(),
                    Cause::TimeoutHandshake => !self.opened && harm == Harm::Still,
                    Cause::Truncated => harm == Harm::Cut,
                    Cause::TlsProtocol | Cause::TlsAlert => harm == Harm::Bent,
                    Cause::TlsCertificateUntrusted => harm == Harm::Bent,
                    Cause::Peer => other.shut.is_some() || other.closed.is_some(),
                    Cause::Reset => other.shut.is_some() || harm != Harm::No,
                    _ => false,
                };
                assert!(right, "closed with {cause:?}: {told}");
                let graceful = self.shut == Some(CloseHow::Graceful) && cause == Cause::Host;
                let listens = other.shut.is_none() && harm == Harm::No && self.opened;
                assert!(!graceful || !listens || missing == 0, "last words are lost: {told}");
            }
        }
    }
}

#[test]
fn layers_hold_over_any_network() {
    let (mut causes, mut messages) = (Vec::new(), 0);
    for seed in 0..SEEDS {
        let all = AssertUnwindSafe(|| Layers::new(seed).play());
        let (closed, came) = catch_unwind(all).unwrap_or_else(|_| panic!("seed {seed}"));
        causes.extend(closed);
        messages += came;
    }
    // Everything that it is about has happened.
    use Cause::{Host, Peer, Reset, TimeoutHandshake, TlsAlert, TlsProtocol, Truncated};
    for cause in [Host, Peer, Reset, TimeoutHandshake, TlsAlert, TlsProtocol, Truncated] {
        assert!(causes.contains(&cause), "{cause:?} never came");
    }
    assert!(messages > 1000, "{messages} messages");
}
