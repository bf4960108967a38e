//! The layer of a test. No call of the C ABI asks for one: a test that is linked to the crate does.

use crate::session::Layering;
use std::cell::RefCell;

thread_local! {
    static LAYER: RefCell<Option<Layering>> = const { RefCell::new(None) };
}

/// Puts a layer below every connection of the endpoints that this thread opens from now on.
#[doc(hidden)]
pub fn layer_for_tests(layer: Option<Layering>) {
    LAYER.replace(layer);
}

/// What `layer_for_tests` was given on this thread.
#[doc(hidden)]
pub fn layer_of_tests() -> Option<Layering> {
    LAYER.with_borrow(Clone::clone)
}
