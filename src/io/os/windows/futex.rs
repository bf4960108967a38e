//! A number that a thread waits for to change: WaitOnAddress.

use crate::io::readiness::millis;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use windows_sys::Win32::System::Threading::{WaitOnAddress, WakeByAddressSingle};

/// A number in the system's eyes.
#[derive(Default)]
pub struct Futex(AtomicU32);

impl Futex {
    /// The number.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// The thread that is about to wait, before it says so in the number.
    #[inline]
    pub fn prepare(&self) {}

    /// Sleeps while the number is `value`, at most for so long. It may return early.
    pub fn wait(&self, value: u32, most: Option<Duration>) {
        let (word, value) = (self.0.as_ptr().cast(), (&raw const value).cast());
        // Without a limit it is -1, which is INFINITE.
        // SAFETY: both have the four bytes that are compared.
        unsafe { WaitOnAddress(word, value, size_of::<u32>(), millis(most) as u32) };
    }

    /// Wakes the thread that sleeps, if one does.
    pub fn wake(&self) {
        // SAFETY: the system uses the address alone.
        unsafe { WakeByAddressSingle(self.0.as_ptr().cast()) };
    }
}
