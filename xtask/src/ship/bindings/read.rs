//! `src/capi` as it was written: what cbindgen makes the header of, with the types that C does not
//! keep, the comments, and the file that each name stands in.

use super::model::{Field, Interface, Item, Kind, Number, Room, Signature, Type, Value};
use crate::check::c_text;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use syn::{Attribute, Expr, Visibility};

/// One file: its name without the ending, and what stands in it.
pub struct File {
    pub name: String,
    pub text: String,
}

/// The interface of these files, each at the place where the header has the first of its names.
pub fn interface(files: &[File], header: &str, version: [u32; 3]) -> Result<Interface> {
    let mut rooms = Vec::new();
    for file in files {
        let parsed = syn::parse_file(&file.text).with_context(|| path(&file.name))?;
        let lengths = lengths(&parsed)?;
        let items: Result<Vec<Option<Item>>> =
            parsed.items.iter().map(|item| self::item(item, &lengths)).collect();
        let items: Vec<Item> =
            items.with_context(|| path(&file.name))?.into_iter().flatten().collect();
        if items.is_empty() {
            continue;
        }
        let head = comment(&parsed.attrs).join(" ");
        let (title, words) = head.split_once(": ").with_context(|| {
            format!("{}: its first comment has to be `//! Title: what is in it.`", path(&file.name))
        })?;
        let (title, words) = (title.to_owned(), words.to_owned());
        rooms.push(Room { name: file.name.clone(), title, words, items });
    }
    ensure!(!rooms.is_empty(), "src/capi has nothing that C sees");
    let code = c_text::code(header);
    rooms.sort_by_cached_key(|room| first(room, &code));
    Ok(Interface { rooms, version })
}

fn path(name: &str) -> String {
    format!("src/capi/{name}.rs")
}

/// Where the header has a room's first function, or else its first name.
fn first(room: &Room, header: &str) -> (bool, usize) {
    let at = |end: &str| {
        let names = room.items.iter().map(|item| format!("{}{end}", item.name));
        names.filter_map(|name| header.find(&name)).min()
    };
    (at("(").is_none(), at("(").or_else(|| at("")).unwrap_or(usize::MAX))
}

/// The numbers that this file gives names to.
fn lengths(file: &syn::File) -> Result<BTreeMap<String, i128>> {
    let mut lengths = BTreeMap::new();
    for item in &file.items {
        if let syn::Item::Const(item) = item
            && let Ok(value) = number(&item.expr)
        {
            lengths.insert(item.ident.to_string(), value);
        }
    }
    Ok(lengths)
}

/// What C sees of an item, if it does.
fn item(item: &syn::Item, lengths: &BTreeMap<String, i128>) -> Result<Option<Item>> {
    let (public, ident, attributes) = match item {
        syn::Item::Const(item) => (&item.vis, &item.ident, &item.attrs),
        syn::Item::Enum(item) => (&item.vis, &item.ident, &item.attrs),
        syn::Item::Struct(item) => (&item.vis, &item.ident, &item.attrs),
        syn::Item::Type(item) => (&item.vis, &item.ident, &item.attrs),
        syn::Item::Fn(item) => (&item.vis, &item.sig.ident, &item.attrs),
        _ => return Ok(None),
    };
    let name = ident.to_string();
    let ours = name.starts_with("sockeye_") || name.starts_with("SOCKEYE_");
    if !ours || !matches!(public, Visibility::Public(_)) {
        return Ok(None);
    }
    let kind = match item {
        syn::Item::Const(item) => constant(item),
        syn::Item::Enum(item) => values(item).map(Kind::Enum),
        syn::Item::Struct(item) if attributes.iter().any(|it| it.path().is_ident("repr")) => {
            fields(item, lengths).map(Kind::Struct)
        }
        syn::Item::Struct(_) => Ok(Kind::Opaque),
        syn::Item::Type(item) => alias(item),
        syn::Item::Fn(item) => signature(&item.sig).map(Kind::Function),
        _ => return Ok(None),
    };
    let kind = kind.with_context(|| name.clone())?;
    Ok(Some(Item { name, words: sentence(attributes), kind }))
}

fn constant(item: &syn::ItemConst) -> Result<Kind> {
    let Type::Number(of) = self::of(&item.ty, &BTreeMap::new())? else {
        bail!("a constant that is no number");
    };
    Ok(Kind::Constant { of, value: number(&item.expr)? })
}

fn values(item: &syn::ItemEnum) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for variant in &item.variants {
        let name = variant.ident.to_string();
        let (_, value) = variant.discriminant.as_ref().with_context(|| format!("{name} = ?"))?;
        let value = number(value).with_context(|| name.clone())?;
        values.push(Value { name, words: sentence(&variant.attrs), value });
    }
    ensure!(!values.is_empty(), "an enum without values");
    Ok(values)
}

fn fields(item: &syn::ItemStruct, lengths: &BTreeMap<String, i128>) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for field in &item.fields {
        let name = field.ident.as_ref().context("a field without a name")?.to_string();
        let of = of(&field.ty, lengths).with_context(|| name.clone())?;
        fields.push(Field { name, words: sentence(&field.attrs), of });
    }
    ensure!(!fields.is_empty(), "a struct without fields");
    Ok(fields)
}

/// Another name of a number, or the type of a function.
fn alias(item: &syn::ItemType) -> Result<Kind> {
    let inner = match &*item.ty {
        syn::Type::Path(path) => path.path.segments.last().context("no type")?,
        _ => bail!("neither a number nor an Option of a function"),
    };
    if inner.ident == "Option"
        && let syn::PathArguments::AngleBracketed(arguments) = &inner.arguments
        && let Some(syn::GenericArgument::Type(syn::Type::BareFn(function))) =
            arguments.args.first()
    {
        let named = function.inputs.iter().map(|input| {
            let (name, _) = input.name.as_ref().context("an argument without a name")?;
            Ok((name.to_string(), of(&input.ty, &BTreeMap::new())?))
        });
        let answer = answer(&function.output)?;
        return Ok(Kind::Callback(Signature { arguments: named.collect::<Result<_>>()?, answer }));
    }
    match of(&item.ty, &BTreeMap::new())? {
        Type::Number(number) => Ok(Kind::Alias(number)),
        _ => bail!("neither a number nor an Option of a function"),
    }
}

fn signature(sig: &syn::Signature) -> Result<Signature> {
    let named = sig.inputs.iter().map(|input| match input {
        syn::FnArg::Typed(input) => {
            let syn::Pat::Ident(name) = &*input.pat else { bail!("an argument without a name") };
            Ok((name.ident.to_string(), of(&input.ty, &BTreeMap::new())?))
        }
        syn::FnArg::Receiver(_) => bail!("a method"),
    });
    Ok(Signature { arguments: named.collect::<Result<_>>()?, answer: answer(&sig.output)? })
}

fn answer(output: &syn::ReturnType) -> Result<Option<Type>> {
    match output {
        syn::ReturnType::Default => Ok(None),
        syn::ReturnType::Type(_, answer) => of(answer, &BTreeMap::new()).map(Some),
    }
}

fn of(ty: &syn::Type, lengths: &BTreeMap<String, i128>) -> Result<Type> {
    match ty {
        syn::Type::Ptr(pointer) => {
            let to = Box::new(of(&pointer.elem, lengths)?);
            Ok(Type::Pointer { to, mutable: pointer.mutability.is_some() })
        }
        syn::Type::Array(array) => {
            let count = match &array.len {
                Expr::Path(path) => {
                    let name = path.path.get_ident().context("a length from elsewhere")?;
                    *lengths.get(&name.to_string()).context("a length from another file")?
                }
                other => number(other)?,
            };
            Ok(Type::Array(Box::new(of(&array.elem, lengths)?), usize::try_from(count)?))
        }
        syn::Type::Path(path) => {
            let name = path.path.segments.last().context("no type")?.ident.to_string();
            Ok(match number_named(&name) {
                Some(number) => Type::Number(number),
                None if name == "c_void" => Type::Void,
                None if name.starts_with("sockeye_") => Type::Named(name),
                None => bail!("C has no type {name}"),
            })
        }
        _ => bail!("a type that C has not"),
    }
}

fn number_named(name: &str) -> Option<Number> {
    Some(match name {
        "u8" => Number::U8,
        "i8" => Number::I8,
        "u16" => Number::U16,
        "i16" => Number::I16,
        "u32" => Number::U32,
        "i32" | "c_int" => Number::I32,
        "u64" => Number::U64,
        "i64" => Number::I64,
        "f32" => Number::F32,
        "f64" => Number::F64,
        "usize" => Number::Size,
        "isize" => Number::Pointed,
        "c_char" => Number::Char,
        _ => return None,
    })
}

/// A number that is written as one; cbindgen takes no other either.
fn number(expr: &Expr) -> Result<i128> {
    match expr {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(value), .. }) => Ok(value.base10_parse()?),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => Ok(-number(expr)?),
        _ => bail!("its value has to be written as a number"),
    }
}

/// The lines of a comment.
fn comment(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The first sentence of a comment: to a dot at the end, or with a space and no small letter
/// behind it.
fn sentence(attributes: &[Attribute]) -> String {
    let lines = comment(attributes);
    let paragraph: Vec<String> = lines.into_iter().take_while(|line| !line.is_empty()).collect();
    let text = paragraph.join(" ");
    let ends = text.match_indices(". ").find(|(at, _)| {
        let next = text[at + 2..].chars().next();
        next.is_some_and(|letter| !letter.is_lowercase())
    });
    ends.map_or(text.clone(), |(at, _)| text[..=at].to_owned())
}

/// What the unit tests write from: one file.
#[cfg(test)]
pub fn of_text(text: &str) -> Interface {
    let file = File { name: "a".into(), text: format!("//! A: a.\n{text}") };
    interface(&[file], "", [0, 1, 2]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::super::model::Kind;
    use super::*;

    fn read(text: &str) -> Result<Interface> {
        let file = |name: &str, text: &str| File { name: name.into(), text: text.into() };
        let files = [file("late", text), file("early", "//! E: f.\npub const SOCKEYE_E: u32 = 1;")];
        interface(&files, "SOCKEYE_E 1 sockeye_late(", [0, 1, 2])
    }

    const LATE: &str = "//! Late: things\n//! that come.\n\n\
        const N: usize = 3;\nfn hidden() {}\npub const OTHER: u32 = 1;\n\
        /// One. Two.\n#[repr(C)]\npub struct sockeye_s {\n  /// A `sockeye_k`, else 0.\n  \
        pub a: u32,\n  pub b: [u16; N],\n  pub c: *const sockeye_s,\n}\n\
        #[repr(C)]\npub enum sockeye_k { SOCKEYE_K_A = -1, SOCKEYE_K_B = 0x10 }\n\
        pub type sockeye_fn = Option<unsafe extern \"C\" fn(user: *mut c_void) -> i32>;\n\
        pub unsafe extern \"C\" fn sockeye_late(s: *mut sockeye_s, n: usize) -> i32 { 0 }\n";

    #[test]
    fn what_c_sees_is_read() {
        let interface = read(LATE).unwrap();
        let names: Vec<_> = interface.items().map(|item| &*item.name).collect();
        assert_eq!(
            names,
            ["sockeye_s", "sockeye_k", "sockeye_fn", "sockeye_late", "SOCKEYE_E"],
            "a file without a function comes last"
        );
        assert_eq!(interface.rooms[0].title, "Late");
        assert_eq!(interface.rooms[0].words, "things that come.");
        let (item, fields) = interface.structs().next().unwrap();
        assert_eq!(item.words, "One.");
        let layout = interface.layout(fields).unwrap();
        assert_eq!((layout.size, &*layout.fields), (24, &[(0, 4), (4, 6), (16, 8)][..]));
        assert_eq!(interface.numbered(&fields[0]).unwrap().name, "sockeye_k");
        let Kind::Enum(values) = &interface.find("sockeye_k").unwrap().kind else { panic!() };
        assert_eq!(values.iter().map(|value| value.value).collect::<Vec<_>>(), [-1, 16]);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for (was, is) in [
            ("= -1", "= 1 << 4"),
            ("[u16; N]", "[u16; M]"),
            ("b: [u16; N]", "b: bool"),
            ("//! Late: things", "//! Things"),
            ("n: usize", "n: &u32"),
        ] {
            assert!(read(&LATE.replace(was, is)).is_err(), "{is}");
        }
    }

    #[test]
    fn a_sentence_ends_where_another_begins() {
        let item: syn::ItemConst =
            syn::parse_str("/// As e.g. that,\n/// so. `x` is.\nconst A: u32 = 1;").unwrap();
        assert_eq!(sentence(&item.attrs), "As e.g. that, so.");
    }
}
