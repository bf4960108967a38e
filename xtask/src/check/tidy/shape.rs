//! How wide and how long things may be.

use super::source::{Kind, Source};

const COLUMNS: usize = 100;
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
/// They are as long as the interface is, and so are its snapshots.
const GENERATED: &str = "include/sockeye.h";
const BINDINGS: &str = crate::ship::bindings::MARK;
const SNAPSHOTS: &str = "abi/";
/// Above a function that is one long list of cases.
const FLAT: &str = "// tidy: flat match";
/// Where functions are measured.
const MEASURED: [&str; 3] = ["src/", "xtask/", "bench/"];

/// Lines and files, in any language.
pub fn lines(path: &str, text: &str, tell: &mut impl FnMut(usize, String)) {
    for (n, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS {
            tell(n + 1, format!("{columns} columns, {COLUMNS} fit"));
        }
    }
    let count = text.lines().count();
    let made = path == GENERATED || text.lines().next().is_some_and(|it| it.contains(BINDINGS));
    if count > FILE_LINES && !made && !path.starts_with(SNAPSHOTS) {
        tell(FILE_LINES + 1, format!("a file of {count} lines, {FILE_LINES} fit"));
    }
}

/// Functions, from `fn` to the closing brace.
pub fn functions(source: &Source, tell: &mut impl FnMut(usize, String)) {
    if !MEASURED.iter().any(|folder| source.path.starts_with(folder)) {
        return;
    }
    for (at, token) in source.tokens.iter().enumerate() {
        let Some(name) = source.tokens.get(at + 1) else { continue };
        let starts = token.kind == Kind::Ident && token.text == "fn" && name.kind == Kind::Ident;
        let Some(close) = starts.then(|| body(source, at + 2)).flatten() else { continue };
        let count = source.tokens[close].line + 1 - token.line;
        if count > FUNCTION_LINES && !flat(source, token.line) {
            let name = &name.text;
            tell(token.line, format!("`{name}` has {count} lines, {FUNCTION_LINES} fit"));
        }
    }
}

/// The end of the body of the function whose generics or arguments begin at `at`, if it has one.
fn body(source: &Source, at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let token = source.tokens.get(at)?;
        match (token.kind, &*token.text) {
            (Kind::Open, "{") => return Some(token.close),
            (Kind::Open, _) => at = token.close,
            (_, ";") => return None,
            _ => {}
        }
        at += 1;
    }
}

/// Whether the marker stands right above the function or its documentation.
fn flat(source: &Source, line: usize) -> bool {
    let above = (1..line).rev().map(|n| source.line(n).trim());
    let mut head = above.take_while(|text| text.starts_with("//") || text.starts_with("#["));
    head.any(|text| text == FLAT)
}

#[cfg(test)]
mod tests {
    use super::super::found;

    fn function(lines: usize) -> String {
        format!("fn f<T>(a: [u8; 3]) -> T\nwhere T: X {{\n{}}}\n", "    g();\n".repeat(lines - 3))
    }

    #[test]
    fn a_line_fits_in_100_columns() {
        let line = |columns: usize| format!("\n// {}\n", "é".repeat(columns - 3));
        for path in ["src/a.rs", "include/sockeye.h", "tests/c/a.c", "cpp-sample/a.cpp", "a.hpp"] {
            assert!(found(path, &line(100)).is_empty());
            assert_eq!(found(path, &line(101)), [(2, "101 columns, 100 fit".into())]);
        }
    }

    #[test]
    fn a_file_fits_in_600_lines() {
        assert!(found("src/a.rs", &"\n".repeat(600)).is_empty());
        let told = (601, "a file of 601 lines, 600 fit".into());
        assert_eq!(found("src/a.rs", &"\n".repeat(601)), [told]);
        assert!(found("include/sockeye.h", &"\n".repeat(900)).is_empty());
        assert_eq!(found("include/sockeye.hpp", &"\n".repeat(900)).len(), 1);
        assert!(found("a.cs", &format!("// {}{}", super::BINDINGS, "\n".repeat(900))).is_empty());
    }

    #[test]
    fn a_function_fits_in_70_lines() {
        assert!(found("src/a.rs", &function(70)).is_empty());
        assert_eq!(found("src/a.rs", &function(71)), [(1, "`f` has 71 lines, 70 fit".into())]);
        assert!(found("tests/a.rs", &function(71)).is_empty());
        let method = format!("impl A {{\n{}}}\n", function(71));
        assert_eq!(found("src/a.rs", &method)[0].0, 2);
    }

    #[test]
    fn a_flat_match_says_so() {
        let marked = format!("// tidy: flat match\n{}", function(80));
        assert!(found("src/a.rs", &marked).is_empty());
        let documented = format!("/// Cases.\n// tidy: flat match\n#[inline]\n{}", function(80));
        assert!(found("src/a.rs", &documented).is_empty());
        let elsewhere = format!("// tidy: flat match\nconst A: u8 = 1;\n{}", function(80));
        assert_eq!(found("src/a.rs", &elsewhere)[0].0, 3);
    }

    #[test]
    fn a_declaration_has_no_length() {
        let text = format!("trait T {{\n    fn f();\n{}}}\n", "    const A: u8;\n".repeat(90));
        assert!(found("src/a.rs", &text).is_empty());
    }
}
