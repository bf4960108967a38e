//! Every lock of the library has a rank: those without one are named in one file alone.

use super::source::Source;

/// The file that gives locks their ranks.
const HOME: &str = "src/buf/lock.rs";
/// Crates of locks.
const CRATES: [&str; 2] = ["parking_lot", "spin"];
/// What of theirs is no lock.
const ONCE: [&str; 3] = ["Once", "OnceState", "Lazy"];
/// Locks in the modules `sync` of std and of others.
const LOCKS: [&str; 8] = [
    "Barrier",
    "Condvar",
    "Mutex",
    "MutexGuard",
    "RwLock",
    "RwLockReadGuard",
    "RwLockWriteGuard",
    "Semaphore",
];

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    if !source.path.starts_with("src/") || source.path == HOME {
        return;
    }
    for path in source.paths() {
        let names: Vec<&str> = path.names.iter().map(String::as_str).collect();
        let imported = path.at > 0 && source.is(path.at - 1, "use");
        let of_crate = CRATES.contains(&names[0])
            && (names.len() > 1 || imported)
            && !names.last().is_some_and(|last| ONCE.contains(last));
        let of_sync = names.windows(2).any(|two| two[0] == "sync" && LOCKS.contains(&two[1]));
        if (of_crate || of_sync) && !source.in_test(path.at) {
            let rule = "has no rank: `crate::buf` has the locks, `src/buf/rank.rs` their order";
            tell(path.line, format!("`{}` {rule}", names.join("::")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        found(path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_lock_without_a_rank_is_found() {
        for code in [
            "use parking_lot::Mutex;",
            "use parking_lot::{Condvar, Once};",
            "use parking_lot as locks;",
            "use parking_lot;",
            "static A: spin::Mutex<u32> = spin();",
            "use spin::mutex::SpinMutex;",
            "use std::sync::{Arc, Mutex};",
            "use std::sync::RwLock;",
            "fn f(wait: &sync::Condvar) {}",
            "use tokio::sync::Mutex;",
        ] {
            for room in ["src/capi/a.rs", "src/engine/a.rs", "src/io/os/windows/a.rs"] {
                assert_eq!(lines(room, code), [1], "{code}");
            }
            assert!(lines("src/buf/lock.rs", code).is_empty(), "{code}");
            assert!(lines("tests/conformance/a.rs", code).is_empty(), "{code}");
            assert!(lines("src/engine/tests/a.rs", code).is_empty(), "{code}");
        }
    }

    #[test]
    fn what_is_no_lock_is_not_found() {
        for code in [
            "use crate::buf::{Mutex, rank};",
            "use parking_lot::Once;",
            "use std::sync::{Arc, OnceLock, mpsc};",
            "fn spin() { spin(); }",
        ] {
            assert!(lines("src/engine/a.rs", code).is_empty(), "{code}");
        }
    }
}
