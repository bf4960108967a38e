//! Connections that are over here, and whose peers are told so a few times: a goodbye may be lost.

use crate::transport::lanes::Micros;
use crate::transport::lanes::envelope::{Kind, Session};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// How often a peer is told.
const GOODBYES: usize = 4;
/// Of these, so many say only that its end arrived, where that is to be said.
const ACKNOWLEDGED: usize = 2;
/// The time between the first two, which doubles.
const FIRST_US: Micros = 20_000;
/// Of more that end at a time, the oldest are told less often.
const PARTINGS_MAX: usize = 65_536;

/// One of them.
pub struct Parting {
    pub peer: SocketAddr,
    pub local: Option<IpAddr>,
    pub session: Session,
    /// A packet that acknowledges the peer's end, which comes first: a peer that is told of the end
    /// before it knows that what it sent arrived takes it for a reset.
    pub last: Option<Box<[u8]>>,
    /// When it is told next.
    pub at: Micros,
}

/// All of them, by how often each was told: in the order of their times.
#[derive(Default)]
pub struct Partings {
    rounds: [VecDeque<Parting>; GOODBYES],
}

impl Partings {
    /// One that is to be told now.
    pub fn add(&mut self, parting: Parting) {
        if self.rounds.iter().map(VecDeque::len).sum::<usize>() >= PARTINGS_MAX {
            let last = self.rounds.iter_mut().rev().find(|round| !round.is_empty());
            last.and_then(VecDeque::pop_front);
        }
        self.rounds[0].push_back(parting);
    }

    /// When the next one is.
    pub fn next(&self) -> Option<Micros> {
        self.rounds.iter().filter_map(|round| Some(round.front()?.at)).min()
    }

    /// One that is due, and how often it was told.
    pub fn due(&mut self, now: Micros) -> Option<(usize, Parting)> {
        let due = |round: &&mut VecDeque<Parting>| round.front().is_some_and(|it| it.at <= now);
        let (told, round) = self.rounds.iter_mut().enumerate().find(|(_, round)| due(round))?;
        let parting = round.pop_front()?;
        if round.is_empty() {
            *round = VecDeque::new();
        }
        Some((told, parting))
    }

    /// Makes what it is told now in `out`: two packets at most, one behind the other. Answers where
    /// each ends.
    pub fn packets(told: usize, parting: &mut Parting, out: &mut [u8]) -> (usize, usize) {
        let mut len = 0;
        if let Some(last) = &parting.last {
            len = last.len();
            out[..len].copy_from_slice(last);
            if told < ACKNOWLEDGED {
                return (len, len);
            }
        }
        let sequence = parting.session.next;
        parting.session.next += 1;
        let session = &parting.session;
        (len, len + session.seal(Kind::Disconnect, None, sequence, &[], &mut out[len..]))
    }

    /// It was told once more.
    pub fn told(&mut self, told: usize, mut parting: Parting, now: Micros) {
        if let Some(round) = self.rounds.get_mut(told + 1) {
            parting.at = now + (FIRST_US << told);
            round.push_back(parting);
        }
    }
}
