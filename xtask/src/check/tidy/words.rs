//! Words that have their place, and words that have none.

use super::source::{Kind, Source};

/// Names in a `cfg` that distinguish platforms.
const PLATFORM: [&str; 8] = [
    "target_os",
    "target_family",
    "target_env",
    "target_vendor",
    "target_abi",
    "target_arch",
    "unix",
    "windows",
];
/// Crates that speak to the system.
const SYSTEM: [&str; 3] = ["libc", "windows_sys", "io_uring"];
/// Macros that are notes to oneself, and macros that write to the host's terminal.
const MACROS: [&str; 7] =
    ["todo", "unimplemented", "dbg", "println", "eprintln", "print", "eprint"];
/// Ways to wait for time instead of for what one waits for.
pub const SLEEPS: [&str; 7] =
    ["sleep", "usleep", "nanosleep", "sleep_for", "sleep_until", "sleep_ms", "Sleep"];

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    let path = &*source.path;
    let src = path.starts_with("src/");
    if src && !path.starts_with("src/io/os/") && path != "src/io/model.rs" {
        platform(source, tell);
    }
    if src && !path.starts_with("src/io/") {
        system(source, tell);
    }
    for (at, token) in source.tokens.iter().enumerate() {
        if token.kind != Kind::Ident {
            if source.are(at, &["#", "[", "ignore"]) && (src || path.starts_with("tests/")) {
                tell(token.line, "`#[ignore]`: a test runs or is not there".into());
            }
            continue;
        }
        let word = &*token.text;
        if src && MACROS.contains(&word) && source.is(at + 1, "!") {
            tell(token.line, format!("`{word}!` has no place in the library"));
        }
        if src && word == "dead_code" {
            tell(token.line, "`dead_code`: take it out instead".into());
        }
        let called = at > 0 && source.is(at - 1, ".") && source.is(at + 1, "(");
        let panics = called && (word == "unwrap" || word == "expect");
        if path.starts_with("src/capi/") && panics && !source.in_test(at) {
            tell(token.line, format!("`{word}` on the boundary"));
        }
        let test = path.starts_with("tests/") || (src && source.in_test(at));
        let defined = at > 0 && source.is(at - 1, "fn");
        let lines = [source.line(token.line - 1), source.line(token.line)];
        if test && SLEEPS.contains(&word) && !defined && !paused(lines) {
            tell(token.line, told_of_sleep(word));
        }
    }
}

/// Whether one of these lines, that of a sleep and the one above, says why it is right here: a
/// breath between two looks at a condition, the pace of a load.
pub fn paused(lines: [&str; 2]) -> bool {
    lines.iter().any(|line| line.contains("tidy: pause, "))
}

pub fn told_of_sleep(word: &str) -> String {
    format!("`{word}` in a test: wait for a condition, with a deadline")
}

/// Notes to oneself in comments, in any language.
pub fn comments(text: &str, tell: &mut impl FnMut(usize, String)) {
    // Put together here, so that this file does not find itself.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME")];
    for (n, line) in text.lines().enumerate() {
        if let Some(note) = notes.iter().find(|note| line.contains(**note)) {
            tell(n + 1, format!("`{note}`: do it, or leave it"));
        }
    }
}

/// `cfg(…)`, `cfg_attr(…)` and `cfg!(…)` with a platform's name inside.
fn platform(source: &Source, tell: &mut impl FnMut(usize, String)) {
    for (at, token) in source.tokens.iter().enumerate() {
        if token.kind != Kind::Ident || !["cfg", "cfg_attr"].contains(&&*token.text) {
            continue;
        }
        let open = if source.is(at + 1, "!") { at + 2 } else { at + 1 };
        if !source.is(open, "(") {
            continue;
        }
        let inside = &source.tokens[open..source.tokens[open].close];
        let mut names = inside.iter().filter(|token| token.kind == Kind::Ident);
        if let Some(name) = names.find(|name| PLATFORM.contains(&&*name.text)) {
            let rule = "is for src/io/os and src/io/model.rs";
            tell(name.line, format!("`{}({} …)` {rule}", token.text, name.text));
        }
    }
}

fn system(source: &Source, tell: &mut impl FnMut(usize, String)) {
    for path in source.paths() {
        let name = &*path.names[0];
        let used =
            path.at > 0 && (source.is(path.at - 1, "use") || source.is(path.at - 1, "crate"));
        if SYSTEM.contains(&name) && (path.names.len() > 1 || used) {
            tell(path.line, format!("`{name}` outside src/io: {}", path.names.join("::")));
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
    fn platform_code_has_its_place() {
        for code in [
            "#[cfg(target_os = \"linux\")]\nfn f() {}",
            "#[cfg(not(any(unix, feature = \"x\")))]\nfn f() {}",
            "#[cfg_attr(windows, path = \"w.rs\")]\nmod m;",
            "fn f() -> bool { cfg!(target_family = \"wasm\") }",
            "#![cfg(target_env = \"musl\")]",
        ] {
            assert_eq!(lines("src/engine/a.rs", code), [1], "{code}");
            assert_eq!(lines("src/io/readiness.rs", code), [1], "{code}");
            assert!(lines("src/io/os/unix/poll.rs", code).is_empty(), "{code}");
            assert!(lines("src/io/model.rs", code).is_empty(), "{code}");
        }
        assert!(lines("src/engine/a.rs", "#[cfg(feature = \"windows\")]\nfn f() {}").is_empty());
        assert!(lines("src/engine/a.rs", "#[cfg(test)]\nmod tests {}").is_empty());
    }

    #[test]
    fn the_system_s_crates_stay_in_io() {
        for code in ["use libc::c_int;", "use libc;", "fn f() { libc::close(1); }"] {
            assert_eq!(lines("src/engine/a.rs", code), [1], "{code}");
            assert!(lines("src/io/os/unix/sys.rs", code).is_empty(), "{code}");
        }
        assert_eq!(lines("src/engine/a.rs", "use windows_sys::Win32;"), [1]);
        assert_eq!(lines("src/engine/a.rs", "use io_uring::IoUring;"), [1]);
        assert!(lines("src/engine/a.rs", "use crate::io::{io_uring::Ring};").is_empty());
        assert!(lines("src/engine/a.rs", "fn io_uring() {}").is_empty());
    }

    #[test]
    fn notes_and_printing_are_found() {
        for code in ["todo!()", "unimplemented!()", "dbg!(1)", "println!()", "eprintln!()"] {
            let text = format!("fn f() {{\n    {code};\n}}");
            assert_eq!(lines("src/engine/a.rs", &text), [2], "{code}");
            assert!(lines("xtask/src/a.rs", &text).is_empty(), "{code}");
        }
        assert!(lines("src/engine/a.rs", "fn f() { println(); }").is_empty());
        let note = format!("// {}: later\n", concat!("TO", "DO"));
        assert_eq!(lines("src/engine/a.rs", &note), [1]);
        assert_eq!(lines("include/a.h", &note), [1]);
    }

    #[test]
    fn ignored_tests_and_dead_code_are_found() {
        let ignored = "#[test]\n#[ignore = \"slow\"]\nfn f() {}";
        assert_eq!(lines("src/engine/a.rs", ignored), [2]);
        assert_eq!(lines("tests/a.rs", ignored), [2]);
        assert_eq!(lines("src/engine/a.rs", "#[allow(dead_code)]\nfn f() {}"), [1]);
    }

    #[test]
    fn the_boundary_does_not_unwrap() {
        assert_eq!(lines("src/capi/a.rs", "fn f() { g().unwrap(); }"), [1]);
        assert_eq!(lines("src/capi/a.rs", "fn f() { g().expect(\"x\"); }"), [1]);
        assert!(lines("src/capi/a.rs", "fn f() { g().unwrap_or(1); }").is_empty());
        assert!(lines("src/engine/a.rs", "fn f() { g().unwrap(); }").is_empty());
        let test = "#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap(); }\n}";
        assert!(lines("src/capi/a.rs", test).is_empty());
    }

    #[test]
    fn tests_do_not_sleep() {
        let sleep = "fn f() {\n    std::thread::sleep(x);\n}";
        assert_eq!(lines("tests/a.rs", sleep), [2]);
        assert!(lines("src/engine/a.rs", sleep).is_empty());
        let inside = format!("#[cfg(test)]\nmod tests {{\n{sleep}\n}}");
        assert_eq!(lines("src/engine/a.rs", &inside), [4]);
        assert_eq!(lines("tests/a.rs", "use std::thread::sleep;"), [1]);
        let paced = sleep.replacen('\n', "\n    // tidy: pause, the load's pace\n", 1);
        assert_eq!(lines("tests/a.rs", &paced), [] as [usize; 0]);
        assert!(lines("tests/a.rs", "// sleep\nconst A: &str = \"sleep\";").is_empty());
    }
}
