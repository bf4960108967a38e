//! The test's end of a simulated connection.

use super::link::{End, Link};
use super::world::World;
use crate::io::op::Token;

/// How an engine's end is, as its peer sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// More may come.
    Open,
    /// All was read, and an end behind it.
    Ended,
    /// It was reset.
    Reset,
}

/// A peer. It does only what the test has it do.
pub struct Peer {
    world: World,
    link: usize,
}

impl World {
    /// A client connects to a listener. None: there is no such listener any more.
    pub fn connect(&self, listener: Token, window: usize) -> Option<Peer> {
        self.open(listener, window).map(|link| Peer { world: self.clone(), link })
    }

    /// The peer of a connection that the engine made since the last call.
    pub fn incoming(&self) -> Option<Peer> {
        self.next_incoming().map(|link| Peer { world: self.clone(), link })
    }
}

impl Peer {
    /// The connection's number; a network counts them from 0.
    pub fn link(&self) -> usize {
        self.link
    }

    fn change<T>(&self, change: impl FnOnce(&mut Link) -> T) -> T {
        let answer = change(&mut self.world.lock().links[self.link]);
        self.world.alert();
        answer
    }

    /// Writes what fits; how much that is. 0 when the engine does not listen any more.
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.change(|link| link.peer_writes(bytes))
    }

    /// Reads what is there, up to `most` bytes.
    pub fn read(&self, most: usize) -> Vec<u8> {
        self.change(|link| link.peer_reads(most))
    }

    /// From now on it has room for everything.
    pub fn widen(&self) {
        self.change(Link::widen);
    }

    /// Ends its writing and reads on.
    pub fn end(&self) {
        self.change(Link::peer_ends);
    }

    /// Closes: reads no more.
    pub fn close(&self) {
        self.change(Link::peer_closes);
    }

    /// Resets. Half of the time what it wrote before can still be read.
    pub fn reset(&self) {
        let keep = self.world.lock().dice.chance(50);
        self.change(|link| link.peer_resets(keep));
    }

    /// How the engine's end is.
    pub fn ending(&self) -> Ending {
        let link = &mut self.world.lock().links[self.link];
        match link.refresh() {
            End::Reset => Ending::Reset,
            End::Ended | End::Closed if link.is_drained() => Ending::Ended,
            _ => Ending::Open,
        }
    }

    /// Bytes that the network took from the engine.
    pub fn taken(&self) -> u64 {
        self.world.lock().links[self.link].taken()
    }

    /// Bytes it wrote that no engine read as yet.
    pub fn unread(&self) -> usize {
        self.world.lock().links[self.link].readable()
    }
}
