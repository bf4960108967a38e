//! The rooms of the house have one-way doors: `capi → engine → { transport, session, io } → buf`,
//! and inside of `engine` `host → shared ← worker`. A transport may use what `session` says of
//! messages and limits, and the two know nothing else of each other.

use super::source::Source;

const ROOMS: [&str; 6] = ["capi", "engine", "transport", "session", "io", "buf"];
/// Inside of `engine`. What lies in none of them makes a net and may name all.
const ENGINE: [&str; 3] = ["host", "shared", "worker"];

/// What a room may name besides itself.
fn doors(room: &str) -> &'static [&'static str] {
    match room {
        "capi" => &["engine", "buf"],
        "engine" => &["transport", "session", "io", "buf"],
        "transport" => &["session", "buf"],
        "session" | "io" => &["buf"],
        _ => &[],
    }
}

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    let Some(room) = room_of(&source.path) else { return };
    for path in source.paths() {
        let Some(below) = below_root(&source.module_of(path.at), &path.names) else { continue };
        let Some(named) = below.first().copied() else { continue };
        if room == "engine"
            && let Some(from) = engine_room(&source.path)
            && let Some(to) = below.get(1).filter(|to| named == "engine" && ENGINE.contains(to))
            && from != *to
            && *to != "shared"
            && !source.in_test(path.at)
        {
            tell(path.line, format!("`{from}` must not name `{to}`: {}", path.names.join("::")));
        }
        if named != room && ROOMS.contains(&named) && !doors(room).contains(&named) {
            tell(path.line, format!("`{room}` must not name `{named}`: {}", path.names.join("::")));
        }
    }
}

pub fn room_of(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let first = first.strip_suffix(".rs").unwrap_or(first);
    ROOMS.into_iter().find(|room| *room == first)
}

/// The room inside of `engine`.
pub fn engine_room(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("src/engine/")?;
    let first = inside.split('/').next()?;
    ENGINE.into_iter().find(|room| *room == first)
}

/// Where `names`, written in `module`, leads from the crate's root. None: out of the crate.
pub fn below_root<'a>(module: &[&'a str], names: &'a [String]) -> Option<Vec<&'a str>> {
    let (mut below, rest) = match &*names[0] {
        "crate" | "sockeye" => (Vec::new(), &names[1..]),
        "self" => (module.to_vec(), &names[1..]),
        "super" => {
            let ups = names.iter().take_while(|name| *name == "super").count();
            (module[..module.len().saturating_sub(ups)].to_vec(), &names[ups..])
        }
        _ => return None,
    };
    below.extend(rest.iter().map(String::as_str));
    Some(below)
}

#[cfg(test)]
mod tests {
    use super::super::found;

    fn rooms(path: &str, text: &str) -> Vec<usize> {
        let found = found(path, text).into_iter();
        found.filter(|(_, text)| text.contains("must not name")).map(|(line, _)| line).collect()
    }

    #[test]
    fn every_closed_door_is_closed() {
        for (room, closed) in [
            ("buf", &["capi", "engine", "transport", "session", "io"][..]),
            ("session", &["capi", "engine", "transport", "io"]),
            ("transport", &["capi", "engine", "io"]),
            ("io", &["capi", "engine", "transport", "session"]),
            ("engine", &["capi"]),
            ("capi", &["transport", "session", "io"]),
        ] {
            for named in closed {
                let text = format!("\nuse crate::{named}::Thing;\n");
                assert_eq!(rooms(&format!("src/{room}/a.rs"), &text), [2], "{room} -> {named}");
            }
        }
    }

    #[test]
    fn every_open_door_is_open() {
        for (room, open) in [
            ("session", &["session", "buf"][..]),
            ("transport", &["transport", "session", "buf"]),
            ("io", &["io", "buf"]),
            ("engine", &["engine", "transport", "session", "io", "buf"]),
            ("capi", &["capi", "engine", "buf"]),
        ] {
            for named in open {
                let text = format!("use crate::{named}::Thing;\n");
                assert!(rooms(&format!("src/{room}/a.rs"), &text).is_empty(), "{room} -> {named}");
            }
        }
    }

    #[test]
    fn the_engine_has_doors_of_its_own() {
        let text = |to: &str| format!("use crate::engine::{to}::a::A;\n");
        for (from, to, closed) in [
            ("host", "worker", true),
            ("worker", "host", true),
            ("shared", "host", true),
            ("shared", "worker", true),
            ("host", "shared", false),
            ("worker", "shared", false),
        ] {
            let found = rooms(&format!("src/engine/{from}/b.rs"), &text(to));
            assert_eq!(!found.is_empty(), closed, "{from} -> {to}");
        }
        assert!(rooms("src/engine/open.rs", &text("worker")).is_empty());
        let test = format!("#[cfg(test)]\nmod tests {{ {} }}", text("worker"));
        assert!(rooms("src/engine/host/b.rs", &test).is_empty());
    }

    #[test]
    fn super_and_self_are_followed() {
        assert_eq!(rooms("src/session/mod.rs", "use super::io::Op;"), [1]);
        assert_eq!(rooms("src/session/framer/raw.rs", "use super::super::super::io::Op;"), [1]);
        assert!(rooms("src/session/framer/raw.rs", "use super::super::io::Op;").is_empty());
        let inline = "mod tests {\n    use super::super::super::io::Op;\n}";
        assert_eq!(rooms("src/session/outbox.rs", inline), [2]);
        assert!(rooms("src/session/mod.rs", "use self::io::Op;").is_empty());
    }

    #[test]
    fn code_counts_and_comments_do_not() {
        assert_eq!(rooms("src/buf/a.rs", "fn f() {\n    crate::io::op();\n}"), [2]);
        assert_eq!(rooms("src/buf/a.rs", "fn f() {\n    assert!(crate::io::op());\n}"), [2]);
        assert_eq!(rooms("src/buf/a.rs", "use crate::{buf::A,\n    io::{B, C}};"), [2, 2]);
        assert!(rooms("src/buf/a.rs", "// crate::io::op\n/// crate::io::op\nfn f() {}").is_empty());
        assert!(rooms("tests/a.rs", "use sockeye::io::Op;").is_empty());
    }
}
