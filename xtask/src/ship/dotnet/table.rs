//! What `sockeye.h` declares, as a table that declarations in another language are compared with: a
//! line for each struct, field, number and function. Sizes and offsets are a C compiler's. Those
//! declarations are made from the Rust behind the header; this reads the header, so that a mistake
//! in one of the two is found by the other.

use super::c_program;
use crate::check::c_text;
use crate::check::symbols;
use crate::shell;
use crate::ship::bindings::names::{of_type, shared};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the table to `folder`.
pub fn write(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let path = workspace.root.join("include/sockeye.h");
    let header = std::fs::read_to_string(&path).context("cannot read include/sockeye.h")?;
    let source = folder.join("table.c");
    std::fs::write(&source, program(&header)?).context("cannot write the table's program")?;
    let table = folder.join("table.txt");
    let text = shell::stdout(&mut Command::new(c_program(workspace, &source, folder)?))?;
    std::fs::write(&table, text).context("cannot write the table")?;
    Ok(table)
}

/// A C program that prints the table of this header.
fn program(header: &str) -> Result<String> {
    let code = c_text::code(header);
    let mut lines = String::new();
    for (kind, name, body) in types(&code) {
        let names = if kind == "struct" { fields(&body) } else { enumerators(&body) };
        if names.is_empty() {
            bail!("{name} has nothing in it");
        }
        if kind == "struct" {
            writeln!(lines, "    printf(\"struct {name} %zu\\n\", sizeof({name}));")?;
        }
        let prefix = shared(names.iter().map(String::as_str));
        for field in &names {
            let line = match kind {
                "struct" => format!(
                    "\"field {name}.{field} %zu %zu\\n\", offsetof({name}, {field}), \
                     sizeof((({name} *)0)->{field})"
                ),
                _ => format!(
                    "\"value {name}.{} %lld\\n\", (long long){field}",
                    field[prefix..].to_lowercase()
                ),
            };
            writeln!(lines, "    printf({line});")?;
        }
    }
    for name in constants(&code) {
        let short = name.to_lowercase();
        writeln!(lines, "    printf(\"constant {short} %lld\\n\", (long long)SOCKEYE_{name});")?;
    }
    let opaque = opaque(&code);
    let functions = functions(&code, &opaque)?;
    ensure!(functions.len() == symbols::declared(header).len(), "not every function is in it");
    for signature in functions {
        writeln!(lines, "    puts(\"function {signature}\");")?;
    }
    for signature in callbacks(&code, &opaque)? {
        writeln!(lines, "    puts(\"callback {signature}\");")?;
    }
    let head = "#include <sockeye.h>\n#include <stdio.h>\n\nint main(void)\n{\n";
    Ok(format!("{head}{lines}    return 0;\n}}\n"))
}

/// Every `typedef enum { … } name;` and `typedef struct { … } name;`, with a tag or without.
fn types(code: &str) -> Vec<(&str, String, String)> {
    let mut found = Vec::new();
    for kind in ["struct", "enum"] {
        for part in code.split(&format!("typedef {kind} ")).skip(1) {
            let Some((tag, body)) = part.split_once('{') else { continue };
            if tag.contains(';') {
                continue;
            }
            let (body, rest) = body.split_once('}').unwrap_or((body, ""));
            let name = c_text::words(rest).next().unwrap_or_default();
            found.push((kind, name.to_owned(), body.to_owned()));
        }
    }
    found
}

/// Structs that nobody looks into: `typedef struct name name;`.
fn opaque(code: &str) -> Vec<&str> {
    let lines = code.lines().filter_map(|line| line.strip_prefix("typedef struct "));
    let names = lines.filter_map(|line| line.strip_suffix(';')?.split(' ').next());
    names.collect()
}

/// The names before `;` or `[`.
fn fields(body: &str) -> Vec<String> {
    let declarations = body.split(';').filter(|text| !text.trim().is_empty());
    let names = declarations.filter_map(|text| c_text::words(text.split('[').next()?).last());
    names.map(str::to_owned).collect()
}

fn enumerators(body: &str) -> Vec<String> {
    body.split(',').filter_map(|text| c_text::words(text).next()).map(str::to_owned).collect()
}

/// What the `#define`s of numbers are called behind SOCKEYE_.
fn constants(code: &str) -> Vec<&str> {
    let defines = code.lines().filter_map(|line| line.strip_prefix("#define SOCKEYE_"));
    let names = defines.filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let number = value.starts_with("UINT32_C") || value.starts_with(|c: char| c.is_numeric());
        number.then_some(name)
    });
    names.collect()
}

/// Each function as .NET writes its types: `Int32 sockeye_flush(IntPtr)`.
fn functions(code: &str, opaque: &[&str]) -> Result<Vec<String>> {
    let kept = code.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = kept.collect::<Vec<_>>().join("\n").replace("SOCKEYE_MUST_USE", "");
    let mut found = Vec::new();
    for part in text.split("SOCKEYE_API").skip(1) {
        let (head, rest) = part.split_once('(').context("a function without arguments")?;
        let (answer, name) = typed(head, opaque)?;
        found.push(format!("{answer} {name}({})", arguments(rest, opaque)?));
    }
    Ok(found)
}

/// The same of the functions that the host gives: `Void SockeyeLogCallback(IntPtr,UInt32,Byte*)`.
fn callbacks(code: &str, opaque: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for part in code.split("typedef ").skip(1) {
        let Some((answer, rest)) = part.split_once("(*") else { continue };
        if answer.contains([';', '{']) {
            continue;
        }
        let (name, rest) = rest.split_once(")(").context("a function without arguments")?;
        let answer = typed(&format!("{answer} {name}"), opaque)?.0;
        found.push(format!("{answer} {}({})", of_type(name), arguments(rest, opaque)?));
    }
    Ok(found)
}

/// The types up to the closing bracket.
fn arguments(text: &str, opaque: &[&str]) -> Result<String> {
    let (arguments, _) = text.split_once(')').context("arguments without an end")?;
    let arguments = arguments.split(',').filter(|text| text.trim() != "void");
    let kinds: Result<Vec<String>> =
        arguments.map(|text| typed(text, opaque).map(|(kind, _)| kind)).collect();
    Ok(kinds?.join(","))
}

/// `const uint8_t *data` is a `Byte*` and called `data`.
fn typed<'a>(declaration: &'a str, opaque: &[&str]) -> Result<(String, &'a str)> {
    let words: Vec<&str> = c_text::words(declaration).filter(|word| *word != "const").collect();
    let [kind, name] = words[..] else { bail!("'{declaration}' is no type and name") };
    let stars = declaration.matches('*').count();
    let (kind, stars) = match (kind, stars) {
        // What is only carried is an address; bytes that are read are bytes.
        ("void", 1..) if declaration.contains("const") => ("Byte".to_owned(), stars),
        ("void", 1..) => ("IntPtr".to_owned(), stars - 1),
        ("void", 0) => ("Void".to_owned(), 0),
        (other, 1..) if opaque.contains(&other) => ("IntPtr".to_owned(), stars - 1),
        ("intptr_t" | "ptrdiff_t", _) => ("IntPtr".to_owned(), stars),
        (other, _) if other.ends_with("_fn") => ("IntPtr".to_owned(), stars),
        ("sockeye_status" | "int32_t", _) => ("Int32".to_owned(), stars),
        ("uint16_t", _) => ("UInt16".to_owned(), stars),
        ("uint32_t", _) => ("UInt32".to_owned(), stars),
        ("int64_t", _) => ("Int64".to_owned(), stars),
        ("uint64_t", _) => ("UInt64".to_owned(), stars),
        ("size_t", _) => ("UIntPtr".to_owned(), stars),
        ("double", _) => ("Double".to_owned(), stars),
        ("char" | "uint8_t", _) => ("Byte".to_owned(), stars),
        (other, _) if other.starts_with("sockeye_") => (of_type(other), stars),
        (other, _) => bail!("no word for the type {other}"),
    };
    Ok((kind + &"*".repeat(stars), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "\
        #define SOCKEYE_LIMIT UINT32_C(0xFFFFFFFF)\n\
        #define SOCKEYE_API\n\
        typedef enum {\n    /// a, b\n    SOCKEYE_A_ONE_X = 0,\n    SOCKEYE_A_TWO = -1,\n\
        } sockeye_a;\n\
        typedef struct sockeye_net sockeye_net;\n\
        typedef void (*sockeye_e_fn)(void *user,\n  const sockeye_b *b);\n\
        typedef struct sockeye_b {\n    const uint8_t *data;\n    uint32_t left[8];\n} sockeye_b;\n\
        SOCKEYE_API\nSOCKEYE_MUST_USE\nsockeye_status sockeye_c(sockeye_net *net,\n  sockeye_b b,\n\
        const char *text, sockeye_net **out_net, intptr_t *out);\n\
        SOCKEYE_API const char *sockeye_d(void);\n";

    #[test]
    fn everything_declared_is_in_the_table() {
        let text = program(HEADER).unwrap();
        for line in [
            "printf(\"struct sockeye_b %zu\\n\", sizeof(sockeye_b));",
            "printf(\"field sockeye_b.left %zu %zu\\n\", offsetof(sockeye_b, left), \
             sizeof(((sockeye_b *)0)->left));",
            "printf(\"value sockeye_a.one_x %lld\\n\", (long long)SOCKEYE_A_ONE_X);",
            "printf(\"constant limit %lld\\n\", (long long)SOCKEYE_LIMIT);",
            "puts(\"function Int32 sockeye_c(IntPtr,SockeyeB,Byte*,IntPtr*,IntPtr*)\");",
            "puts(\"function Byte* sockeye_d()\");",
            "puts(\"callback Void SockeyeECallback(IntPtr,SockeyeB*)\");",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert_eq!(text.matches("    p").count(), 9);
    }

    #[test]
    fn what_it_has_no_word_for_is_refused() {
        assert!(program("SOCKEYE_API float sockeye_e(void);").is_err());
        assert!(typed("uint32_t", &[]).is_err());
    }
}
