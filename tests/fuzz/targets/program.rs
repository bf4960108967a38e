//! What happens between a layer and its peer, as the bytes of a program say.

use super::under::Under;
use sockeye::session::State;
use std::collections::VecDeque;

/// Steps of one program, at most.
const STEPS_MAX: usize = 200;
/// A read at most.
pub const READ_MAX: usize = 4096;
/// Bytes that a layer says at once, at most: an answer to each of those that it was given.
const SAID_MAX: usize = 1 << 20;
/// Turns in which two ends that mean well have said all.
const TURNS_MAX: usize = 64;

/// The other end: another's code, or what is as simple as may be.
pub trait Peer {
    /// Something to be said, as soon as it is open.
    fn say(&mut self, plain: &[u8]);
    /// What it sends now.
    fn wire(&mut self) -> Vec<u8>;
    /// Bytes came; those that became plaintext. None: they are not what this end said.
    fn hear(&mut self, wire: &[u8]) -> Option<Vec<u8>>;
    /// It says that nothing follows. False: it has no word for that.
    fn end(&mut self) -> bool;
    /// Plaintext as it stands in an outbox.
    fn wrap(&self, plain: Vec<u8>) -> Vec<u8> {
        plain
    }
    /// Whatever it may do in the midst of it, as with new keys.
    fn act(&mut self) {}
    /// Whether what came through was not changed on its way, which only secrets can show.
    fn is_sealed(&self) -> bool;
}

/// See the module.
pub struct Program<'a>(&'a [u8]);

/// Both ends, and what is between them.
struct Line {
    under: Under,
    peer: Box<dyn Peer>,
    /// From the peer, on its way.
    coming: VecDeque<u8>,
    /// Plaintext that each end has said.
    said: Vec<u8>,
    answered: Vec<u8>,
    heard: Vec<u8>,
    peer_ended: bool,
    /// Something was done to the bytes.
    damaged: bool,
    /// The next byte that somebody says.
    number: u8,
}

impl<'a> Program<'a> {
    pub fn new(input: &'a [u8]) -> Program<'a> {
        Program(input)
    }

    /// The next byte; a program goes on with zeros.
    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// Whether nothing but zeros follows.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        self.0.split_off(..count.min(self.0.len())).unwrap_or_default()
    }

    /// Does what it says, and then lets both say the rest.
    pub fn run(mut self, under: Under, peer: Box<dyn Peer>) {
        let mut line = Line {
            under,
            peer,
            coming: VecDeque::new(),
            said: Vec::new(),
            answered: Vec::new(),
            heard: Vec::new(),
            peer_ended: false,
            damaged: false,
            number: 0,
        };
        for _ in 0..STEPS_MAX {
            if self.0.is_empty() {
                break;
            }
            line.step(&mut self);
            line.look();
        }
        line.settle();
        line.look();
        line.look_at_end();
    }
}

impl Line {
    // tidy: flat match
    fn step(&mut self, program: &mut Program) {
        let (step, count) = (program.byte(), usize::from(program.byte()));
        match step % 14 {
            0 => self.settle(),
            1 => self.carry(count + 1, READ_MAX),
            2 => self.carry(usize::MAX, count + 1),
            3 => self.carry(16 * count, usize::MAX),
            4 => {
                // Before what is on its way.
                self.damaged = true;
                let noise = program.bytes(count);
                self.deliver(noise);
            }
            5 => {
                let at = count + 256 * usize::from(program.byte());
                let (len, bits) = (self.coming.len().max(1), program.byte().max(1));
                if let Some(byte) = self.coming.get_mut(at % len) {
                    *byte ^= bits;
                    self.damaged = true;
                }
            }
            6 => {
                let gone = self.coming.drain(..count.min(self.coming.len()));
                self.damaged |= gone.len() > 0;
            }
            7 => {
                // Once more: somebody has kept it.
                let again: Vec<u8> = self.coming.iter().take(8 * count).copied().collect();
                self.damaged |= !again.is_empty();
                self.deliver(&again);
            }
            8 if !self.peer_ended => {
                let plain = self.text(count * count);
                self.peer.say(&plain);
                self.said.extend(plain);
                self.fetch();
            }
            9 => {
                let plain = self.text(count * count);
                self.answer(&plain);
            }
            10 => {
                // Who ends before it has begun does not mean well.
                self.damaged |= self.under.state() != State::Open;
                self.peer_ended |= self.peer.end();
                self.fetch();
            }
            11 => self.under.end(),
            12 => {
                // It hears nothing while there is no memory.
                let bytes: Vec<u8> = self.coming.drain(..self.coming.len().min(count)).collect();
                self.under.arrive(&bytes);
                self.under.starve();
            }
            13 => {
                self.under.ask();
                self.peer.act();
                self.fetch();
            }
            _ => {}
        }
    }

    /// Bytes unlike their neighbours, which look like neither TLS nor HTTP.
    fn text(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.number = self.number.wrapping_mul(5).wrapping_add(17);
            self.number | 0x80
        };
        let plain = (0..count).map(|_| next()).collect();
        self.peer.wrap(plain)
    }

    fn fetch(&mut self) {
        self.coming.extend(self.peer.wire());
    }

    /// So many bytes of those on their way, in reads of a size.
    fn carry(&mut self, count: usize, cut: usize) {
        self.fetch();
        let bytes: Vec<u8> = self.coming.drain(..count.min(self.coming.len())).collect();
        bytes.chunks(cut.clamp(1, READ_MAX)).for_each(|piece| self.deliver(piece));
    }

    fn deliver(&mut self, wire: &[u8]) {
        for piece in wire.chunks(READ_MAX) {
            self.under.arrive(piece);
            self.under.read();
        }
        self.answer(b"");
    }

    /// What the layer has to say, and some plaintext.
    fn answer(&mut self, mut plain: &[u8]) {
        let mut said = 0;
        loop {
            let (wire, taken) = self.under.write(plain);
            self.answered.extend_from_slice(&plain[..taken]);
            plain = &plain[taken..];
            // Nothing is done to this direction.
            match self.peer.hear(&wire) {
                Some(heard) => self.heard.extend(heard),
                None => assert!(self.damaged, "what the layer says is no speech"),
            }
            if taken == 0 && wire.is_empty() {
                return self.under.look_at_rest();
            }
            said += wire.len();
            assert!(said < SAID_MAX, "it never ends to speak");
        }
    }

    /// Both say what they have.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.under.read();
            self.answer(b"");
            self.fetch();
            if self.coming.is_empty() {
                break;
            }
            self.carry(usize::MAX, READ_MAX);
        }
    }

    fn look(&self) {
        if self.peer.is_sealed() || !self.damaged {
            assert!(self.answered.starts_with(&self.heard), "the peer heard what was not said");
            assert!(self.said.starts_with(&self.under.plain), "plaintext that nobody said");
            assert!(self.peer_ended || !self.under.ended, "an end that nobody said");
        }
    }

    /// Where nothing was done to it, all has arrived.
    fn look_at_end(&self) {
        let hosts = !matches!(self.under.state(), State::Opening | State::Open);
        if self.damaged || hosts {
            return;
        }
        assert_eq!(self.under.broken, None, "broken by a peer that means well");
        assert!(self.said == self.under.plain, "lost on the way in");
        assert!(self.answered == self.heard, "lost on the way out");
        assert_eq!(self.under.ended, self.peer_ended, "its end");
    }
}
