//! C#: numbers, structs and functions, each under its own name.

use super::MARK;
use super::model::{Field, Interface, Item, Kind, Number, Signature, Type, Value};
use super::names;
use super::text::{filled, summary};
use anyhow::{Context, Result, bail};
use std::fmt::Write;

/// Calls that end a net: its SafeHandle takes none any more.
const ENDS: [&str; 2] = ["sockeye_free", "sockeye_discard"];
const NET: &str = "sockeye_net";
const USING: &str =
    "using System;\nusing System.Runtime.InteropServices;\n\nnamespace Sockeye\n{\n";

/// `Numbers.cs`: what has a name and a number.
pub fn numbers(interface: &Interface) -> String {
    let text = format!(
        "// {MARK}\n// The numbers of sockeye.h, each under its own name: \
         SOCKEYE_CAUSE_TIMEOUT_IDLE is\n// SockeyeCause.TimeoutIdle. What each one means is said \
         there at length.\n\n{USING}"
    );
    let all = interface.enums().map(|(item, values)| enumeration(interface, item, values));
    text + &all.collect::<Vec<_>>().join("\n") + "}\n"
}

/// `Types.cs`: the structs that a host fills or is handed.
pub fn types(interface: &Interface) -> Result<String> {
    structs(interface, "The structs of sockeye.h", false)
}

/// `Facts.cs`: the structs that the library fills when it is asked.
pub fn facts(interface: &Interface) -> Result<String> {
    structs(interface, "The infos and stats of sockeye.h", true)
}

fn structs(interface: &Interface, which: &str, facts: bool) -> Result<String> {
    let text = format!(
        "// {MARK}\n// {which}, each under its own name: sockeye_conn_info is SockeyeConnInfo,\n\
         // data_len is DataLen. What each one means is said there at length. All are blittable:\n\
         // numbers and pointers at fixed places, the same on every platform, and nothing that\n\
         // would have to be marshalled.\n\n{USING}"
    );
    let is_fact = |name: &str| name.ends_with("_info") || name.ends_with("_stats");
    let wanted = interface.structs().filter(|(item, _)| is_fact(&item.name) == facts);
    let all = wanted.map(|(item, fields)| {
        structure(interface, item, fields).with_context(|| item.name.clone())
    });
    Ok(text + &all.collect::<Result<Vec<_>>>()?.join("\n") + "}\n")
}

fn enumeration(interface: &Interface, item: &Item, values: &[Value]) -> String {
    let mut text = summary(&item.words, 4);
    let base = if is_signed(interface, item, values) { "int" } else { "uint" };
    let _ = writeln!(text, "    public enum {} : {base}\n    {{", names::of_type(&item.name));
    let shared = names::shared(values.iter().map(|value| &*value.name));
    for value in values {
        text += &summary(&value.words, 8);
        let name = names::pascal(&value.name[shared..]);
        let _ = writeln!(text, "        {name} = {},", value.value);
    }
    text + "    }\n"
}

/// As what holds one of these: a number below zero, or a field of that kind.
fn is_signed(interface: &Interface, item: &Item, values: &[Value]) -> bool {
    let mut fields = interface.structs().flat_map(|(_, fields)| fields);
    let held = |field: &Field| {
        let of = interface.numbered(field);
        field.of == Type::Number(Number::I32) && of.is_some_and(|it| it.name == item.name)
    };
    values.iter().any(|value| value.value < 0) || fields.any(held)
}

fn structure(interface: &Interface, item: &Item, fields: &[Field]) -> Result<String> {
    let layout = interface.layout(fields)?;
    let mut text = summary(&item.words, 4);
    let _ = writeln!(text, "    [StructLayout(LayoutKind.Explicit, Size = {})]", layout.size);
    let name = names::of_type(&item.name);
    let _ = writeln!(text, "    public unsafe partial struct {name}\n    {{");
    for (field, (offset, _)) in fields.iter().zip(layout.fields) {
        text += &summary(&field.words, 8);
        let declared = declared(interface, field).with_context(|| field.name.clone())?;
        let _ = writeln!(text, "        [FieldOffset({offset})] public {declared};");
    }
    Ok(text + "    }\n")
}

fn declared(interface: &Interface, field: &Field) -> Result<String> {
    let name = names::pascal(&field.name);
    if let Some(numbers) = interface.numbered(field) {
        return Ok(format!("{} {name}", names::of_type(&numbers.name)));
    }
    let Type::Array(of, count) = &field.of else {
        return Ok(format!("{} {name}", word(interface, &field.of)?));
    };
    match **of {
        Type::Number(number) => Ok(format!("fixed {} {name}[{count}]", number_word(number))),
        _ => bail!("C# has arrays of numbers only inside of a struct"),
    }
}

/// `Functions.cs`: constants, the types of functions that the host gives, and all functions.
pub fn functions(interface: &Interface) -> Result<String> {
    let mut text = format!(
        "// {MARK}\n// Every function and constant of sockeye.h under its own name, which is where \
         what it promises is\n// said at length.\n\n{USING}"
    );
    for item in interface.items() {
        let Kind::Callback(signature) = &item.kind else { continue };
        let words = format!("{}: {} It must not throw.", item.name, item.words);
        text += &summary(&words, 4);
        text += "    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]\n";
        let arguments = arguments(interface, signature, |_| None);
        let arguments = arguments.with_context(|| item.name.clone())?;
        let head = format!(
            "public unsafe delegate {} {}",
            answer(interface, signature)?,
            names::of_type(&item.name)
        );
        text += &call(&head, &arguments, 4);
        text.push('\n');
    }
    text += "    public static unsafe partial class Native\n    {\n";
    for (part, value) in ["Major", "Minor", "Patch"].into_iter().zip(interface.version) {
        let _ = writeln!(text, "        public const uint Version{part} = {value};");
    }
    for item in interface.items() {
        let Kind::Constant { of, value } = item.kind else { continue };
        let name = names::pascal(item.name.trim_start_matches("SOCKEYE_"));
        text += &summary(&item.words, 8);
        let value = if value > 0xFFFF { format!("0x{value:X}") } else { value.to_string() };
        let _ = writeln!(text, "        public const {} {name} = {value};", number_word(of));
    }
    for (item, signature) in interface.functions() {
        text.push('\n');
        text += &function(interface, item, signature).with_context(|| item.name.clone())?;
    }
    Ok(text + "    }\n}\n")
}

fn function(interface: &Interface, item: &Item, signature: &Signature) -> Result<String> {
    let mut text = summary(&item.words, 8);
    text += "        [DllImport(Library, CallingConvention = Call)]\n";
    let ends = ENDS.contains(&&*item.name);
    let net = |of: &Type| match of {
        Type::Pointer { to, .. } if !ends && **to == Type::Named(NET.into()) => {
            Some("SockeyeNetHandle".to_owned())
        }
        _ => None,
    };
    let arguments = arguments(interface, signature, net)?;
    let head = format!("public static extern {} {}", answer(interface, signature)?, item.name);
    Ok(text + &call(&head, &arguments, 8))
}

fn answer(interface: &Interface, signature: &Signature) -> Result<String> {
    signature.answer.as_ref().map_or(Ok("void".into()), |of| word(interface, of))
}

/// Type and name of each; `own` has words of its own for some types.
fn arguments(
    interface: &Interface,
    signature: &Signature,
    own: impl Fn(&Type) -> Option<String>,
) -> Result<Vec<String>> {
    let each = signature.arguments.iter().map(|(name, of)| {
        let word = own(of).map_or_else(|| word(interface, of), Ok);
        Ok(format!("{} {}", word.with_context(|| name.clone())?, names::argument(name)))
    });
    each.collect()
}

/// On one line where it fits.
fn call(head: &str, arguments: &[String], indent: usize) -> String {
    let margin = " ".repeat(indent);
    let line = format!("{margin}{head}({});\n", arguments.join(", "));
    if line.len() <= super::text::COLUMNS + 1 {
        return line;
    }
    let words: Vec<String> = arguments.iter().map(|each| format!("{each},")).collect();
    let inner = " ".repeat(indent + 4);
    let text = filled(&words, &inner);
    format!("{margin}{head}(\n{});\n", text.trim_end().trim_end_matches(','))
}

/// What C# calls a type.
fn word(interface: &Interface, of: &Type) -> Result<String> {
    Ok(match of {
        Type::Number(number) => number_word(*number).to_owned(),
        Type::Void => bail!("nothing has no value"),
        Type::Array(..) => bail!("an array is no value"),
        Type::Named(name) => match interface.find(name).map(|item| &item.kind) {
            Some(Kind::Alias(number)) => number_word(*number).to_owned(),
            Some(Kind::Struct(_)) => names::of_type(name),
            Some(Kind::Callback(_)) => "IntPtr".to_owned(),
            _ => bail!("no value is of the type {name}"),
        },
        Type::Pointer { to, mutable } => match &**to {
            // Bytes that are read; what is only carried is an address.
            Type::Void => if *mutable { "IntPtr" } else { "byte*" }.to_owned(),
            Type::Named(name)
                if matches!(interface.find(name).map(|it| &it.kind), Some(Kind::Opaque)) =>
            {
                "IntPtr".to_owned()
            }
            other => word(interface, other)? + "*",
        },
    })
}

fn number_word(number: Number) -> &'static str {
    match number {
        Number::U8 | Number::Char => "byte",
        Number::I8 => "sbyte",
        Number::U16 => "ushort",
        Number::I16 => "short",
        Number::U32 => "uint",
        Number::I32 => "int",
        Number::U64 => "ulong",
        Number::I64 => "long",
        Number::F32 => "float",
        Number::F64 => "double",
        Number::Size => "UIntPtr",
        Number::Pointed => "IntPtr",
    }
}

/// A struct that the library fills, with STRUCT and FILL for the names.
const DEFAULT: &str = "    public unsafe partial struct STRUCT
    {
        /// <summary>What the library does unless it is told otherwise.</summary>
        public static STRUCT Default
        {
            get
            {
                STRUCT made;
                Native.FILL(&made, (UIntPtr)sizeof(STRUCT));
                return made;
            }
        }
    }

";
const CHECKS: &str = "    public static unsafe partial class SockeyeLayout
    {
        /// <summary>Each has the least size that the library takes.</summary>
        private static void CheckInputs()
        {
            UIntPtr size, less;
";
/// MADE is a variable.
const CHECK: &str = "
            STRUCT MADE;
            size = (UIntPtr)sizeof(STRUCT);
            less = (UIntPtr)(sizeof(STRUCT) - 1);
            Demand(Native.FILL(&MADE, size) >= 0
                && Native.FILL(&MADE, less) < 0
                && MADE.StructSize == sizeof(STRUCT), \"STRUCT\");
";

/// `Defaults.cs`: what the library fills, and the check that it takes the structs as they are here.
pub fn defaults(interface: &Interface) -> String {
    let head = "// The structs that the library fills.\n\nusing System;\n\nnamespace Sockeye\n{\n";
    let mut text = format!("// {MARK}\n{head}");
    let mut checks = CHECKS.to_owned();
    for (item, function) in interface.filled() {
        let made = names::argument(item.name.trim_start_matches("sockeye_"));
        let (name, fill) = (names::of_type(&item.name), &function.name);
        let named =
            |part: &str| part.replace("STRUCT", &name).replace("FILL", fill).replace("MADE", &made);
        text += &named(DEFAULT);
        checks += &named(CHECK);
    }
    text + &checks + "        }\n    }\n}\n"
}

#[cfg(test)]
mod tests {
    use super::super::read::of_text;
    use super::*;

    const TYPES: &str = "pub struct sockeye_net { a: u8 }\npub type sockeye_status = i32;\n\
        pub type sockeye_see_fn = Option<unsafe extern \"C\" fn(user: *mut c_void)>;\n\
        #[repr(C)] pub enum sockeye_k { SOCKEYE_K_ONE = 1, SOCKEYE_K_TWO = 2 }\n\
        #[repr(C)] pub struct sockeye_s {\n  pub struct_size: u32,\n  /// A `sockeye_k`.\n  \
        pub kind: i32,\n  pub text: [c_char; 8],\n}\n";

    #[test]
    fn a_function_has_the_types_of_csharp() {
        for (arguments, written) in [
            ("net: *mut sockeye_net, data: *const c_void", "SockeyeNetHandle net, byte* data"),
            ("out_net: *mut *mut sockeye_net, user: *mut c_void", "IntPtr* outNet, IntPtr user"),
            ("see: sockeye_see_fn, n: usize", "IntPtr see, UIntPtr n"),
            ("event: *const sockeye_s, s: sockeye_s", "SockeyeS* @event, SockeyeS s"),
            ("out: *mut sockeye_status, at: isize", "int* @out, IntPtr at"),
        ] {
            let text = format!(
                "{TYPES}pub extern \"C\" fn sockeye_f({arguments}) -> sockeye_status {{ 0 }}"
            );
            let text = functions(&of_text(&text)).unwrap();
            let line = format!("public static extern int sockeye_f({written});");
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_field_is_of_the_enum_that_its_comment_names() {
        let interface = of_text(TYPES);
        let enums = numbers(&interface);
        assert!(enums.contains("public enum SockeyeK : int\n"), "as the field: {enums}");
        let text = types(&interface).unwrap();
        assert!(text.contains("[FieldOffset(4)] public SockeyeK Kind;"));
        assert!(text.contains("[FieldOffset(8)] public fixed byte Text[8];"));
        assert!(text.contains("LayoutKind.Explicit, Size = 16)"));
    }

    #[test]
    fn long_lists_of_arguments_are_broken() {
        let arguments: Vec<String> = (0..12).map(|n| format!("uint argument{n}")).collect();
        let text = call("public static extern int f", &arguments, 8);
        assert!(text.lines().all(|line| line.len() <= 100) && text.ends_with("argument11);\n"));
        assert_eq!(text.matches("argument").count(), 12);
    }

    #[test]
    fn what_is_filled_has_a_default_and_a_check() {
        let fill =
            "pub extern \"C\" fn sockeye_s_init(s: *mut sockeye_s, size: usize) -> i32 { 0 }";
        let text = defaults(&of_text(&format!("{TYPES}{fill}")));
        assert!(text.contains("public static SockeyeS Default"));
        assert!(text.contains("Native.sockeye_s_init(&s, less) < 0"));
        assert!(!defaults(&of_text(TYPES)).contains("SockeyeS"));
    }
}
