//! Buffers that the host keeps: named by numbers, as connections are, so that a buffer that was
//! given back is recognised as such. Of the process and not of a net, which buffers outlive.

use crate::buf::{Mutex, Slice, rank};
use crate::engine::shared::error::Error;
use crate::io::os::sys;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// A number: kind 4 | forks 4 | generation 28 | slot 24 | shelf 4. No handle has this kind.
const KIND: u64 = 0xB;
const GENERATION_BITS: u32 = 28;
const SLOT_BITS: u32 = 24;
const SHELF_BITS: u32 = 4;
/// The last slot's index is the end of the list of free ones.
const NONE: u32 = (1 << SLOT_BITS) - 1;
/// Odd, as is every generation that is in use.
const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;

/// A slot, for one buffer after the other.
#[derive(Default)]
struct Slot {
    /// One more when a buffer is kept in it, and one more when that is given back: odd while there
    /// is one. A slot whose generations are used up is retired.
    generation: u32,
    /// While there is none: the next free slot.
    next: u32,
    slice: Slice,
}

/// Some of the slots, under a lock of their own.
#[repr(align(64))]
struct Shelf(Mutex<rank::Shelf, Slots>);

struct Slots {
    slots: Vec<Slot>,
    free: u32,
}

/// All of them, of one process: a forked child begins anew, since its parent may have held a lock.
struct Shelves {
    forks: u32,
    shelves: [Shelf; 1 << SHELF_BITS],
    /// Those of the parent.
    _before: *const Shelves,
}

static CURRENT: AtomicPtr<Shelves> = AtomicPtr::new(ptr::null_mut());

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// What a number says.
#[derive(Clone, Copy)]
struct Name {
    shelf: usize,
    slot: u32,
    generation: u32,
}

impl Name {
    fn number(self, forks: u32) -> u64 {
        KIND << 60
            | (u64::from(forks) & 0xF) << 56
            | u64::from(self.generation) << (SLOT_BITS + SHELF_BITS)
            | u64::from(self.slot) << SHELF_BITS
            | self.shelf as u64
    }

    fn parse(number: u64, forks: u32) -> Result<Name, Error> {
        let own = u64::from(forks) & 0xF == number >> 56 & 0xF;
        match number >> 60 == KIND {
            true if own => Ok(Name {
                shelf: (number & mask(SHELF_BITS)) as usize,
                slot: (number >> SHELF_BITS & mask(SLOT_BITS)) as u32,
                generation: (number >> (SLOT_BITS + SHELF_BITS) & mask(GENERATION_BITS)) as u32,
            }),
            true if forks > 0 => Err(Error::Forked),
            _ => Err(Error::Stale),
        }
    }
}

impl Slots {
    /// Slot and generation. None: there are as many as there may be.
    fn keep(&mut self, slice: Slice) -> Option<(u32, u32)> {
        let at = match self.free {
            NONE if self.slots.len() < NONE as usize => {
                self.slots.push(Slot::default());
                self.slots.len() as u32 - 1
            }
            NONE => return None,
            free => free,
        };
        let slot = &mut self.slots[at as usize];
        if self.free == at {
            self.free = slot.next;
        }
        slot.generation += 1;
        slot.slice = slice;
        Some((at, slot.generation))
    }

    fn slot(&mut self, name: Name) -> Result<&mut Slot, Error> {
        let slot = self.slots.get_mut(name.slot as usize);
        slot.filter(|it| it.generation == name.generation && it.generation % 2 == 1)
            .ok_or(Error::Stale)
    }

    fn release(&mut self, name: Name) -> Result<Slice, Error> {
        let free = self.free;
        let slot = self.slot(name)?;
        let slice = std::mem::take(&mut slot.slice);
        if slot.generation < GENERATION_MAX {
            slot.generation += 1;
            slot.next = free;
            self.free = name.slot;
        } else {
            slot.generation = 0;
        }
        Ok(slice)
    }
}

impl Shelves {
    fn new(forks: u32, before: *const Shelves) -> Box<Shelves> {
        let shelf = |_| Shelf(Mutex::new(Slots { slots: Vec::new(), free: NONE }));
        Box::new(Shelves { forks, shelves: std::array::from_fn(shelf), _before: before })
    }

    /// Those of this process.
    fn current() -> &'static Shelves {
        let forks = sys::forks_now();
        loop {
            let current = CURRENT.load(Acquire);
            // SAFETY: NULL, or made below and never freed.
            if let Some(shelves) = unsafe { current.as_ref() }.filter(|it| it.forks == forks) {
                return shelves;
            }
            let fresh = Box::into_raw(Shelves::new(forks, current));
            if CURRENT.compare_exchange(current, fresh, AcqRel, Relaxed).is_err() {
                // SAFETY: just made, and not shared yet.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    fn of(&self, name: Name) -> &Mutex<rank::Shelf, Slots> {
        &self.shelves[name.shelf].0
    }
}

/// Keeps a buffer for the host. The number is never 0. None: there are as many as there may be.
pub fn keep(slice: Slice) -> Option<u64> {
    let shelves = Shelves::current();
    // Those of one chunk are mostly one thread's, and those of one thread of few chunks.
    let shelf = (slice.as_ptr() as usize >> 16) % shelves.shelves.len();
    let (slot, generation) = shelves.shelves[shelf].0.lock().keep(slice)?;
    Some(Name { shelf, slot, generation }.number(shelves.forks))
}

/// A buffer that the host keeps.
pub fn find(number: u64) -> Result<Slice, Error> {
    let shelves = Shelves::current();
    let name = Name::parse(number, shelves.forks)?;
    shelves.of(name).lock().slot(name).map(|slot| slot.slice.clone())
}

/// Takes a buffer back from the host.
pub fn release(number: u64) -> Result<(), Error> {
    let shelves = Shelves::current();
    let name = Name::parse(number, shelves.forks)?;
    let slice = shelves.of(name).lock().release(name)?;
    // Without the lock: its pool may call whoever waits for memory.
    drop(slice);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Pool;

    fn slice(byte: u8) -> Slice {
        Pool::new(1 << 20).take(1).expect("there is room").write(&[byte])
    }

    fn refusal<T>(answer: Result<T, Error>) -> Error {
        answer.err().expect("it is refused")
    }

    #[test]
    fn a_buffer_that_was_given_back_is_stale() {
        let number = keep(slice(7)).expect("there is room");
        assert_eq!(&find(number).expect("kept")[..], [7]);
        release(number).expect("kept");
        assert_eq!(refusal(find(number)), Error::Stale);
        assert_eq!(refusal(release(number)), Error::Stale);
        let other = keep(slice(8)).expect("there is room");
        assert_ne!(number, other, "not even in the same slot");
        assert_eq!(refusal(release(number)), Error::Stale);
        assert_eq!(&find(other).expect("kept")[..], [8]);
        release(other).expect("kept");
    }

    #[test]
    fn numbers_that_were_never_given_are_stale() {
        let number = keep(slice(1)).expect("there is room");
        for bit in 0..64 {
            let made_up = number ^ 1 << bit;
            assert_eq!(refusal(find(made_up)), Error::Stale, "bit {bit}");
            assert_eq!(refusal(release(made_up)), Error::Stale, "bit {bit}");
        }
        for made_up in [0, 1, u64::MAX, KIND << 60, 0xDEAD_BEEF] {
            assert_eq!(refusal(release(made_up)), Error::Stale);
        }
        release(number).expect("kept");
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut slots = Slots { slots: Vec::new(), free: NONE };
        assert_eq!(slots.keep(slice(1)), Some((0, 1)));
        slots.slots[0].generation = GENERATION_MAX - 2;
        let of = |generation| Name { shelf: 0, slot: 0, generation };
        slots.release(of(GENERATION_MAX - 2)).expect("kept");
        assert_eq!(slots.keep(slice(2)), Some((0, GENERATION_MAX)));
        slots.release(of(GENERATION_MAX)).expect("kept");
        assert_eq!(slots.keep(slice(3)), Some((1, 1)), "another slot");
        for generation in [0, 1, GENERATION_MAX - 2, GENERATION_MAX] {
            assert_eq!(refusal(slots.release(of(generation))), Error::Stale);
        }
    }

    #[test]
    fn a_number_of_before_a_fork_says_so() {
        let name = Name { shelf: 3, slot: 9, generation: 5 };
        assert_eq!(refusal(Name::parse(name.number(0), 1).map(|_| ())), Error::Forked);
        assert_eq!(refusal(Name::parse(name.number(1), 0).map(|_| ())), Error::Stale);
        let again = Name::parse(name.number(17), 17).expect("its own");
        assert_eq!((again.shelf, again.slot, again.generation), (3, 9, 5));
    }
}
