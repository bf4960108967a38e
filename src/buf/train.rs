//! What one gathered send carries.

use super::chunk::Slice;

/// Slices that one train may have; as many pieces go in one system call.
pub const TRAIN_MAX: usize = 16;

/// Slices to be sent in order by one operation. Mostly one: small messages are gathered in one
/// piece of memory before they get here.
#[derive(Default)]
pub struct Train {
    first: Slice,
    /// In a box: it is moved about much, and mostly there is none.
    rest: Option<Box<Rest>>,
    len: u32,
}

#[derive(Default)]
struct Rest(Vec<Slice>);

impl Train {
    /// Adds a slice at the end. The caller has looked at `is_full`.
    #[inline]
    pub fn push(&mut self, slice: Slice) {
        debug_assert!(!self.is_full(), "the caller has looked");
        self.len += slice.len() as u32;
        if self.first.is_empty() {
            self.first = slice;
        } else {
            self.rest.get_or_insert_default().0.push(slice);
        }
    }

    /// Whether no further slice may be added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.0.len() + 1 >= TRAIN_MAX)
    }

    /// Bytes in all.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices in order.
    #[inline]
    pub fn slices(&self) -> impl Iterator<Item = &Slice> {
        std::iter::once(&self.first).chain(self.rest.iter().flat_map(|rest| &rest.0))
    }

    /// The slices in order, given back.
    #[inline]
    pub fn into_slices(self) -> impl Iterator<Item = Slice> {
        std::iter::once(self.first).chain(self.rest.into_iter().flat_map(|rest| rest.0))
    }
}
