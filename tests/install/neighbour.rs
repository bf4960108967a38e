//! Another Rust library in the same program, with a standard library of its own: it starts a
//! thread, allocates, and catches a panic.

use std::panic;
use std::thread;

#[unsafe(no_mangle)]
pub extern "C" fn neighbour_sum(last: u32) -> u32 {
    let numbers: Vec<u32> = (1..=last).collect();
    let sum = thread::spawn(move || numbers.iter().sum()).join();
    panic::set_hook(Box::new(|_| ()));
    let caught = panic::catch_unwind(|| panic!("{}", last)).is_err();
    drop(panic::take_hook());
    sum.ok().filter(|_| caught).unwrap_or(0)
}
