//! A datagram socket under a tap: what it holds of both directions, and the operations that follow.

use super::datagrams::{Datagrams, Fate};
use super::lanes::{AHEAD_BYTES, Flying, IN, Lanes, OUT, PIECE_BYTES, Turn};
use super::weather::{Dice, Micros, Way, Weather};
use crate::buf::{Pool, Slice};
use crate::io::datagram::{ADDRESS_BYTES, Arrival, DATAGRAMS_MAX, Datagram};
use crate::io::op::{Lane, Op, Outcome};
use crate::io::proactor::Proactor;
use std::io;
use std::mem;

/// What was received and is still to be given to the engine.
enum Piece {
    One(Arrival),
    Broken(io::Error),
}

/// See the module.
pub struct Scatter {
    inward: Datagrams<Piece>,
    outward: Datagrams<Datagram>,
    /// What the model did not take of its last send.
    again: Vec<Datagram>,
    /// The engine has asked for something: until then the socket is not read.
    asked: bool,
    /// Drops of the system that were reported with one that was lost here.
    dropped: u32,
}

impl Default for Scatter {
    fn default() -> Scatter {
        Scatter {
            inward: Datagrams::calm(),
            outward: Datagrams::calm(),
            again: Vec::new(),
            asked: false,
            dropped: 0,
        }
    }
}

impl Scatter {
    pub fn set(&mut self, weather: Option<&Weather>, now: Micros) {
        let calm = (Way::CALM, Way::CALM, [Dice::default(), Dice::default()]);
        let (inward, outward, [first, second]) =
            weather.map_or(calm, |it| (it.inward, it.outward, it.dice()));
        self.inward.set(inward, first, now);
        self.outward.set(outward, second, now);
    }

    /// Whether an operation of the engine's needs nothing of the tap.
    pub fn lets_through(&self, op: &Op) -> bool {
        let free = self.outward.is_calm() && self.outward.is_empty() && self.again.is_empty();
        matches!(op, Op::SendTo(all) if free && !all.is_empty())
    }

    pub fn has_input(&self) -> bool {
        !self.inward.is_empty()
    }

    pub fn next(&self, lanes: &Lanes) -> Option<Micros> {
        let next_in = self.inward.next().filter(|_| lanes.asked[IN].is_some());
        let again = (!self.again.is_empty()).then_some(0);
        let next_out = again.or(self.outward.next());
        let next_out = next_out.filter(|_| lanes.flying[OUT] == Flying::Nothing);
        next_in.into_iter().chain(next_out).min()
    }

    /// Receives from the model: what the engine asks for, or ahead of that.
    pub fn read<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        let asks = lanes.asked[IN].is_some();
        self.asked |= asks;
        if !self.asked || lanes.flying[IN] != Flying::Nothing {
            return;
        }
        let more = match self.inward.next() {
            None => asks || !self.inward.is_calm(),
            // Nothing is read while something is due that the engine does not ask for.
            Some(at) => {
                let wanted = asks || at > turn.now;
                wanted && !self.inward.is_calm() && self.inward.bytes() < AHEAD_BYTES
            }
        };
        if more {
            lanes.submit(turn, Op::RecvFrom);
        }
    }

    /// Gives the engine what is due.
    pub fn deliver<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        if lanes.asked[IN].is_none() {
            return;
        }
        let mut all = Vec::new();
        let mut failed = None;
        while all.len() < DATAGRAMS_MAX
            && let Some(piece) = self.inward.take(turn.now)
        {
            match piece {
                Piece::One(arrival) => all.push(arrival),
                Piece::Broken(error) if all.is_empty() => {
                    failed = Some(error);
                    break;
                }
                Piece::Broken(error) => {
                    self.inward.hold(turn.now, false, Piece::Broken(error), PIECE_BYTES);
                    break;
                }
            }
        }
        let answer = match failed {
            Some(error) => Err(error),
            None if all.is_empty() => return,
            None => Ok(all),
        };
        lanes.asked[IN] = None;
        turn.tell(Lane::In, Outcome::ReceivedFrom(answer));
    }

    /// Takes what the engine sends, and gives the model what is due.
    pub fn write<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        self.accept(lanes, turn);
        if lanes.flying[OUT] != Flying::Nothing {
            return;
        }
        let mut all = mem::take(&mut self.again);
        while all.len() < DATAGRAMS_MAX
            && let Some(datagram) = self.outward.take(turn.now)
        {
            all.push(datagram);
        }
        if !all.is_empty() {
            lanes.submit(turn, Op::SendTo(all));
        } else {
            // The last of them was lost, and the engine waits for that.
            self.accept(lanes, turn);
        }
    }

    fn accept<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        let Some(Op::SendTo(all)) = &mut lanes.asked[OUT] else { return };
        let flies = lanes.flying[OUT] != Flying::Nothing;
        let rest = !self.outward.is_empty() || !self.again.is_empty() || flies;
        if (all.is_empty() && rest) || self.outward.bytes() >= AHEAD_BYTES {
            return;
        }
        let all = mem::take(all);
        lanes.asked[OUT] = None;
        for Datagram { address, local, data } in &all {
            let fate = self.outward.draw(turn.now, data.len());
            let Fate::Leaves { at, late, twice, corrupt } = fate else { continue };
            let Some(data) = changed(data, 0, corrupt, &turn.setup.pool) else { continue };
            let (address, local, bytes) = (*address, *local, data.len() + PIECE_BYTES);
            if twice {
                let data = data.clone();
                self.outward.hold(at, late, Datagram { address, local, data }, bytes);
            }
            self.outward.hold(at, late, Datagram { address, local, data }, bytes);
        }
        turn.tell(Lane::Out, Outcome::SentTo(Ok(all.len()), all));
    }

    pub fn completed<P>(&mut self, lanes: &Lanes, outcome: Outcome, turn: &Turn<'_, P>) {
        match outcome {
            Outcome::ReceivedFrom(Ok(all)) => {
                all.into_iter().for_each(|one| self.arrived(one, turn));
            }
            Outcome::ReceivedFrom(Err(_)) if lanes.cancelled => {}
            Outcome::ReceivedFrom(Err(error)) => self.failed(error, turn.now),
            Outcome::SentTo(Ok(count), all) => self.again = all.into_iter().skip(count).collect(),
            Outcome::SentTo(Err(error), all) => {
                // What was in front did not go; those behind are tried without it.
                self.again = all.into_iter().skip(1).collect();
                if !lanes.cancelled {
                    self.failed(error, turn.now);
                }
            }
            _ => debug_assert!(false, "a datagram socket's tap receives and sends datagrams"),
        }
    }

    /// The send that it came of is over for the engine: it is reported as the system reports those.
    fn failed(&mut self, error: io::Error, now: Micros) {
        self.inward.hold(now, false, Piece::Broken(error), PIECE_BYTES);
    }

    fn arrived<P>(&mut self, Arrival { data, dropped }: Arrival, turn: &Turn<'_, P>) {
        self.dropped += dropped;
        let len = data.len().saturating_sub(ADDRESS_BYTES);
        let fate = self.inward.draw(turn.now, len);
        let Fate::Leaves { at, late, twice, corrupt } = fate else { return };
        let pool = &turn.setup.pool;
        let Some(data) = changed(&data, ADDRESS_BYTES, corrupt, pool) else { return };
        let bytes = data.len() + PIECE_BYTES;
        let dropped = mem::take(&mut self.dropped);
        if twice {
            let again = Arrival { data: data.clone(), dropped: 0 };
            self.inward.hold(at, late, Piece::One(again), bytes);
        }
        self.inward.hold(at, late, Piece::One(Arrival { data, dropped }), bytes);
    }
}

/// A datagram with this bit behind its first `front` bytes changed. None: there is no memory for
/// it, and it is lost.
fn changed(data: &Slice, front: usize, bit: Option<u64>, pool: &Pool) -> Option<Slice> {
    let Some(bit) = bit else { return Some(data.clone()) };
    let mut bytes = data.to_vec();
    bytes[front + (bit / 8) as usize] ^= 1 << (bit % 8);
    Some(pool.take(bytes.len())?.write(&bytes))
}
