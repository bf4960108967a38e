//! A message in parts as a value.

use super::event::Buffer;
use super::words::OK;
use sockeye::capi::message::{sockeye_bytes, sockeye_message, sockeye_message_init};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

pub struct Message<'a> {
    pub raw: sockeye_message,
    parts: Vec<sockeye_bytes>,
    life: PhantomData<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// The parts one behind the other, without a key or a buffer.
    pub fn new(parts: &[&'a [u8]]) -> Message<'a> {
        let mut raw = MaybeUninit::<sockeye_message>::zeroed();
        // SAFETY: the struct is plain numbers and a pointer, writable, and its size is given.
        let raw = unsafe {
            let size = size_of::<sockeye_message>();
            assert_eq!(sockeye_message_init(raw.as_mut_ptr(), size), OK);
            raw.assume_init()
        };
        let part = |part: &&[u8]| sockeye_bytes { data: part.as_ptr().cast(), len: part.len() };
        Message { raw, parts: parts.iter().map(part).collect(), life: PhantomData }
    }

    pub fn key(mut self, key: u64) -> Message<'a> {
        self.raw.key = key;
        self
    }

    pub fn buffer(mut self, buffer: &'a Buffer) -> Message<'a> {
        self.raw.buffer_id = buffer.0.id;
        self
    }

    /// Runs `call` with the struct that the library reads.
    pub fn with_raw<T>(&self, call: impl FnOnce(&sockeye_message) -> T) -> T {
        let parts_count = self.parts.len() as u32;
        call(&sockeye_message { parts: self.parts.as_ptr(), parts_count, ..self.raw })
    }
}
