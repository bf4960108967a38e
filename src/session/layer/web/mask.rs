//! Masks: RFC 6455, section 5.3.

use ring::rand::{SecureRandom, SystemRandom};
use std::cell::RefCell;

/// Random bytes that are fetched at once.
const BLOCK: usize = 1024;

/// Masks `bytes`, or takes the mask away. `key` is as it stands for the first of them.
#[inline]
pub fn apply(key: [u8; 4], bytes: &mut [u8]) {
    let [one, two, three, four] = key;
    let wide = u64::from_ne_bytes([one, two, three, four, one, two, three, four]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(array) = <&mut [u8; 8]>::try_from(word) {
            *array = (u64::from_ne_bytes(*array) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The key as it stands behind `count` bytes.
#[inline]
pub fn turn(mut key: [u8; 4], count: usize) -> [u8; 4] {
    key.rotate_left(count % 4);
    key
}

struct Keys {
    block: [u8; BLOCK],
    used: usize,
}

thread_local! {
    static KEYS: RefCell<Keys> = const { RefCell::new(Keys { block: [0; BLOCK], used: BLOCK }) };
}

/// A key that nobody can foresee. None: the system has no random numbers.
pub fn key() -> Option<[u8; 4]> {
    KEYS.with_borrow_mut(|keys| {
        if keys.used == BLOCK {
            SystemRandom::new().fill(&mut keys.block).ok()?;
            keys.used = 0;
        }
        let key = keys.block[keys.used..].first_chunk().copied();
        keys.used += 4;
        key
    })
}
