//! Events as a test keeps them.

use crate::engine::{Error, Handed, Net, Notice};
use crate::io::Token;
use crate::session::Cause;
use std::time::Duration;

/// One event of a batch.
#[derive(Debug)]
pub struct Told {
    pub token: Token,
    pub user_data: u64,
    pub number: u64,
    pub what: What,
}

/// What it reports.
#[derive(Debug)]
pub enum What {
    Opened(Option<Token>),
    /// The payload, and where the engine has it.
    Message(Vec<u8>, usize),
    Writable(u32),
    Moved(u8),
    Closed(Cause, u64),
    ListenerClosed(Cause),
    Posted(u64),
    /// Which, and its periods that are merged.
    Timer(Token, u32),
}

impl Told {
    fn new(handed: &Handed) -> Told {
        let what = match &handed.event.notice {
            Notice::Opened { listener, .. } => What::Opened(*listener),
            Notice::Message { data, .. } => {
                What::Message(data.to_vec(), data.as_ptr().expose_provenance())
            }
            Notice::Writable { refused, .. } => What::Writable(*refused),
            Notice::Moved { queue, .. } => What::Moved(*queue),
            Notice::Closed { cause, unsent, .. } => What::Closed(*cause, *unsent),
            Notice::ListenerClosed { cause, .. } => What::ListenerClosed(*cause),
            Notice::Posted { detail, .. } => What::Posted(*detail),
            Notice::Timer { timer, missed } => What::Timer(*timer, *missed),
            Notice::Migrated => panic!("nobody has lanes here"),
            Notice::Ended => panic!("nobody stays half open here"),
            Notice::Datagram { .. } => panic!("nobody has a datagram here"),
            Notice::Mail(_) => panic!("nothing with a payload is posted here"),
            Notice::Gone => panic!("an event was handed out whose batch is over"),
        };
        let (token, number) = (handed.event.token, handed.number);
        Told { token, user_data: handed.user_data, number, what }
    }
}

/// One poll.
pub fn poll(net: &Net, cap: usize, timeout: Duration) -> Result<Vec<Told>, Error> {
    poll_queue(net, 0, cap, timeout)
}

/// One poll of a queue of several.
pub fn poll_queue(
    net: &Net,
    queue: u32,
    cap: usize,
    timeout: Duration,
) -> Result<Vec<Told>, Error> {
    let mut batch = Vec::new();
    let count = net.poll(queue, cap, Some(timeout), |at, handed| {
        assert_eq!(at, batch.len(), "the array is filled in order");
        batch.push(Told::new(&handed));
    })?;
    assert_eq!(count, batch.len(), "the answer is what was handed out");
    assert!(count <= cap, "no more than the array has room for");
    Ok(batch)
}
