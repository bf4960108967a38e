//! What only Linux has.

pub mod epoll;
