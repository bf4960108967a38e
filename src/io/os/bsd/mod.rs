//! What macOS and the BSDs have, and Linux with the feature `kqueue-shim`: `build.rs` sets
//! `cfg(kqueue)`.

pub mod kqueue;
#[cfg(target_os = "linux")]
mod shim;
#[cfg(test)]
mod tests;
