//! A Rust file as the rules see it: its lines, and its tokens without comments and with the text
//! of strings out of the way.

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Ident,
    Punct,
    Literal,
    Open,
    Close,
}

/// A token; `::` is one, and a delimiter knows its other half.
#[derive(Debug)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
    /// Of `Open`: the index of its `Close`.
    pub close: usize,
}

/// A path of names, also out of a `use` with braces.
#[derive(Debug, PartialEq)]
pub struct Path {
    pub names: Vec<String>,
    pub line: usize,
    /// Index of its first token.
    pub at: usize,
}

/// A `mod name { … }` inside the file.
struct Module {
    name: String,
    body: Range<usize>,
    test: bool,
}

pub struct Source {
    pub path: String,
    pub lines: Vec<String>,
    pub tokens: Vec<Token>,
    modules: Vec<Module>,
}

impl Source {
    /// Reads a file; the error has its line.
    pub fn read(path: &str, text: &str) -> Result<Self, (usize, String)> {
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            (error.span().start().line, error.to_string())
        })?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let modules = modules(&tokens);
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), lines, tokens, modules })
    }

    /// Whether a token's text is this one; beyond the end nothing is.
    pub fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind != Kind::Literal && token.text == text)
    }

    /// Whether the tokens from `at` on are these.
    pub fn are(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(n, text)| self.is(at + n, text))
    }

    /// Whether a token stands in a `#[cfg(test)]` module, or in a file of one.
    pub fn in_test(&self, at: usize) -> bool {
        let file = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        file || self.modules.iter().any(|module| module.test && module.body.contains(&at))
    }

    /// Whether the path at `at` belongs to a `pub use`, which passes a name on.
    pub fn is_reexport(&self, at: usize) -> bool {
        let start = self.tokens[..at].iter().rposition(|token| token.text == ";");
        let statement = start.map_or(0, |start| start + 1)..at;
        statement.rev().find(|&at| self.is(at, "use")).is_some_and(|at| {
            let before = at.checked_sub(1).map(|before| &*self.tokens[before].text);
            matches!(before, Some("pub" | ")"))
        })
    }

    /// The line with that number, counted from 1; empty outside the file.
    pub fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|n| self.lines.get(n)).map_or("", String::as_str)
    }

    /// The module path of the token at `at`: that of the file, then inline modules.
    pub fn module_of(&self, at: usize) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let stem = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut names: Vec<&str> = stem.split('/').collect();
        if matches!(names.last(), Some(&("mod" | "lib" | "main"))) {
            names.pop();
        }
        let inline = self.modules.iter().filter(|module| module.body.contains(&at));
        names.extend(inline.map(|module| &*module.name));
        names
    }

    /// Every path of the file, each `use` with braces as its single paths.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let starts = self.tokens[at].kind == Kind::Ident && !self.continues(at);
            at = if starts { self.path_at(at, &[], &mut paths) } else { at + 1 };
        }
        paths
    }

    /// `>::name` and the like go on with a type; `::name` at a start is a crate.
    fn continues(&self, at: usize) -> bool {
        let before = |n: usize| at.checked_sub(n).and_then(|at| self.tokens.get(at));
        before(1).is_some_and(|token| token.text == "::")
            && before(2).is_some_and(|token| {
                matches!(token.kind, Kind::Ident | Kind::Close) || token.text == ">"
            })
    }

    /// Reads the path at `at` behind `prefix`; gives the index behind it.
    fn path_at(&self, at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
        let mut names = prefix.to_vec();
        let mut next = at;
        loop {
            names.push(self.tokens[next].text.clone());
            if !self.is(next + 1, "::") {
                break;
            }
            match self.tokens.get(next + 2) {
                Some(token) if token.kind == Kind::Ident => next += 2,
                Some(token) if token.kind == Kind::Open && token.text == "{" => {
                    self.group(next + 2, &names, paths);
                    return token.close + 1;
                }
                _ => break,
            }
        }
        paths.push(Path { names, line: self.tokens[at].line, at });
        next + 1
    }

    /// The paths inside the braces that open at `open`.
    fn group(&self, open: usize, prefix: &[String], paths: &mut Vec<Path>) {
        let close = self.tokens[open].close;
        let mut at = open + 1;
        while at < close {
            let first = matches!(&*self.tokens[at - 1].text, "{" | ",");
            if first && self.tokens[at].kind == Kind::Ident {
                at = self.path_at(at, prefix, paths);
            } else {
                at += 1;
            }
        }
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    // Where a `:` stands that a second one would make a `::`.
    let mut colon: Option<LineColumn> = None;
    for tree in stream {
        let start = tree.span().start();
        let token = |kind, text| Token { kind, text, line: start.line, close: 0 };
        let first = colon.take();
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = marks(group.delimiter());
                tokens.push(token(Kind::Open, open.into()));
                let at = tokens.len() - 1;
                flatten(group.stream(), tokens);
                tokens[at].close = tokens.len();
                let line = group.span_close().end().line;
                tokens.push(Token { line, ..token(Kind::Close, close.into()) });
            }
            TokenTree::Ident(ident) => tokens.push(token(Kind::Ident, ident.to_string())),
            TokenTree::Literal(literal) => tokens.push(token(Kind::Literal, literal.to_string())),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                let second =
                    first.is_some_and(|at| at.line == start.line && at.column + 1 == start.column);
                if second {
                    tokens.pop();
                }
                let text = if second { "::" } else { ":" };
                tokens.push(token(Kind::Punct, text.into()));
                colon = (!second).then_some(start);
            }
            TokenTree::Punct(punct) => {
                tokens.push(token(Kind::Punct, punct.as_char().to_string()));
            }
        }
    }
}

fn marks(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn modules(tokens: &[Token]) -> Vec<Module> {
    let mut modules = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let (Some(name), Some(open)) = (tokens.get(at + 1), tokens.get(at + 2)) else { continue };
        let inline = token.text == "mod" && name.kind == Kind::Ident && open.text == "{";
        if token.kind == Kind::Ident && inline && open.kind == Kind::Open {
            let body = at + 3..open.close;
            modules.push(Module { name: name.text.clone(), body, test: is_test(&tokens[..at]) });
        }
    }
    modules
}

/// Whether the attributes that `before` ends with have `cfg(test)`.
fn is_test(before: &[Token]) -> bool {
    let ends = |token: &Token| token.text == ";" || token.text == "}";
    let start = before.iter().rposition(ends).map_or(0, |at| at + 1);
    before[start..].windows(4).any(|part| {
        let texts = [&*part[0].text, &*part[1].text, &*part[2].text, &*part[3].text];
        texts == ["cfg", "(", "test", ")"]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        Source::read("src/engine/net.rs", text).unwrap()
    }

    fn paths(text: &str) -> Vec<String> {
        let paths = read(text).paths();
        paths.into_iter().filter(|p| p.names.len() > 1).map(|p| p.names.join("::")).collect()
    }

    #[test]
    fn a_use_with_braces_is_its_single_paths() {
        let found = paths("use crate::{buf::{Chunk, pool::Pool as P}, io as disk, session::*};");
        assert_eq!(
            found,
            ["crate::buf::Chunk", "crate::buf::pool::Pool", "crate::io", "crate::session"]
        );
    }

    #[test]
    fn paths_in_code_macros_and_generics_are_seen() {
        let found = paths("fn f() { assert!(crate::io::x::<a::b>() == Vec::<c::d>::new()); }");
        assert_eq!(found, ["crate::io::x", "a::b", "c::d"]);
        assert_eq!(paths("type T = ::libc::c_int;"), ["libc::c_int"]);
        assert_eq!(paths("x.map(Self::take::<T>);"), ["Self::take"]);
    }

    #[test]
    fn comments_and_strings_have_no_tokens() {
        assert!(paths("// crate::io::x\nconst A: &str = \"crate::io\";").is_empty());
    }

    #[test]
    fn modules_nest_and_tests_are_known() {
        let source = read("mod a { fn x() {} }\n#[cfg(test)]\nmod tests { fn y() {} }");
        let at = |name: &str| source.tokens.iter().position(|t| t.text == name).unwrap();
        assert_eq!(source.module_of(at("x")), ["engine", "net", "a"]);
        assert_eq!(source.module_of(at("y")), ["engine", "net", "tests"]);
        assert!(source.in_test(at("y")) && !source.in_test(at("x")));
        for path in ["src/engine/tests/wire.rs", "src/engine/tests.rs"] {
            assert!(Source::read(path, "fn x() {}").unwrap().in_test(0));
        }
    }

    #[test]
    fn a_folder_s_own_module_has_the_folder_s_name() {
        let source = Source::read("src/io/os/mod.rs", "fn x() {}").unwrap();
        assert_eq!(source.module_of(0), ["io", "os"]);
        assert!(Source::read("src/lib.rs", "fn x() {}").unwrap().module_of(0).is_empty());
    }

    #[test]
    fn a_single_colon_is_not_a_path() {
        assert!(paths("struct A { b: c, d: e }").is_empty());
        assert_eq!(paths("fn f(a: b::c) {}"), ["b::c"]);
    }
}
