//! One folder a system. Names mirror each other: other code uses `os::sys`. What is alike on all is
//! beside them.

#[cfg(kqueue)]
pub mod bsd;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod names;
#[cfg(not(target_os = "linux"))]
pub mod no_wait_set;
pub mod tcp;
#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;

#[cfg(unix)]
pub use unix::{descriptor, local, sys};
#[cfg(windows)]
pub use windows::{descriptor, local, sys};
