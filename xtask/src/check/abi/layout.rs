//! Sizes, offsets and constants as lines of text, and which of them may change.

use crate::check::c_text;
use anyhow::{Context, Result};
use roxmltree::{Document, Node};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Space that later fields are taken from.
const SPARE: &str = "reserved";
/// The first field of a struct that may grow: the host says how much of it there is.
const GROWS: &str = "struct_size";
/// Constants that state a version, and so change with it.
const VERSIONS: [&str; 2] = ["SOCKEYE_VERSION_", "SOCKEYE_ABI_VERSION"];

/// `struct name size`, and below it `name.field offset size`, from a description by abidw.
pub fn structs(described: &str) -> Result<String> {
    let document = Document::parse(described).context("abidw wrote no XML")?;
    let types = types(&document);
    let mut text = String::new();
    let mut classes: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name("class-decl")).collect();
    classes.retain(|class| class.attribute("is-declaration-only").is_none());
    classes.sort_by_key(|class| class.attribute("name"));
    for class in classes {
        let name = class.attribute("name").context("a struct without a name")?;
        let _ = writeln!(text, "struct {name} {}", size(&types, class)?);
        for member in class.children().filter(|node| node.has_tag_name("data-member")) {
            let field = member.first_element_child().context("a member without a field")?;
            let kind = field.attribute("type-id").and_then(|id| types.get(id));
            let bits: u32 = attribute(member, "layout-offset-in-bits")?.parse()?;
            let bytes = size(&types, *kind.context("a field without a type")?)?;
            let _ = writeln!(text, "{name}.{} {} {bytes}", attribute(field, "name")?, bits / 8);
        }
    }
    Ok(text)
}

fn types<'a, 'i>(document: &'a Document<'i>) -> BTreeMap<&'a str, Node<'a, 'i>> {
    let named = document.descendants().filter_map(|node| Some((node.attribute("id")?, node)));
    named.collect()
}

/// The bytes of a type, looked for behind its other names.
fn size(types: &BTreeMap<&str, Node>, kind: Node) -> Result<u32> {
    if let Some(bits) = kind.attribute("size-in-bits") {
        return Ok(bits.parse::<u32>().context("a size that is no number")? / 8);
    }
    let behind = types.get(attribute(kind, "type-id")?).context("a type that is not there")?;
    size(types, *behind)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str> {
    node.attribute(name).with_context(|| format!("abidw wrote no {name}"))
}

/// `NAME = value` for every constant of a header: those of enums and those of the preprocessor.
pub fn constants(header: &str) -> String {
    let code = c_text::code(header);
    let lines = code.lines().map(str::trim);
    let found = lines.filter_map(|line| {
        let (name, value) = match line.strip_prefix("#define ") {
            Some(rest) => rest.split_once(' ')?,
            None => line.trim_end_matches(',').split_once(" = ")?,
        };
        let version = VERSIONS.iter().any(|version| name.starts_with(version));
        let constant = name.starts_with("SOCKEYE_") && !version;
        let number = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let number = number || value.starts_with("UINT32_C(");
        (constant && number).then(|| format!("{name} = {value}\n"))
    });
    found.collect()
}

/// What of `old` a host relies on and `now` does not keep. Fields may come where space was spare,
/// or behind the last one of a struct that says its size; constants may be added.
pub fn faults(old: &str, now: &str) -> Vec<String> {
    let fields: BTreeMap<&str, &str> = now.lines().filter_map(split).collect();
    let mut faults = Vec::new();
    for (name, value) in old.lines().filter_map(split) {
        let kept = fields.get(name).copied();
        let spare = name.rsplit('.').next().is_some_and(|field| field.starts_with(SPARE));
        if kept == Some(value) || spare || grown(&fields, name, value, kept) {
            continue;
        }
        let is = kept.unwrap_or("gone");
        faults.push(format!("{name} was {value}, is {is}"));
    }
    faults
}

/// The name of a line, and what is said of it.
fn split(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix("struct ") {
        Some(rest) => {
            let end = line.len() - rest.len() + rest.find(' ')?;
            Some((&line[..end], &line[end + 1..]))
        }
        None => line.split_once(' '),
    }
}

/// Whether `name` is a struct that has become larger and may.
fn grown(fields: &BTreeMap<&str, &str>, name: &str, was: &str, is: Option<&str>) -> bool {
    let Some(of) = name.strip_prefix("struct ") else { return false };
    let size = |text: &str| text.parse::<u32>().unwrap_or(0);
    let may = fields.contains_key(&*format!("{of}.{GROWS}"));
    may && is.is_some_and(|is| size(is) > size(was))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "struct a 16\na.struct_size 0 4\na.b 4 4\na.reserved 8 8\n\
                       struct c 8\nc.id 0 8\nSOCKEYE_X = 1\n";

    #[test]
    fn what_is_kept_is_no_fault() {
        assert!(faults(OLD, OLD).is_empty());
        assert!(faults(OLD, &format!("{OLD}SOCKEYE_Y = 2\nstruct d 4\nd.e 0 4\n")).is_empty());
    }

    #[test]
    fn spare_space_is_taken_and_a_sized_struct_grows() {
        let taken = OLD.replace("a.reserved 8 8", "a.n 8 4\na.reserved 12 4");
        assert!(faults(OLD, &taken).is_empty());
        let grown = OLD.replace("struct a 16", "struct a 24") + "a.n 16 8\n";
        assert!(faults(OLD, &grown).is_empty());
    }

    #[test]
    fn all_else_breaks_hosts() {
        for (was, is) in [
            ("a.b 4 4", "a.b 8 4"),
            ("a.b 4 4", "a.b 4 2"),
            ("a.b 4 4\n", ""),
            ("struct a 16", "struct a 12"),
            ("struct c 8", "struct c 16"),
            ("SOCKEYE_X = 1", "SOCKEYE_X = 2"),
            ("SOCKEYE_X = 1\n", ""),
            ("c.id 0 8\n", ""),
        ] {
            assert_eq!(faults(OLD, &OLD.replace(was, is)).len(), 1, "{was} {is}");
        }
    }

    #[test]
    fn constants_are_of_both_kinds_and_not_the_version() {
        let header = "#define SOCKEYE_VERSION_MAJOR 0\n#define SOCKEYE_ABI_VERSION 1\n\
                      #define SOCKEYE_API\n#define SOCKEYE_N 64\n\
                      enum {\n  SOCKEYE_A = -1, // x\n  SOCKEYE_B = 2,\n};\n  n = 3;\n\
                      #define SOCKEYE_M UINT32_C(0xFF)\n";
        let found = "SOCKEYE_N = 64\nSOCKEYE_A = -1\nSOCKEYE_B = 2\nSOCKEYE_M = UINT32_C(0xFF)\n";
        assert_eq!(constants(header), found);
    }

    #[test]
    fn sizes_are_found_behind_names() {
        let xml = "<x><type-decl id='t' size-in-bits='32'/><typedef-decl id='u' type-id='t'/>\
                   <class-decl id='n' name='net' is-declaration-only='yes'/>\
                   <class-decl id='c' name='c' size-in-bits='64'><data-member \
                   layout-offset-in-bits='32'><var-decl name='d' type-id='u'/></data-member>\
                   </class-decl></x>";
        assert_eq!(structs(xml).unwrap(), "struct c 8\nc.d 4 4\n");
    }
}
