//! The C ABI: every type and function that C sees, and no logic. One file per C noun; `build.rs`
//! names them in the order of the header.
#![allow(non_camel_case_types)]

pub mod boundary;
pub mod status;

pub mod model;

pub mod config;

pub mod net;

pub mod endpoint;

pub mod conn;

pub mod event;

pub mod queue;

pub mod buffer;

pub mod facts;
