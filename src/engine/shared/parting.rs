//! A socket on its way back to the host: what the host's call and the worker share of it.
//! `worker/part.rs` has the steps.

use crate::buf::Slice;
use crate::engine::shared::error::Refusal;
use socket2::Socket;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What the host is given.
pub struct Parted {
    /// Open, close-on-exec, and not blocking.
    pub socket: Socket,
    /// Received and not cut into messages, as it came.
    pub unread: Slice,
    /// Taken and not handed to the system, as it would have left.
    pub unsent: Slice,
}

/// Where the worker answers.
///
/// In a box: few connections and listeners have one, and each has its place.
pub struct Answer(Box<SyncSender<Result<Parted, Refusal>>>);

/// Where the host's call waits.
pub type Awaited = Receiver<Result<Parted, Refusal>>;

impl Answer {
    /// Room for one answer: giving it never waits.
    pub fn new() -> (Answer, Awaited) {
        let (sender, receiver) = sync_channel(1);
        (Answer(Box::new(sender)), receiver)
    }

    /// Answers. The call waits as long as the answer stands with its connection or listener, which
    /// is locked: so it is received.
    pub fn give(self, answer: Result<Parted, Refusal>) {
        let given = self.0.try_send(answer);
        debug_assert!(given.is_ok(), "who asked withdraws under the same lock");
    }
}

/// There is none in two of them: they are alike.
impl PartialEq for Answer {
    fn eq(&self, _: &Answer) -> bool {
        false
    }
}
