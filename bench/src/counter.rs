//! A number that the load generator counts up and the harness reads, in a shared file.

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

const SIZE: usize = 4096;

pub struct Counter {
    number: NonNull<AtomicU64>,
    /// The file to remove at the end, if it is ours.
    made: Option<PathBuf>,
}

impl Counter {
    /// Makes the file, for the harness.
    pub fn make(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(SIZE as u64).context("cannot size the counter's file")?;
        Ok(Self { number: map(&file)?, made: Some(path.to_owned()) })
    }

    /// Opens the file, for the load generator.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { number: map(&file)?, made: None })
    }

    pub fn get(&self) -> u64 {
        self.number().load(Ordering::Acquire)
    }

    pub fn add(&self, count: u64) {
        self.number().fetch_add(count, Ordering::Release);
    }

    fn number(&self) -> &AtomicU64 {
        // SAFETY: the mapping is page-aligned, large enough, zeroed at first, and lives until drop.
        unsafe { self.number.as_ref() }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this size, and no reference outlives `self`.
        unsafe { libc::munmap(self.number.as_ptr().cast(), SIZE) };
        if let Some(path) = &self.made {
            // A file left behind in the temporary folder does no harm.
            drop(std::fs::remove_file(path));
        }
    }
}

fn map(file: &File) -> Result<NonNull<AtomicU64>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the system's choice; the file has `SIZE` bytes.
    let at =
        unsafe { libc::mmap(ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error()).context("cannot map the counter's file");
    }
    NonNull::new(at.cast()).context("mapped at zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_one_number() {
        let path = std::env::temp_dir().join(format!("sockeye-counter-{}", std::process::id()));
        let made = Counter::make(&path).unwrap();
        let opened = Counter::open(&path).unwrap();
        opened.add(3);
        made.add(4);
        assert_eq!((made.get(), opened.get()), (7, 7));
        drop(made);
        assert!(!path.exists());
        assert_eq!(opened.get(), 7);
    }
}
