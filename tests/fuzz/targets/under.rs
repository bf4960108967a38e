//! The layer that is looked at, with the promises that it gives to whoever drives it.

use sockeye::buf::{Pool, Slice, Train};
use sockeye::session::{Cause, Layer, Plain, State};

pub const MEMORY: u64 = 8 << 20;
pub const NOW: u64 = 1000;

/// A message as it stands in an outbox over a WebSocket: a frame without a mask.
pub fn frame(text: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![if text { 0x81 } else { 0x82 }];
    match payload.len() {
        len @ ..126 => frame.push(len as u8),
        len @ ..0x1_0000 => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// See the module.
pub struct Under {
    layer: Box<dyn Layer>,
    pool: Pool,
    /// What it may hold while it opens.
    opening_max: usize,
    /// And afterwards.
    open_max: usize,
    pub plain: Vec<u8>,
    /// The peer has said that nothing follows.
    pub ended: bool,
    pub broken: Option<Cause>,
}

impl Under {
    pub fn new(layer: Box<dyn Layer>, opening_max: usize, open_max: usize) -> Under {
        let pool = Pool::new(MEMORY);
        let (plain, ended, broken) = (Vec::new(), false, None);
        Under { layer, pool, opening_max, open_max, plain, ended, broken }
    }

    pub fn state(&self) -> State {
        self.layer.state()
    }

    fn slice(&self, bytes: &[u8]) -> Slice {
        self.pool.take(bytes.len()).expect("memory").write(bytes)
    }

    /// Bytes arrive, none of which are looked at as yet.
    pub fn arrive(&mut self, wire: &[u8]) {
        if !wire.is_empty() {
            self.layer.handle_received(self.slice(wire), NOW);
        }
    }

    /// It is asked for plaintext where there is no memory: nothing is lost.
    pub fn starve(&mut self) {
        let plain = self.layer.poll_plain(&Pool::new(0), NOW);
        self.take(plain);
    }

    /// All that has become plaintext.
    pub fn read(&mut self) {
        let before = self.state();
        loop {
            let plain = self.layer.poll_plain(&self.pool, NOW);
            if !self.take(plain) {
                break;
            }
        }
        self.look(before);
    }

    /// False: there is no more.
    fn take(&mut self, plain: Plain) -> bool {
        let done = self.ended || self.broken.is_some();
        match plain {
            Plain::Nothing | Plain::Starved(_) => return false,
            Plain::Bytes(slice) => {
                assert!(!done, "bytes behind the end");
                assert!(!slice.is_empty(), "bytes that are none");
                self.plain.extend_from_slice(&slice);
                return true;
            }
            Plain::Message { data, text } => {
                assert!(!done, "a message behind the end");
                self.plain.extend(frame(text, &data));
                return true;
            }
            Plain::End => {
                assert!(self.broken.is_none(), "an end of what is broken");
                self.ended = true;
            }
            Plain::Broken(cause) => {
                // The host ended it before it knew what came, or its peer did within a message.
                let cut = matches!(cause, Cause::Host | Cause::Truncated);
                assert!(cut || self.state() == State::Done(cause), "{cause:?}");
                let same = self.broken.is_none_or(|before| before == cause);
                assert!(cut || same, "{cause:?} behind {:?}", self.broken);
                self.broken = Some(cause);
            }
        }
        false
    }

    /// What it has to say, and so much of some plaintext as it takes.
    pub fn write(&mut self, plain: &[u8]) -> (Vec<u8>, usize) {
        let before = self.state();
        let (mut all, mut wire) = (Train::default(), Train::default());
        let open = before == State::Open && !plain.is_empty();
        if open {
            all.push(self.slice(plain));
        }
        let taken = self.layer.poll_wire(&all, &mut wire, &self.pool, NOW).expect("memory");
        assert!(taken <= all.len(), "more was taken than there is");
        self.look(before);
        (wire.slices().flat_map(|slice| slice.to_vec()).collect(), taken)
    }

    /// It has said all that it had to.
    pub fn look_at_rest(&self) {
        assert!(!self.layer.has_last_word(), "a last word waits");
        assert_eq!(self.layer.owed_bytes(), 0, "it owes what it has taken");
    }

    pub fn end(&mut self) {
        let before = self.state();
        self.layer.end();
        self.look(before);
    }

    /// Its time has come, and somebody wants facts in the midst of it.
    pub fn ask(&mut self) {
        let before = self.state();
        if self.layer.poll_timeout().is_some_and(|at| at <= NOW) {
            self.layer.handle_timeout(NOW);
        }
        let _ = (self.layer.code(), self.layer.tls(), self.layer.web());
        self.look(before);
    }

    fn look(&self, before: State) {
        let (after, held) = (self.state(), self.layer.held_bytes());
        assert!(rank(before) <= rank(after), "from {before:?} back to {after:?}");
        if let State::Done(cause) = before {
            // What ended in order may still break in what it reads.
            assert!(cause == Cause::Host || before == after, "{before:?} became {after:?}");
        }
        let most = if after == State::Opening { self.opening_max } else { self.open_max };
        assert!(held <= most, "{held} bytes held in {after:?}");
    }
}

impl Drop for Under {
    /// Blocks that come back later are not kept.
    fn drop(&mut self) {
        self.pool.close();
    }
}

fn rank(state: State) -> u8 {
    match state {
        State::Opening => 0,
        State::Open => 1,
        State::Ending => 2,
        State::Done(_) => 3,
    }
}
