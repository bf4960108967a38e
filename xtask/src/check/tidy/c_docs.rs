//! The documentation of the functions that C sees: five blocks in one order. Those that the host
//! gives to be called have them too, and those that are written in the header itself.

use super::source::{Kind, Source, Token};

const HEADER: &str = "include/sockeye.h";

const BLOCKS: [&str; 5] = ["Ownership:", "NULL:", "Threads:", "Returns:", "Since:"];

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    if !source.path.starts_with("src/capi/") {
        return;
    }
    for at in 0..source.tokens.len() {
        let Some(entry) = entry(source, at).or_else(|| given(source, at)) else { continue };
        entry.hold(&blocks(|n| source.line(n), entry.line), tell);
    }
}

/// The same of functions that the header has a body of: no Rust is behind them.
pub fn check_header(path: &str, text: &str, tell: &mut impl FnMut(usize, String)) {
    if path != HEADER {
        return;
    }
    let lines: Vec<&str> = text.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let Some(head) = line.strip_prefix("static inline ") else { continue };
        let name = head.split('(').next().unwrap_or_default();
        let name = name.rsplit([' ', '*']).next().unwrap_or_default();
        let points = head.contains('*');
        let needed = [points, points, true, true, true];
        let entry = Entry { name, line: n + 1, needed };
        entry.hold(&blocks(|n| lines[n - 1], n + 1), tell);
    }
}

impl Entry<'_> {
    /// Tells which blocks are missing, or in another order.
    fn hold(&self, blocks: &[&str], tell: &mut impl FnMut(usize, String)) {
        for (needed, block) in self.needed.into_iter().zip(BLOCKS) {
            if needed && !blocks.contains(&block) {
                tell(self.line, format!("`{}` has no `{block}` in its comment", self.name));
            }
        }
        let order = |block: &&str| BLOCKS.iter().position(|known| known == block);
        if !blocks.is_sorted_by(|a, b| order(a) < order(b)) {
            let order = BLOCKS.join(" ");
            tell(self.line, format!("the blocks of `{}` go: {order}", self.name));
        }
    }
}

/// An `extern "C" fn` with a body, or the type of one that the host gives.
struct Entry<'a> {
    name: &'a str,
    line: usize,
    /// Which of the blocks it must have.
    needed: [bool; 5],
}

fn entry(source: &Source, at: usize) -> Option<Entry<'_>> {
    let tokens = &source.tokens;
    let abi = tokens.get(at + 1)?;
    let external = source.is(at, "extern") && abi.kind == Kind::Literal && abi.text == "\"C\"";
    let name = tokens.get(at + 3)?;
    if !external || !source.is(at + 2, "fn") || name.kind != Kind::Ident {
        return None;
    }
    let open = (at + 4..tokens.len()).find(|at| source.is(*at, "("))?;
    let close = tokens[open].close;
    let end = (close..tokens.len()).find(|at| source.is(*at, "{") || source.is(*at, ";"))?;
    let pointers = pointers(&tokens[open..close]);
    let given = tokens[close..end].iter().any(|token| token.text == "*");
    let others = pointers.iter().any(|target| target != "sockeye_net");
    let needed = [others || given, !pointers.is_empty(), true, true, true];
    let line = first_line(source, at);
    source.is(end, "{").then_some(Entry { name: &name.text, line, needed })
}

/// A `type` of functions that the host gives.
fn given(source: &Source, at: usize) -> Option<Entry<'_>> {
    let tokens = &source.tokens;
    let name = tokens.get(at + 1)?;
    if !source.is(at, "type") || name.kind != Kind::Ident {
        return None;
    }
    let end = (at..tokens.len()).find(|at| source.is(*at, ";"))?;
    let call = (at..end).find(|at| source.is(*at, "extern") && source.is(at + 2, "fn"))?;
    let open = call + 3;
    let close = tokens.get(open).filter(|_| source.is(open, "("))?.close;
    let points = !pointers(&tokens[open..close]).is_empty();
    let answers = (close..end).any(|at| source.is(at, ">") && source.is(at - 1, "-"));
    let needed = [points, points, true, answers, true];
    Some(Entry { name: &name.text, line: first_line(source, at), needed })
}

/// What each pointer in `arguments` points to, by the word behind `*const` or `*mut`.
fn pointers(arguments: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for part in arguments.windows(3) {
        let qualified = part[1].text == "const" || part[1].text == "mut";
        if part[0].text == "*" && part[0].kind == Kind::Punct && qualified {
            found.push(part[2].text.clone());
        }
    }
    found
}

/// The line of the item's `pub` or first keyword.
fn first_line(source: &Source, at: usize) -> usize {
    let head = (0..at).rev();
    let mut head = head.take_while(|at| source.is(*at, "unsafe") || source.is(*at, "pub"));
    head.by_ref().last().map_or(source.tokens[at].line, |at| source.tokens[at].line)
}

/// The blocks in the comment above `line`, in their order.
fn blocks<'a>(text: impl Fn(usize) -> &'a str, line: usize) -> Vec<&'static str> {
    let above = (1..line).rev().map(|n| text(n).trim());
    let head = above.take_while(|text| text.starts_with("//") || text.starts_with("#["));
    let mut found: Vec<_> = head
        .filter_map(|text| text.strip_prefix("///"))
        .filter_map(|text| BLOCKS.into_iter().find(|block| text.trim().starts_with(block)))
        .collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::super::found;

    const ALL: [&str; 5] = ["Ownership:", "NULL:", "Threads:", "Returns:", "Since:"];

    fn told(blocks: &[&str], signature: &str) -> Vec<String> {
        let doc: String = blocks.iter().map(|block| format!("/// {block} so.\n")).collect();
        let item = format!("#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn {signature} {{}}\n");
        let text = format!("/// Does.\n///\n{doc}{item}");
        found("src/capi/a.rs", &text).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn all_in_order_is_well() {
        assert!(told(&ALL, "f(text: *const c_char) -> i32").is_empty());
    }

    #[test]
    fn each_needed_block_is_missed() {
        for block in ALL {
            let rest: Vec<_> = ALL.into_iter().filter(|other| *other != block).collect();
            let told = told(&rest, "f(net: *mut sockeye_net, text: *const c_char) -> i32");
            assert_eq!(told, [format!("`f` has no `{block}` in its comment")]);
        }
    }

    #[test]
    fn what_passes_no_pointer_needs_less() {
        assert!(told(&ALL[2..], "f(model: u32) -> u32").is_empty());
        assert!(told(&ALL[1..], "f(net: *mut sockeye_net) -> i32").is_empty());
        assert_eq!(told(&ALL[2..], "f(net: *mut sockeye_net) -> i32").len(), 1);
        assert_eq!(told(&ALL[2..], "f() -> *const c_char").len(), 1);
        assert_eq!(told(&ALL[1..], "f(out: *mut *mut sockeye_net) -> i32").len(), 1);
    }

    #[test]
    fn the_order_is_fixed() {
        let turned = ["Ownership:", "NULL:", "Returns:", "Threads:", "Since:"];
        assert!(told(&turned, "f(a: *const u8)")[0].starts_with("the blocks of `f` go"));
        let twice = ["Threads:", "Threads:", "Returns:", "Since:"];
        assert!(told(&twice, "f()")[0].starts_with("the blocks of `f` go"));
    }

    #[test]
    fn only_the_boundary_is_held_to_it() {
        assert!(found("tests/a.rs", "extern \"C\" fn f() {}").is_empty());
        assert_eq!(found("src/capi/a.rs", "extern \"C\" fn f() {}").len(), 3);
        assert_eq!(found("src/capi/a.rs", "type F = extern \"C\" fn(u8);").len(), 2);
        assert!(found("src/capi/a.rs", "fn f(g: extern \"C\" fn(u8)) {}").is_empty());
    }

    #[test]
    fn what_the_host_gives_is_held_to_it() {
        let code = "type F = Option<unsafe extern \"C\" fn(user: *mut c_void) -> i32>;";
        let missed = found("src/capi/a.rs", code);
        assert_eq!(missed.len(), 5);
        let blocks: String = ALL.iter().map(|block| format!("/// {block} so.\n")).collect();
        assert!(found("src/capi/a.rs", &format!("/// Does.\n///\n{blocks}pub {code}")).is_empty());
    }

    #[test]
    fn what_the_header_writes_itself_is_held_to_it() {
        let code = "static inline uint32_t sockeye_a(sockeye_conn conn)\n";
        let missed = found("include/sockeye.h", code);
        assert_eq!(missed[0], (1, "`sockeye_a` has no `Threads:` in its comment".to_owned()));
        assert_eq!(missed.len(), 3);
        let documented = format!("/// Threads: a\n/// Returns: b\n/// Since: c\n{code}");
        assert!(found("include/sockeye.h", &documented).is_empty());
        assert!(found("include/sockeye.hpp", code).is_empty());
    }
}
