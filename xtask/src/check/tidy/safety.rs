//! Every `unsafe` says why it is sound, where it stands.

use super::source::{Kind, Source};

/// The rooms without any.
pub const WITHOUT: [&str; 2] = ["src/session/mod.rs", "src/transport/mod.rs"];
/// How far above a block its statement may begin.
const STATEMENT_LINES: usize = 8;

pub fn check(source: &Source, tell: &mut impl FnMut(usize, String)) {
    if WITHOUT.contains(&&*source.path) && !forbids(source) {
        tell(1, "`#![forbid(unsafe_code)]` is missing".into());
    }
    for (at, token) in source.tokens.iter().enumerate() {
        if token.kind != Kind::Ident || token.text != "unsafe" {
            continue;
        }
        match what(source, at) {
            What::Function if !documented(source, token.line) && !inherits(source, at) => {
                tell(token.line, "an `unsafe fn` without a `# Safety` in its documentation".into());
            }
            What::Trait if !documented(source, token.line) => {
                tell(token.line, "an `unsafe trait` without a `# Safety`".into());
            }
            What::Reasoned(name) if !reasoned(source, token.line) => {
                tell(token.line, format!("an unsafe {name} without a SAFETY comment"));
            }
            _ => {}
        }
    }
}

fn forbids(source: &Source) -> bool {
    let attribute = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    (0..source.tokens.len()).any(|at| source.are(at, &attribute))
}

enum What {
    /// Needs a SAFETY comment.
    Reasoned(&'static str),
    Function,
    Trait,
    /// A type, an attribute, or an entry of the C ABI, whose contract the header has.
    Nothing,
}

fn what(source: &Source, at: usize) -> What {
    let mut next = at + 1;
    let external = source.is(next, "extern");
    if external {
        next += 1;
        if source.tokens.get(next).is_some_and(|token| token.kind == Kind::Literal) {
            next += 1;
        }
    }
    let Some(token) = source.tokens.get(next) else { return What::Nothing };
    match &*token.text {
        "{" if external => What::Reasoned("extern block"),
        "{" => What::Reasoned("block"),
        "impl" => What::Reasoned("impl"),
        "trait" => What::Trait,
        // `fn(` is a type.
        "fn" if source.is(next + 1, "(") => What::Nothing,
        "fn" if external && source.path.starts_with("src/capi/") => What::Nothing,
        "fn" => What::Function,
        _ => What::Nothing,
    }
}

/// Whether the documentation above has the section.
fn documented(source: &Source, line: usize) -> bool {
    let above = (1..line).rev().map(|n| source.line(n).trim());
    let mut head = above.take_while(|text| text.starts_with("//") || text.starts_with('#'));
    head.any(|text| text.starts_with("///") && text.contains("# Safety"))
}

/// A method of a trait has its contract there.
fn inherits(source: &Source, at: usize) -> bool {
    (0..at).filter(|at| source.is(*at, "impl")).any(|start| {
        let rest = start + 1..source.tokens.len();
        let Some(open) = rest.clone().find(|at| source.is(*at, "{") || source.is(*at, ";")) else {
            return false;
        };
        let head = start + 1..open;
        let of_trait = head.into_iter().any(|at| source.is(at, "for") && !source.is(at + 1, "<"));
        of_trait && at > open && at < source.tokens[open].close
    })
}

/// Whether a SAFETY comment stands on the line, directly above it, or directly above the
/// statement that the line goes on with.
fn reasoned(source: &Source, line: usize) -> bool {
    if source.line(line).contains("// SAFETY:") {
        return true;
    }
    let mut above = line - 1;
    for _ in 0..STATEMENT_LINES {
        let text = source.line(above).trim();
        if text.starts_with("//") || text.starts_with("#[") {
            break;
        }
        if text.is_empty() || [';', '{', '}'].iter().any(|end| text.ends_with(*end)) {
            return false;
        }
        above -= 1;
    }
    let lines = (1..=above).rev().map(|n| source.line(n).trim());
    let mut comment = lines.take_while(|text| text.starts_with("//") || text.starts_with("#["));
    comment.any(|text| text.contains("SAFETY:"))
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::WITHOUT;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        found(path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_block_has_its_reason_above_or_beside() {
        let path = "src/buf/a.rs";
        assert_eq!(lines(path, "fn f() {\n    unsafe { g() }\n}"), [2]);
        assert!(lines(path, "fn f() {\n    // SAFETY: so.\n    unsafe { g() }\n}").is_empty());
        assert!(lines(path, "fn f() {\n    unsafe { g() } // SAFETY: so.\n}").is_empty());
        let long =
            "fn f() {\n    // SAFETY: so,\n    // and so.\n    let a =\n        unsafe { g() };\n}";
        assert!(lines(path, long).is_empty());
        let other = "fn f() {\n    // SAFETY: so.\n    h();\n    unsafe { g() }\n}";
        assert_eq!(lines(path, other), [4]);
        assert_eq!(lines(path, "fn f() {\n    // why\n    unsafe { g() }\n}"), [3]);
    }

    #[test]
    fn blocks_in_macros_count_and_words_do_not() {
        assert_eq!(lines("tests/a.rs", "fn f() {\n    assert!(unsafe { g() });\n}"), [2]);
        assert!(lines("tests/a.rs", "// unsafe { }\nconst A: &str = \"unsafe {}\";").is_empty());
    }

    #[test]
    fn an_impl_has_its_reason() {
        assert_eq!(lines("src/buf/a.rs", "unsafe impl Send for A {}"), [1]);
        assert!(lines("src/buf/a.rs", "// SAFETY: so.\nunsafe impl Send for A {}").is_empty());
    }

    #[test]
    fn an_unsafe_function_documents_its_contract() {
        let path = "src/buf/a.rs";
        assert_eq!(lines(path, "/// Does.\npub unsafe fn f() {}"), [2]);
        assert!(
            lines(path, "/// Does.\n///\n/// # Safety\n/// So.\npub unsafe fn f() {}").is_empty()
        );
        assert!(lines(path, "type F = unsafe fn(u8);").is_empty());
        let method = "// SAFETY: so.\nunsafe impl G for A {\n    unsafe fn f() {}\n}";
        assert!(lines(path, method).is_empty());
        assert_eq!(lines(path, "impl A {\n    unsafe fn f() {}\n}"), [2]);
        assert_eq!(lines(path, "unsafe trait T {}"), [1]);
    }

    #[test]
    fn the_header_is_the_contract_of_its_functions() {
        let text = "pub unsafe extern \"C\" fn f() {}";
        assert_eq!(lines("src/engine/a.rs", text), [1]);
        let documented =
            format!("/// Does.\n///\n/// Threads: any.\n/// Returns: it.\n/// Since: 0.1\n{text}");
        assert!(lines("src/capi/a.rs", &documented).is_empty());
        let attribute = "/// Threads: any.\n/// Returns: it.\n/// Since: 0.1\n#[unsafe(no_mangle)]";
        let safe = format!("{attribute}\npub extern \"C\" fn f() {{}}");
        assert!(lines("src/capi/a.rs", &safe).is_empty());
    }

    #[test]
    fn two_rooms_forbid_it() {
        for room in WITHOUT {
            assert_eq!(lines(room, "mod a;"), [1]);
            assert!(lines(room, "#![forbid(unsafe_code)]\nmod a;").is_empty());
            assert_eq!(lines(room, "// #![forbid(unsafe_code)]\nmod a;"), [1]);
        }
    }
}
