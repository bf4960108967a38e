//! Messages that were sent, at least in part.

use crate::transport::lanes::peer::message::Data;

/// Bytes of a message in one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    pub id: u64,
    pub start: u32,
    pub end: u32,
    pub lane: u8,
}

/// The pieces of one packet; most have one.
#[derive(Default, Debug)]
pub enum Pieces {
    #[default]
    None,
    One(Piece),
    Many(Vec<Piece>),
}

impl Pieces {
    pub fn push(&mut self, piece: Piece) {
        match self {
            Pieces::None => *self = Pieces::One(piece),
            Pieces::One(first) => *self = Pieces::Many(vec![*first, piece]),
            Pieces::Many(all) => all.push(piece),
        }
    }

    pub fn all(&self) -> &[Piece] {
        match self {
            Pieces::None => &[],
            Pieces::One(piece) => std::slice::from_ref(piece),
            Pieces::Many(all) => all,
        }
    }
}

/// A message of which it is not known whether it came.
pub struct Flight {
    pub data: Data,
    /// What came of it, in order and apart from each other.
    acked: Vec<(u32, u32)>,
    done: bool,
    /// Packets with all of it whose fate is not known.
    copies: u16,
}

impl Flight {
    pub fn new(data: Data) -> Flight {
        Flight { data, acked: Vec::new(), done: false, copies: 0 }
    }

    pub fn len(&self) -> u32 {
        self.data.len()
    }

    /// All of it came.
    pub fn is_done(&self) -> bool {
        self.done
    }

    fn is_whole(&self, piece: &Piece) -> bool {
        piece.end - piece.start == self.len()
    }

    pub fn handle_sent(&mut self, piece: &Piece) {
        self.copies = self.copies.saturating_add(self.is_whole(piece).into());
    }

    /// Whether something of `piece` did not come.
    pub fn misses(&self, piece: &Piece) -> bool {
        !self.done && !self.acked.iter().any(|it| it.0 <= piece.start && piece.end <= it.1)
    }

    /// The first run of what did not come, before `sent`.
    pub fn missing(&self, sent: u32) -> Option<(u32, u32)> {
        let (start, end) = match self.acked.first() {
            None => (0, sent),
            Some(&(0, start)) => (start, self.acked.get(1).map_or(sent, |next| next.0)),
            Some(&(end, _)) => (0, end),
        };
        (!self.done && (start < end || self.len() == 0)).then_some((start, end))
    }

    /// A piece came. Answers the size of the message where nothing is missing now.
    pub fn handle_acked(&mut self, piece: &Piece) -> Option<u32> {
        if self.done {
            return None;
        }
        let len = self.len();
        if !self.is_whole(piece) {
            let (mut start, mut end) = (piece.start, piece.end);
            let first = self.acked.partition_point(|it| it.1 < start);
            let behind = self.acked.partition_point(|it| it.0 <= end);
            if first < behind {
                start = start.min(self.acked[first].0);
                end = end.max(self.acked[behind - 1].1);
            }
            self.acked.splice(first..behind, [(start, end)]);
            if self.acked[0] != (0, len) {
                return None;
            }
        }
        self.done = true;
        (self.data, self.acked) = (Data::default(), Vec::new());
        Some(len)
    }

    /// A packet with a piece is lost. Answers whether it is to be sent again: not where it came, or
    /// where a copy of the message is still under way.
    pub fn handle_lost(&mut self, piece: &Piece) -> bool {
        if self.is_whole(piece) {
            self.copies = self.copies.saturating_sub(1);
            return self.misses(piece) && self.copies == 0;
        }
        self.misses(piece)
    }
}
