//! The layer that is looked at, with the promises that it gives to whoever drives it.

use sockeye::buf::{Pool, Slice, Train};
use sockeye::session::{Cause, Layer, Plain, State};

const MEMORY: u64 = 8 << 20;
const NOW: u64 = 1000;

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

    /// It is asked for plaintext where there is no memory: nothing comes, and nothing is lost.
    pub fn starve(&mut self) {
        let plain = self.layer.poll_plain(&Pool::new(0), NOW);
        assert!(!matches!(plain, Plain::Bytes(_)), "bytes without memory");
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
                assert!(!text || std::str::from_utf8(&data).is_ok(), "text is UTF-8");
                self.plain.extend_from_slice(&data);
                return true;
            }
            Plain::End => {
                assert!(self.broken.is_none(), "an end of what is broken");
                self.ended = true;
            }
            Plain::Broken(cause) => {
                assert!(self.broken.is_none_or(|before| before == cause), "two causes");
                assert_eq!(self.state(), State::Done(cause));
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
        assert!(!open || taken > 0 || self.state() != State::Open, "it takes nothing");
        assert!(!self.layer.has_last_word(), "a last word is said at once");
        self.look(before);
        (wire.slices().flat_map(|slice| slice.to_vec()).collect(), taken)
    }

    pub fn end(&mut self) {
        let before = self.state();
        self.layer.end();
        self.look(before);
    }

    /// What it was asked for, and facts for whoever asks in the midst of it.
    pub fn ask(&mut self) {
        let before = self.state();
        self.layer.handle_timeout(NOW);
        let _ = (self.layer.poll_timeout(), self.layer.code(), self.layer.tls());
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

fn rank(state: State) -> u8 {
    match state {
        State::Opening => 0,
        State::Open => 1,
        State::Ending => 2,
        State::Done(_) => 3,
    }
}
