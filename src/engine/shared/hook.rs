//! Functions of the host's that we call: who is inside one, and who waits until it has returned.
//!
//! No lock is held while one runs. A hook counts those inside, and whoever takes the function away
//! waits for the count. Two functions that take each other away would wait for ever: whoever waits
//! is written down in one list for all nets, and who would close a circle is refused instead.

use crate::buf::{Condvar, Mutex, rank};
use crate::engine::shared::error::Error;
use crate::engine::shared::home::me;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// The threads that are inside of one function, or of the one that took its place.
#[derive(Default)]
pub struct Hook {
    state: Mutex<rank::Hooked, State>,
    /// How many are inside, to be read without the lock.
    count: AtomicUsize,
    left: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that are inside, and the generation that each came in with.
    inside: Vec<(u64, u64)>,
    /// How often the function was changed.
    generation: u64,
}

/// A thread is inside, until this is dropped.
pub struct Inside<'a>(&'a Hook, u64);

/// A thread waits for others to leave, until this is dropped.
pub struct Waiting(Arc<Hook>);

/// Threads that wait, and for whom. Taken only by those that wait.
static WAITS: Mutex<rank::Waits, Vec<(u64, Arc<Hook>)>> = Mutex::new(Vec::new());

impl Hook {
    /// This thread goes in.
    pub fn enter(&self) -> Inside<'_> {
        self.let_in(&mut self.state.lock())
    }

    /// This thread goes in, if no other is inside.
    pub fn enter_alone(&self) -> Option<Inside<'_>> {
        let mut state = self.state.lock();
        state.inside.is_empty().then(|| self.let_in(&mut state))
    }

    fn let_in(&self, state: &mut State) -> Inside<'_> {
        let generation = state.generation;
        state.inside.push((me(), generation));
        self.count.store(state.inside.len(), SeqCst);
        Inside(self, generation)
    }

    /// Whether a thread is inside.
    pub fn is_busy(&self) -> bool {
        self.count.load(SeqCst) > 0
    }

    /// Whether this thread is.
    pub fn is_inside(&self) -> bool {
        let me = me();
        self.is_busy() && self.state.lock().inside.iter().any(|(thread, _)| *thread == me)
    }

    /// The function was changed: who comes from now on is no longer waited for.
    pub fn change(&self) {
        self.state.lock().generation += 1;
    }

    /// Waits until those have left who came in before the last `change`, or, where there was none,
    /// until no thread is inside. Refused as `waiting` is.
    pub fn wait(self: &Arc<Hook>) -> Result<(), Error> {
        self.wait_for_old(&waiting([self])?);
        Ok(())
    }

    /// As `wait`, with the waiting written down already.
    pub fn wait_for_old(&self, _waiting: &[Waiting]) {
        let mut state = self.state.lock();
        let now = state.generation;
        let is_old = |of: u64| of < now || now == 0;
        while state.inside.iter().any(|(_, generation)| is_old(*generation)) {
            self.left.wait(&mut state);
        }
    }
}

/// Writes down that this thread waits for those inside of these. Refused if one of them waits for
/// this thread, itself or through others.
pub fn waiting<'a>(hooks: impl IntoIterator<Item = &'a Arc<Hook>>) -> Result<Vec<Waiting>, Error> {
    let me = me();
    let mut waits = WAITS.lock();
    let hooks: Vec<&Arc<Hook>> = hooks.into_iter().collect();
    // Hooks that this thread would wait for, directly or through the threads inside of others.
    let mut all = hooks.clone();
    let mut at = 0;
    while let Some(&hook) = all.get(at) {
        at += 1;
        let inside = hook.state.lock().inside.clone();
        if inside.iter().any(|(thread, _)| *thread == me) {
            return Err(Error::WouldDeadlock);
        }
        let more = waits.iter().filter(|(of, _)| inside.iter().any(|(thread, _)| thread == of));
        for (_, hook) in more {
            if !all.iter().any(|known| Arc::ptr_eq(known, hook)) {
                all.push(hook);
            }
        }
    }
    let hooks: Vec<_> = hooks.into_iter().cloned().collect();
    waits.extend(hooks.iter().map(|hook| (me, hook.clone())));
    Ok(hooks.into_iter().map(Waiting).collect())
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let me = me();
        let mut waits = WAITS.lock();
        let same = |(of, hook): &(u64, Arc<Hook>)| *of == me && Arc::ptr_eq(hook, &self.0);
        if let Some(at) = waits.iter().position(same) {
            waits.swap_remove(at);
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let (me, generation) = (me(), self.1);
        let mut state = self.0.state.lock();
        if let Some(at) = state.inside.iter().rposition(|it| *it == (me, generation)) {
            state.inside.swap_remove(at);
        }
        self.0.count.store(state.inside.len(), SeqCst);
        self.0.left.notify_all();
    }
}
