//! The documentation of the functions that C sees: five blocks in one order.

use super::source::{Kind, Source, Token};

const BLOCKS: [&str; 5] = ["Ownership:", "NULL:", "Threads:", "Returns:", "Since:"];

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    if !source.path.starts_with("src/capi/") {
        return;
    }
    for at in 0..source.tokens.len() {
        let Some(entry) = entry(source, at) else { continue };
        let blocks = blocks(source, entry.line);
        for (needed, block) in entry.needed.into_iter().zip(BLOCKS) {
            if needed && !blocks.contains(&block) {
                tell(entry.line, format!("`{}` has no `{block}` in its comment", entry.name));
            }
        }
        let order = |block: &&str| BLOCKS.iter().position(|known| known == block);
        if !blocks.is_sorted_by(|a, b| order(a) < order(b)) {
            let order = BLOCKS.join(" ");
            tell(entry.line, format!("the blocks of `{}` go: {order}", entry.name));
        }
    }
}

/// An `extern "C" fn` with a body.
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
fn blocks(source: &Source, line: usize) -> Vec<&'static str> {
    let above = (1..line).rev().map(|n| source.line(n).trim());
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
        assert!(found("src/capi/a.rs", "type F = extern \"C\" fn(u8);").is_empty());
    }
}
