//! Who names whom: the files of the library, the rooms they lie in, and the circles among them.

use super::rooms::{below_root, engine_room, room_of};
use super::source::Source;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The library's files by the module each is, and what each names. Tests are left out.
#[derive(Default)]
pub struct Graph {
    files: BTreeMap<String, File>,
}

#[derive(Default)]
struct File {
    path: String,
    lines: usize,
    room: &'static str,
    /// Modules that it names, with the first line that does.
    names: BTreeMap<String, usize>,
    /// What it calls by another name: `pub use a::b`.
    aliases: BTreeMap<String, String>,
}

impl Graph {
    /// Notes a file of `src`.
    pub fn add(&mut self, source: &Source) {
        let Some(room) = room_of(&source.path).filter(|_| !source.in_test(0)) else { return };
        let room = engine_room(&source.path).unwrap_or(room);
        let module = source.module_of(0).join("::");
        let (path, lines) = (source.path.clone(), source.lines.len());
        let mut file = File { path, lines, room, ..File::default() };
        for path in source.paths() {
            if source.in_test(path.at) {
                continue;
            }
            if path.names.len() == 1 {
                continue;
            }
            let here = source.module_of(path.at);
            let full = below_root(&here, &path.names).map_or_else(
                // A child module, or nothing of ours: then it leads back to this file.
                || format!("{module}::{}", path.names.join("::")),
                |full| full.join("::"),
            );
            if source.is_reexport(path.at)
                && let Some(name) = path.names.last()
            {
                file.aliases.insert(format!("{module}::{name}"), full.clone());
            }
            file.names.entry(full).or_insert(path.line);
        }
        self.files.insert(module, file);
    }

    /// The module that a path leads to: the longest one that is a file, behind every `pub use`.
    fn module(&self, path: &str) -> Option<&str> {
        if path.split("::").any(|name| name == "tests") {
            return None;
        }
        let mut path = path.to_owned();
        for _ in 0..8 {
            let (module, file) = self.holder(&path)?;
            let alias = file.aliases.iter().find(|(alias, _)| {
                path.strip_prefix(&***alias)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            match alias {
                Some((alias, target)) if *alias != *target => {
                    path = path.replacen(&**alias, target, 1)
                }
                _ => return Some(module),
            }
        }
        None
    }

    fn holder(&self, path: &str) -> Option<(&str, &File)> {
        let mut end = path.len();
        loop {
            if let Some((module, file)) = self.files.get_key_value(&path[..end]) {
                return Some((module, file));
            }
            end = path[..end].rfind("::")?;
        }
    }

    /// Who names whom. What only passes a name on (`pub use`) names none.
    fn arrows(&self) -> DiGraphMap<&str, usize> {
        let mut arrows = DiGraphMap::new();
        for (from, file) in &self.files {
            arrows.add_node(&**from);
            let passed: BTreeSet<&String> = file.aliases.values().collect();
            for (path, line) in file.names.iter().filter(|(path, _)| !passed.contains(path)) {
                if let Some(to) = self.module(path).filter(|to| to != from) {
                    arrows.add_edge(from, to, *line);
                }
            }
        }
        arrows
    }

    /// The rings of files that know each other, with the room that each ring lies in.
    pub fn circles(&self) -> Vec<(&'static str, Vec<&str>)> {
        let rings = tarjan_scc(&self.arrows()).into_iter().filter(|ring| ring.len() > 1);
        let mut rings: Vec<_> = rings
            .map(|mut ring| {
                ring.sort_unstable();
                (self.files[ring[0]].room, ring)
            })
            .collect();
        rings.sort();
        rings
    }

    /// A room's files with their arrows, the arrows between rooms, and the circles of each room.
    pub fn text(&self) -> String {
        let arrows = self.arrows();
        let circles = self.circles();
        let rooms: BTreeSet<&str> = self.files.values().map(|file| file.room).collect();
        let mut text = String::new();
        let mut doors = BTreeMap::<(&str, &str), usize>::new();
        for (from, to, _) in arrows.all_edges() {
            *doors.entry((self.files[from].room, self.files[to].room)).or_default() += 1;
        }
        for room in &rooms {
            let files = self.files.iter().filter(|(_, file)| file.room == *room);
            let lines: usize = files.clone().map(|(_, file)| file.lines).sum();
            let _ = writeln!(text, "{room}: {} files, {lines} lines", files.clone().count());
            for (module, file) in files {
                let mut named: Vec<&str> = arrows.neighbors(module).collect();
                named.sort_unstable();
                let _ = writeln!(text, "  {} → {}", file.path, named.join(", "));
            }
        }
        for ((from, to), count) in doors.iter().filter(|((from, to), _)| from != to) {
            let _ = writeln!(text, "{from} → {to}: {count}");
        }
        for room in &rooms {
            let of_room = circles.iter().filter(|(of, _)| of == room);
            let _ = writeln!(text, "circles in {room}: {}", of_room.clone().count());
            for (_, ring) in of_room {
                let _ = writeln!(text, "  {}", ring.join(", "));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (path, text) in files {
            graph.add(&Source::read(path, text).expect("it is Rust"));
        }
        graph
    }

    #[test]
    fn a_ring_is_found_and_a_chain_is_none() {
        let chain = [("src/io/a.rs", "use super::b::B;"), ("src/io/b.rs", "use super::c::C;")];
        let graph_of = |last| graph(&[chain[0], chain[1], ("src/io/c.rs", last)]);
        assert!(graph_of("struct C;").circles().is_empty());
        let ring = graph_of("fn f() { crate::io::a::f() }");
        assert_eq!(ring.circles(), [("io", vec!["io::a", "io::b", "io::c"])]);
        assert!(ring.text().contains("circles in io: 1"));
    }

    #[test]
    fn names_are_followed_to_where_they_are() {
        let files = graph(&[
            ("src/io/mod.rs", "pub use a::A;"),
            ("src/io/a.rs", "use super::b::B; pub struct A;"),
            ("src/io/b.rs", "use crate::io::A;"),
        ]);
        assert_eq!(files.circles(), [("io", vec!["io::a", "io::b"])]);
    }

    #[test]
    fn tests_do_not_count() {
        let test = "#[cfg(test)]\nmod tests { use super::super::b::B; }";
        let files = [("src/io/a.rs", test), ("src/io/b.rs", "use super::a::A;")];
        assert!(graph(&files).circles().is_empty());
    }
}
