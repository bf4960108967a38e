//! The rules that hold for every event in every test: OPENED at most once and before anything
//! else, MESSAGE where there is a framing and BYTES where there is none, nothing but WRITABLE,
//! MOVED and CLOSED behind ENDED, CLOSED exactly once and last, the same for listeners, one queue
//! for one connection but between its two MOVED, which name each other's, and no array in which a
//! connection's OPENED is followed by more of it.

use super::event::{Event, Kind};
use std::collections::{HashMap, HashSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// `sockeye_connect` returned it; nothing was reported.
    Connecting,
    Open,
    /// MOVED was reported on this queue, and is to be reported on the next.
    Moving(u32),
    Closed,
}

/// What was reported of each handle so far.
#[derive(Default)]
pub struct Rules {
    conns: HashMap<u64, (Life, u32)>,
    /// And the queue that told of its end.
    doors: HashMap<u64, Option<u32>>,
    /// Where those were last asked to go.
    asked: HashMap<u64, u32>,
    /// Those whose peer ended its side.
    ended: HashSet<u64>,
    /// Whether a connection, or those of a listener, have a framing, where the test says so.
    framed: HashMap<u64, bool>,
}

impl Rules {
    pub fn connecting(&mut self, conn: u64, queue: u32) {
        assert_ne!(conn, 0, "a handle is never 0");
        let before = self.conns.insert(conn, (Life::Connecting, queue));
        assert_eq!(before, None, "a handle is never used again");
    }

    pub fn moving(&mut self, conn: u64, queue: u32) {
        self.asked.insert(conn, queue);
    }

    pub fn listening(&mut self, door: u64) {
        assert_ne!(door, 0, "a handle is never 0");
        assert_eq!(self.doors.insert(door, None), None, "a handle is never used again");
    }

    /// What a connection, or a listener for its own, was made with.
    pub fn framing(&mut self, of: u64, framed: bool) {
        self.framed.insert(of, framed);
    }

    /// Looks at one array of events as poll gave it.
    pub fn look(&mut self, events: &[Event]) {
        let mut opened = HashSet::new();
        for event in events {
            let followed = opened.contains(&event.conn.id);
            assert!(!followed, "behind OPENED in one array: {event:?}");
            match event.kind {
                Kind::Opened => {
                    self.opened(event);
                    opened.insert(event.conn.id);
                }
                // Of a listener of datagrams.
                Kind::Datagram | Kind::Writable if event.conn.id == 0 => {
                    let door = self.doors.get(&event.listener.id);
                    assert_eq!(door, Some(&None), "of an open listener: {event:?}");
                }
                Kind::Message | Kind::Datagram | Kind::Writable | Kind::Ended | Kind::Migrated => {
                    let later = self.ended.contains(&event.conn.id);
                    assert!(!later || event.kind == Kind::Writable, "behind ENDED: {event:?}");
                    if event.kind == Kind::Ended {
                        self.ended.insert(event.conn.id);
                    }
                    let life = self.conns.get(&event.conn.id);
                    assert_eq!(life, Some(&(Life::Open, event.queue)), "{event:?}");
                    if let (Kind::Message, Some(framed)) =
                        (event.kind, self.framed.get(&event.conn.id))
                    {
                        assert_eq!(event.is_whole, *framed, "MESSAGE or BYTES: {event:?}");
                    }
                }
                Kind::Moved => self.moved(event),
                Kind::Closed => self.closed(event),
                Kind::ListenerClosed => {
                    assert_ne!(event.cause, 0, "a close has a cause: {event:?}");
                    let before = self.doors.insert(event.listener.id, Some(event.queue));
                    assert_eq!(before, Some(None), "a listener closes once: {event:?}");
                }
                Kind::Posted | Kind::Host => {}
                Kind::Timer | Kind::Resolved => {
                    assert_eq!((event.conn.id, event.listener.id), (0, 0), "{event:?}");
                }
            }
        }
    }

    fn opened(&mut self, event: &Event) {
        assert_ne!(event.conn.id, 0, "{event:?}");
        let before = self.conns.insert(event.conn.id, (Life::Open, event.queue));
        if event.listener.id == 0 {
            assert_eq!(before, Some((Life::Connecting, event.queue)), "{event:?}");
        } else {
            assert_eq!(before, None, "opened twice: {event:?}");
            // Two queues are in no order; of one queue the listener's end is the last.
            if let Some(framed) = self.framed.get(&event.listener.id).copied() {
                self.framing(event.conn.id, framed);
            }
            let door = self.doors.get(&event.listener.id);
            let open = door.is_some_and(|end| *end != Some(event.queue));
            assert!(open, "of a listener that closed: {event:?}");
        }
    }

    fn moved(&mut self, event: &Event) {
        let (conn, other) = (event.conn.id, event.detail as u32);
        let next = match self.conns.get(&conn) {
            Some((Life::Open, queue)) => {
                assert_eq!((*queue, self.asked.get(&conn)), (event.queue, Some(&other)));
                (Life::Moving(event.queue), other)
            }
            Some((Life::Moving(from), queue)) => {
                assert_eq!((*queue, *from), (event.queue, other), "{event:?}");
                (Life::Open, event.queue)
            }
            life => panic!("moved as {life:?}: {event:?}"),
        };
        self.conns.insert(conn, next);
    }

    fn closed(&mut self, event: &Event) {
        assert_ne!(event.cause, 0, "a close has a cause: {event:?}");
        let before = self.conns.insert(event.conn.id, (Life::Closed, event.queue));
        let Some((life, queue)) = before else { panic!("closed, never opened: {event:?}") };
        assert_ne!(life, Life::Closed, "closed twice: {event:?}");
        // A host that closes it is not told MOVED any more.
        let here = queue == event.queue || self.asked.get(&event.conn.id) == Some(&event.queue);
        assert!(here, "another queue's connection: {event:?}");
    }

    /// After a shutdown and a full drain nothing is open.
    pub fn all_closed(&self) {
        for (conn, (life, _)) in &self.conns {
            assert_eq!(*life, Life::Closed, "connection {conn:#x} was never closed");
        }
        for (door, end) in &self.doors {
            assert!(end.is_some(), "listener {door:#x} was never closed");
        }
    }
}
