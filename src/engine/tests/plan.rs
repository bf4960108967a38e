//! What a seed says about a run: the net, the network, and who does what how often. Each run has
//! only some kinds of trouble, so that one does not hide the other.

use super::conn_log::Style;
use super::threadless;
use super::wire::{WIRES, Wire};
use crate::engine::{Config, Flush};
use crate::io::sim::{Dice, Faults};
use crate::session::{Limits, Overflow};

/// What a host or a peer may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Poll,
    Send,
    SendMany,
    Close,
    CloseWith,
    ResetConn,
    Pause,
    UserData,
    Dial,
    Listen,
    CloseListener,
    Post,
    Hog,
    Poke,
    Flush,
    Client,
    Talk,
    Flood,
    Garbage,
    Read,
    EndPeer,
    ClosePeer,
    ResetPeer,
    FailAccept,
    Pass,
}

use Act::*;

/// Each with the weight it has when it is in.
const ACTS: [(Act, usize); 25] = [
    (Poll, 30),
    (Send, 12),
    (SendMany, 3),
    (Close, 2),
    (CloseWith, 1),
    (ResetConn, 1),
    (Pause, 3),
    (UserData, 2),
    (Dial, 3),
    (Listen, 1),
    (CloseListener, 1),
    (Post, 2),
    (Hog, 2),
    (Poke, 3),
    (Flush, 3),
    (Client, 6),
    (Talk, 14),
    (Flood, 2),
    (Garbage, 1),
    (Read, 8),
    (EndPeer, 2),
    (ClosePeer, 1),
    (ResetPeer, 1),
    (FailAccept, 2),
    (Pass, 8),
];
/// Without these nothing happens.
const ALWAYS: [Act; 6] = [Poll, Send, Client, Talk, Read, Pass];
/// These bring the bounds about.
const TIGHT: [Act; 2] = [Hog, Flood];

/// One seed's run.
pub struct Plan {
    pub config: Config,
    pub faults: Faults,
    pub steps: usize,
    /// Connections that peers and host begin in all, at most.
    pub conns_max: usize,
    /// Sizes of messages.
    pub sizes: Vec<usize>,
    /// Time never leaps, so that no linger runs out on a peer that reads.
    pub calm: bool,
    /// Events a poll has room for.
    pub caps: Vec<usize>,
    acts: Vec<(Act, usize)>,
    weight: usize,
    wires: Vec<Wire>,
    frame_max: usize,
}

const SIZES: [usize; 11] = [0, 1, 3, 10, 60, 300, 1000, 3990, 4100, 10_000, 40_000];

impl Plan {
    pub fn new(dice: &mut Dice) -> Plan {
        let (share, tight) = (dice.pick(&[25, 50, 75, 100]), dice.chance(40));
        let mut acts = Vec::new();
        for (act, weight) in ACTS {
            if tight && TIGHT.contains(&act) {
                acts.push((act, weight * dice.pick(&[3, 10])));
            } else if ALWAYS.contains(&act) || dice.chance(share) {
                acts.push((act, weight * dice.pick(&[1, 1, 3])));
            }
        }
        let frame_max = dice.pick(&[512, 8192, 65_536]);
        let mut sizes: Vec<usize> = SIZES.into_iter().filter(|_| dice.chance(60)).collect();
        sizes.extend([2, 20]);
        let mut wires: Vec<Wire> = WIRES.into_iter().filter(|_| dice.chance(60)).collect();
        wires.push(dice.pick(&WIRES));
        let caps = if dice.chance(20) { vec![1] } else { vec![1, 2, 16, 256] };
        Plan {
            config: config(dice, tight),
            faults: faults(dice),
            steps: dice.pick(&[60, 200, 400]),
            conns_max: dice.pick(&[2, 8, 24]),
            sizes,
            calm: dice.chance(60),
            caps,
            weight: acts.iter().map(|(_, weight)| weight).sum(),
            acts,
            wires,
            frame_max,
        }
    }

    pub fn act(&self, dice: &mut Dice) -> Act {
        let mut at = dice.below(self.weight);
        for &(act, weight) in &self.acts {
            if at < weight {
                return act;
            }
            at -= weight;
        }
        Poll
    }

    pub fn size(&self, dice: &mut Dice) -> usize {
        let size = dice.pick(&self.sizes);
        size + dice.below(3)
    }

    /// Peers keep to the limit of a frame.
    pub fn peer_size(&self, dice: &mut Dice) -> usize {
        self.size(dice).min(self.frame_max)
    }

    /// How the connections of a new endpoint are.
    pub fn style(&self, dice: &mut Dice) -> Style {
        let wire = dice.pick(&self.wires);
        let user_data = dice.roll();
        let limits = self.limits(dice, wire);
        Style { wire, frame_max: self.frame_max, limits, user_data, weight: 1 }
    }

    fn limits(&self, dice: &mut Dice, wire: Wire) -> Limits {
        let most = dice.pick(&[1024, 5000, 70_000, 1 << 20]);
        let mut rarely = |value: u32| if !self.calm && dice.chance(15) { value } else { 0 };
        let idle_timeout_ms = rarely(700);
        let first_byte_timeout_ms = rarely(300);
        let frame_timeout_ms = rarely(400);
        let send_timeout_ms = rarely(500);
        let (receive_rate, send_rate) = (rarely(64 << 10), rarely(64 << 10));
        let least = rarely(100);
        let overflow = dice.pick(&[Overflow::Reject, Overflow::DropOldest, Overflow::Close]);
        // Without frames there is nothing to be dropped whole.
        let keeps = wire == Wire::Raw || dice.chance(60);
        Limits {
            outbox_max_bytes: most,
            outbox_low_bytes: dice.pick(&[0, most / 4, most - 1]),
            outbox_max_messages: dice.pick(&[1, 3, 50, 65_536]),
            overflow: if keeps { Overflow::Reject } else { overflow },
            gate_reads: dice.chance(20),
            connect_timeout_ms: dice.pick(&[200, 1000]),
            idle_timeout_ms,
            first_byte_timeout_ms,
            frame_timeout_ms,
            send_timeout_ms,
            linger_ms: if self.calm { 5000 } else { dice.pick(&[20, 300, 2000]) },
            half_open: false,
            receive_rate,
            send_rate,
            min_receive_rate: if wire == Wire::Raw { 0 } else { least },
            min_receive_window_ms: 600,
        }
    }
}

fn config(dice: &mut Dice, tight: bool) -> Config {
    Config {
        flush: if dice.chance(70) { Flush::Auto } else { Flush::Manual },
        connections_max: dice.pick(&[3, 8, 30, 1000]),
        turn_messages: dice.pick(&[1, 7, 1024]),
        turn_bytes: dice.pick(&[1024, 4096, 65_536]),
        memory_max_bytes: if tight { dice.pick(&[1 << 20, 3 << 20]) } else { 64 << 20 },
        queue_max_bytes: if tight { dice.pick(&[64 << 10, 64 << 20]) } else { 64 << 20 },
        ..threadless()
    }
}

fn faults(dice: &mut Dice) -> Faults {
    let mut some = |values: &[u32]| if dice.chance(50) { dice.pick(values) } else { 0 };
    let (short, late, at_once) = (some(&[20, 90]), some(&[10, 50]), some(&[50, 100]));
    let (accept, delay, sockets) = (some(&[5, 30]), some(&[1, 6]), some(&[0, 0, 2, 6]));
    Faults {
        short,
        delay: delay as usize,
        late,
        at_once,
        shuffle: dice.chance(70),
        lavish: dice.chance(30),
        accept,
        sockets: sockets as usize,
    }
}
