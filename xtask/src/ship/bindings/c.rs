//! C: what the programs of `tests/c` compare with the header, as a compiler reads that.

use super::MARK;
use super::model::{Interface, Kind};
use anyhow::Result;
use std::fmt::Write;

const MACROS: [&str; 6] = [
    "STRUCT(name, size)",
    "FIELD(of, name, offset, size)",
    "END(name)",
    "ENUMERATOR(of, name, value)",
    "CONSTANT(name, value)",
    "FUNCTION(name)",
];

/// `tests/c/interface.inc`: a macro for each thing that there is.
pub fn interface(interface: &Interface) -> Result<String> {
    let mut text = format!(
        "/* {MARK}\n   What src/capi has, which is what sockeye.h has to declare. Define those of \
         these macros that you\n   want, and include this. */\n"
    );
    for each in MACROS {
        let name = each.split('(').next().unwrap_or_default();
        let _ = writeln!(text, "#ifndef {name}\n#define {each}\n#endif");
    }
    for (item, fields) in interface.structs() {
        let layout = interface.layout(fields)?;
        let _ = writeln!(text, "\nSTRUCT({}, {})", item.name, layout.size);
        for (field, (offset, size)) in fields.iter().zip(layout.fields) {
            let _ = writeln!(text, "FIELD({}, {}, {offset}, {size})", item.name, field.name);
        }
        let _ = writeln!(text, "END({})", item.name);
    }
    for (item, values) in interface.enums() {
        text.push('\n');
        for value in values {
            let _ = writeln!(text, "ENUMERATOR({}, {}, {})", item.name, value.name, value.value);
        }
    }
    text.push('\n');
    for (part, value) in ["MAJOR", "MINOR", "PATCH"].into_iter().zip(interface.version) {
        let _ = writeln!(text, "CONSTANT(SOCKEYE_VERSION_{part}, {value})");
    }
    for item in interface.items() {
        if let Kind::Constant { value, .. } = item.kind {
            let _ = writeln!(text, "CONSTANT({}, {value})", item.name);
        }
    }
    text.push('\n');
    for (item, _) in interface.functions() {
        let _ = writeln!(text, "FUNCTION({})", item.name);
    }
    text.push('\n');
    for each in MACROS {
        let _ = writeln!(text, "#undef {}", each.split('(').next().unwrap_or_default());
    }
    Ok(text)
}
