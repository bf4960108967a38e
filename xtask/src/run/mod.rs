//! Programs that are built and run: demos, tests in C and C++, measurements.

pub mod arena;
pub mod bench;
pub mod beside;
pub mod demo;
pub mod dissect;
pub mod kqueue;
pub mod logins;
pub mod programs;
pub mod proxy;
pub mod sim;
pub mod storm;
pub mod table;
pub mod tour;
pub mod web;
pub mod windows;
