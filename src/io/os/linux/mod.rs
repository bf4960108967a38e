//! What only Linux has.

pub mod epoll;
pub mod io_uring;
pub mod wait_set;
