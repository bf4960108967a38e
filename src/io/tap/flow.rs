//! A stream under a tap: what it holds of both directions, and the operations that follow.

use super::lanes::{AHEAD_BYTES, Flying, IN, Lanes, OUT, PIECE_BYTES, Turn, Unsent};
use super::stream::{Course, Leave};
use super::weather::{Micros, Weather};
use crate::buf::{Slice, Train};
use crate::io::op::{Lane, Op, Outcome};
use crate::io::os::sys;
use crate::io::proactor::{Proactor, cancelled};
use std::collections::VecDeque;
use std::io;
use std::mem;

/// What was received and is still to be given to the engine.
enum Piece {
    Bytes(Slice),
    End,
    Broken(io::Error),
}

/// See the module.
pub struct Flow {
    inward: Inward,
    outward: Outward,
}

/// From the model to the engine.
struct Inward {
    course: Course,
    /// Each with when it is due.
    held: VecDeque<(Micros, Piece)>,
    /// Bytes that they count for.
    bytes: usize,
    /// The engine has asked for something: until then the socket is not read.
    asked: bool,
    /// Nothing more comes.
    over: bool,
}

/// From the engine to the model.
struct Outward {
    course: Course,
    held: VecDeque<(Micros, Slice)>,
    /// Bytes taken that the model has not reported as sent.
    bytes: usize,
    /// Bytes taken and given up.
    lost: u64,
    /// Why nothing leaves any more.
    broken: Option<io::Error>,
}

impl Default for Flow {
    fn default() -> Flow {
        let inward = Inward {
            course: Course::calm(),
            held: VecDeque::new(),
            bytes: 0,
            asked: false,
            over: false,
        };
        let outward = Outward {
            course: Course::calm(),
            held: VecDeque::new(),
            bytes: 0,
            lost: 0,
            broken: None,
        };
        Flow { inward, outward }
    }
}

impl Flow {
    pub fn set(&mut self, weather: Option<&Weather>, now: Micros) {
        let courses = weather.map_or_else(
            || [Course::calm(), Course::calm()],
            |weather| {
                let [inward, outward] = weather.dice();
                let inward = Course::new(weather.inward, inward, now);
                [inward, Course::new(weather.outward, outward, now)]
            },
        );
        [self.inward.course, self.outward.course] = courses;
    }

    /// Whether an operation of the engine's needs nothing of the tap.
    pub fn lets_through(&self, op: &Op) -> bool {
        let out = &self.outward;
        match op {
            Op::Connect(_) => true,
            Op::Send(train) => {
                let free = out.bytes == 0 && out.broken.is_none();
                out.course.is_calm() && free && !train.is_empty()
            }
            _ => false,
        }
    }

    /// Whether nothing is held that the engine does not know of.
    pub fn is_empty(&self) -> bool {
        let Outward { bytes, lost, broken, .. } = &self.outward;
        self.inward.held.is_empty() && *bytes == 0 && *lost == 0 && broken.is_none()
    }

    pub fn has_input(&self) -> bool {
        !self.inward.held.is_empty()
    }

    pub fn next(&self, lanes: &Lanes) -> Option<Micros> {
        let (inward, out) = (&self.inward, &self.outward);
        let next_in = inward.held.front().filter(|_| lanes.asked[IN].is_some());
        let next_out = out.held.front().filter(|_| lanes.flying[OUT] == Flying::Nothing);
        let next_in = next_in.map(|(due, _)| inward.course.at(*due));
        let next_out = next_out.map(|(due, _)| out.course.at(*due));
        next_in.into_iter().chain(next_out).min()
    }

    /// Receives from the model: what the engine asks for, or ahead of that.
    pub fn read<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        let inward = &mut self.inward;
        let asks = lanes.asked[IN].is_some();
        inward.asked |= asks;
        if !inward.asked || inward.over || lanes.flying[IN] != Flying::Nothing {
            return;
        }
        let more = match inward.held.front() {
            None => asks || !inward.course.is_calm(),
            // Nothing is read while something is due that the engine does not ask for.
            Some((due, _)) => {
                let late = inward.course.at(*due) <= turn.now;
                (asks || !late) && !inward.course.is_calm() && inward.bytes < AHEAD_BYTES
            }
        };
        if more {
            lanes.submit(turn, Op::Recv(None));
        }
    }

    /// Gives the engine what is due.
    pub fn deliver<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        let inward = &mut self.inward;
        let Some(Op::Recv(given)) = &mut lanes.asked[IN] else { return };
        let Some((due, piece)) = inward.held.front_mut() else { return };
        let mut most = turn.setup.recv_max;
        if let Some(chunk) = given {
            most = most.min(chunk.room());
        }
        let len = if let Piece::Bytes(slice) = piece { slice.len().min(most) } else { 0 };
        let Leave::Now(count) = inward.course.leave(turn.now, *due, len) else { return };
        let mut given = given.take();
        lanes.asked[IN] = None;
        let answer = match piece {
            Piece::Bytes(slice) => {
                let mut part = slice.clone();
                part.truncate(count);
                slice.advance(count);
                inward.bytes -= count;
                if slice.is_empty() {
                    inward.bytes -= PIECE_BYTES;
                    inward.held.pop_front();
                }
                Ok(match &mut given {
                    Some(chunk) => chunk.write(&part),
                    None => part,
                })
            }
            Piece::End => {
                inward.held.pop_front();
                Ok(Slice::default())
            }
            Piece::Broken(_) => match inward.held.pop_front() {
                Some((_, Piece::Broken(error))) => Err(error),
                _ => Ok(Slice::default()),
            },
        };
        turn.tell(Lane::In, Outcome::Received(answer, given));
        if count > 0 && inward.course.is_over() {
            self.reset(lanes);
        }
    }

    /// Takes what the engine sends, and gives the model what is due.
    pub fn write<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        self.accept(lanes, turn);
        let out = &mut self.outward;
        if lanes.flying[OUT] != Flying::Nothing || out.course.is_over() {
            return;
        }
        let mut train = Train::default();
        while let Some((due, slice)) = out.held.front_mut()
            && !train.is_full()
            && let Leave::Now(count) = out.course.leave(turn.now, *due, slice.len())
        {
            let mut part = slice.clone();
            part.truncate(count);
            slice.advance(count);
            train.push(part);
            if slice.is_empty() {
                out.held.pop_front();
            }
            if out.course.is_over() || !out.course.gathers() {
                break;
            }
        }
        if !train.is_empty() {
            lanes.submit(turn, Op::Send(train));
        }
    }

    fn accept<P: Proactor>(&mut self, lanes: &mut Lanes, turn: &mut Turn<'_, P>) {
        let out = &mut self.outward;
        let Some(Op::Send(train)) = &mut lanes.asked[OUT] else { return };
        let answer = if let Some(error) = &out.broken {
            let error = same(error);
            Err(io::Error::other(Unsent { bytes: mem::take(&mut out.lost), error }))
        } else if train.is_empty() {
            if out.bytes > 0 {
                return;
            }
            Ok(0)
        } else if out.bytes < AHEAD_BYTES {
            let due = out.course.due(turn.now);
            let slices = train.slices().filter(|slice| !slice.is_empty());
            out.held.extend(slices.map(|slice| (due, slice.clone())));
            out.bytes += train.len();
            Ok(train.len())
        } else {
            return;
        };
        let train = mem::take(train);
        lanes.asked[OUT] = None;
        turn.tell(Lane::Out, Outcome::Sent(answer, train));
    }

    pub fn completed(&mut self, lanes: &mut Lanes, outcome: Outcome, now: Micros) {
        match outcome {
            Outcome::Received(answer, _) => self.received(answer, now),
            Outcome::Sent(answer, train) => self.sent(lanes, answer, train),
            _ => debug_assert!(false, "a stream's tap receives and sends"),
        }
    }

    fn received(&mut self, answer: io::Result<Slice>, now: Micros) {
        let inward = &mut self.inward;
        if inward.over {
            return;
        }
        let piece = match answer {
            Ok(slice) if !slice.is_empty() => {
                inward.bytes += slice.len() + PIECE_BYTES;
                Piece::Bytes(slice)
            }
            Err(error) => Piece::Broken(error),
            // The reset was reported to a send, and then looks like an end to a receive.
            Ok(_) => match &self.outward.broken {
                Some(error) => Piece::Broken(same(error)),
                None => Piece::End,
            },
        };
        inward.over = !matches!(piece, Piece::Bytes(_));
        inward.held.push_back((inward.course.due(now), piece));
    }

    fn sent(&mut self, lanes: &mut Lanes, answer: io::Result<usize>, train: Train) {
        let out = &mut self.outward;
        let mut left = match answer {
            Ok(count) => count,
            Err(_) if lanes.cancelled => 0,
            Err(error) => return out.break_off(error),
        };
        out.bytes = out.bytes.saturating_sub(left);
        let rest = train.len() - left;
        out.course.returned(rest);
        let mut again = VecDeque::new();
        for mut slice in train.into_slices() {
            let gone = left.min(slice.len());
            left -= gone;
            slice.advance(gone);
            if !slice.is_empty() {
                again.push_front(slice);
            }
        }
        again.into_iter().for_each(|slice| out.held.push_front((0, slice)));
        if out.course.is_over() && rest == 0 && out.broken.is_none() {
            self.reset(lanes);
        }
    }

    /// Resets the connection: for the peer at once, for the engine behind what it was given.
    fn reset(&mut self, lanes: &Lanes) {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        sys::reset(&lanes.socket);
        sys::cut(&lanes.socket);
        let inward = &mut self.inward;
        inward.held.clear();
        inward.bytes = 0;
        inward.over = true;
        inward.held.push_back((0, Piece::Broken(reset())));
        self.outward.break_off(reset());
    }

    /// What did not leave does not any more: the error of the send that waits for it.
    pub fn give_up(&mut self) -> io::Error {
        let out = &mut self.outward;
        out.held.clear();
        let bytes = mem::take(&mut out.lost) + mem::take(&mut out.bytes) as u64;
        io::Error::other(Unsent { bytes, error: cancelled() })
    }
}

impl Outward {
    fn break_off(&mut self, error: io::Error) {
        self.held.clear();
        self.lost += mem::take(&mut self.bytes) as u64;
        self.broken.get_or_insert(error);
    }
}

/// An error once more.
fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
