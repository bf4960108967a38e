//! The transport of a test. No call of the C ABI asks for one: a test that is linked to the crate
//! does.

use crate::transport::Carrying;
use std::cell::RefCell;

thread_local! {
    static CARRIER: RefCell<Option<Carrying>> = const { RefCell::new(None) };
}

/// Has the connections of the `udp://` endpoints carried that this thread opens from now on: such a
/// listener accepts, and a connect is one of the connections that share a socket.
#[doc(hidden)]
pub fn carry_for_tests(carrying: Option<Carrying>) {
    CARRIER.replace(carrying);
}

/// What `carry_for_tests` was given on this thread.
#[doc(hidden)]
pub fn carrier_of_tests() -> Option<Carrying> {
    CARRIER.with_borrow(Clone::clone)
}
