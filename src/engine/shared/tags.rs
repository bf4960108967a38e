//! Net tags: the 12 bits of a handle by which a net recognises its own.
//!
//! A tag is one net's while that lives. Whoever gets it next begins its generations above the
//! highest that it had, so a handle is of one net for as long as the process lives. A tag with few
//! generations left is not given out again.

use crate::buf::{Mutex, rank};
use crate::io::Token;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nets that can live at the same time: tag 0 is none.
pub const NETS_MAX: u16 = (1 << 12) - 1;
/// A tag comes back while each slot has so many generations left.
const LEFT_MIN: u32 = 1 << 20;

static TAGS: Mutex<rank::Tags, Tags> = Mutex::new(Tags::new());

/// What a net has for as long as it lives.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    pub number: u16,
    /// The generation that its slots begin with.
    pub first: u32,
}

/// Tags that no net has.
struct Tags {
    /// Used before: the highest generation, and the tag. The least used comes first.
    again: BinaryHeap<Reverse<(u32, u16)>>,
    /// The highest tag that any net has had.
    used: u16,
    /// Nets that have one.
    living: u16,
}

impl Tag {
    /// None: as many nets live as there are tags.
    pub fn take() -> Option<Tag> {
        TAGS.lock().take()
    }

    /// Does what may be done while no net lives. None: one does.
    pub fn while_none_lives<T>(what: impl FnOnce() -> T) -> Option<T> {
        let tags = TAGS.lock();
        (tags.living == 0).then(what)
    }

    /// The net is gone, and no slot of it had a generation above `highest`.
    pub fn give_back(&self, highest: u32) {
        TAGS.lock().give_back(self.number, highest);
    }
}

impl Tags {
    const fn new() -> Tags {
        Tags { again: BinaryHeap::new(), used: 0, living: 0 }
    }

    fn take(&mut self) -> Option<Tag> {
        let tag = if self.used < NETS_MAX {
            self.used += 1;
            Tag { number: self.used, first: 1 }
        } else {
            let Reverse((highest, number)) = self.again.pop()?;
            Tag { number, first: highest + 1 }
        };
        self.living += 1;
        Some(tag)
    }

    fn give_back(&mut self, number: u16, highest: u32) {
        self.living -= 1;
        if highest + LEFT_MIN < Token::GENERATION_MAX {
            self.again.push(Reverse((highest, number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn living_nets_have_tags_of_their_own() {
        let mut tags = Tags::new();
        let all: HashSet<u16> = std::iter::from_fn(|| tags.take()).map(|tag| tag.number).collect();
        assert_eq!(all.len(), usize::from(NETS_MAX));
        assert!(!all.contains(&0) && all.iter().all(|&number| number <= NETS_MAX));
        assert_eq!(tags.take(), None, "every tag is in use");
        tags.give_back(7, 1);
        assert_eq!(tags.take(), Some(Tag { number: 7, first: 2 }));
        assert_eq!(tags.take(), None);
    }

    #[test]
    fn a_tag_comes_back_above_its_generations_and_the_least_used_first() {
        let mut tags = Tags { again: BinaryHeap::new(), used: NETS_MAX, living: 3 };
        tags.give_back(3, 900);
        tags.give_back(4, 20);
        assert_eq!(tags.take(), Some(Tag { number: 4, first: 21 }));
        assert_eq!(tags.take(), Some(Tag { number: 3, first: 901 }));
    }

    #[test]
    fn a_tag_that_is_nearly_used_up_is_retired() {
        let mut tags = Tags { again: BinaryHeap::new(), used: NETS_MAX, living: 3 };
        let last = Token::GENERATION_MAX - LEFT_MIN;
        tags.give_back(1, Token::GENERATION_MAX);
        tags.give_back(2, last);
        assert_eq!(tags.take(), None);
        tags.give_back(3, last - 1);
        assert_eq!(tags.take(), Some(Tag { number: 3, first: last }));
    }
}
