//! The interface as a list of items, room by room, and where a C compiler puts each field.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// All of it, in the order of the header.
pub struct Interface {
    pub rooms: Vec<Room>,
    /// Of the package, which the header has as numbers: major, minor, patch.
    pub version: [u32; 3],
}

/// One file of `src/capi`: a noun of the interface.
pub struct Room {
    /// The file's name.
    pub name: String,
    /// What its first comment says in front of the colon, and behind it.
    pub title: String,
    pub words: String,
    pub items: Vec<Item>,
}

pub struct Item {
    pub name: String,
    /// The first sentence of its comment.
    pub words: String,
    pub kind: Kind,
}

pub enum Kind {
    Constant {
        of: Number,
        value: i128,
    },
    Enum(Vec<Value>),
    Struct(Vec<Field>),
    /// A struct that hosts have pointers to, and nothing else.
    Opaque,
    /// Another name of a number.
    Alias(Number),
    /// The type of a function that the host gives.
    Callback(Signature),
    Function(Signature),
}

pub struct Value {
    pub name: String,
    pub words: String,
    pub value: i128,
}

pub struct Field {
    pub name: String,
    pub words: String,
    pub of: Type,
}

pub struct Signature {
    pub arguments: Vec<(String, Type)>,
    /// None: nothing is answered.
    pub answer: Option<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Number(Number),
    /// By its name in C: a struct, or another name of a number.
    Named(String),
    Pointer {
        to: Box<Type>,
        mutable: bool,
    },
    Void,
    Array(Box<Type>, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// `size_t`.
    Size,
    /// `intptr_t`, `ptrdiff_t`.
    Pointed,
    Char,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Char => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Size | Self::Pointed => POINTER,
        }
    }
}

/// The header refuses every other size.
const POINTER: usize = 8;

/// Where a C compiler puts the fields of a struct.
pub struct Layout {
    pub size: usize,
    align: usize,
    /// Offset and size of each field.
    pub fields: Vec<(usize, usize)>,
}

impl Room {
    pub fn has(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.name == name)
    }
}

impl Interface {
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.rooms.iter().flat_map(|room| &room.items)
    }

    pub fn find(&self, name: &str) -> Option<&Item> {
        self.items().find(|item| item.name == name)
    }

    pub fn structs(&self) -> impl Iterator<Item = (&Item, &[Field])> {
        self.items().filter_map(|item| match &item.kind {
            Kind::Struct(fields) => Some((item, &**fields)),
            _ => None,
        })
    }

    pub fn enums(&self) -> impl Iterator<Item = (&Item, &[Value])> {
        self.items().filter_map(|item| match &item.kind {
            Kind::Enum(values) => Some((item, &**values)),
            _ => None,
        })
    }

    pub fn functions(&self) -> impl Iterator<Item = (&Item, &Signature)> {
        self.items().filter_map(|item| match &item.kind {
            Kind::Function(signature) => Some((item, signature)),
            _ => None,
        })
    }

    /// The structs that a function of their own fills with the defaults: `sockeye_config_init`.
    pub fn filled(&self) -> impl Iterator<Item = (&Item, &Item)> {
        let sized = |field: &Field| field.name == "struct_size";
        self.structs().filter(move |(_, fields)| sized(&fields[0])).filter_map(|(item, _)| {
            let function = self.find(&format!("{}_init", item.name))?;
            matches!(function.kind, Kind::Function(_)).then_some((item, function))
        })
    }

    /// The enum that a field is a number of: its comment begins with "A `sockeye_model`".
    pub fn numbered(&self, field: &Field) -> Option<&Item> {
        if !matches!(field.of, Type::Number(Number::U32 | Number::I32)) {
            return None;
        }
        let (article, rest) = field.words.split_once(" `")?;
        let item = self.find(rest.split('`').next()?)?;
        let begins = ["A", "An", "The"].contains(&article);
        (begins && matches!(item.kind, Kind::Enum(_))).then_some(item)
    }

    pub fn layout(&self, fields: &[Field]) -> Result<Layout> {
        let mut layout = Layout { size: 0, align: 1, fields: Vec::new() };
        for field in fields {
            let (size, align) = self.extent(&field.of).with_context(|| field.name.clone())?;
            let offset = layout.size.next_multiple_of(align);
            layout.fields.push((offset, size));
            layout.size = offset + size;
            layout.align = layout.align.max(align);
        }
        layout.size = layout.size.next_multiple_of(layout.align);
        Ok(layout)
    }

    /// Size and alignment.
    fn extent(&self, of: &Type) -> Result<(usize, usize)> {
        Ok(match of {
            Type::Number(number) => (number.bytes(), number.bytes()),
            Type::Pointer { .. } => (POINTER, POINTER),
            Type::Array(element, count) => {
                let (size, align) = self.extent(element)?;
                (size * count, align)
            }
            Type::Named(name) => match &self.find(name).context("of an unknown type")?.kind {
                Kind::Struct(fields) => {
                    let layout = self.layout(fields)?;
                    (layout.size, layout.align)
                }
                Kind::Alias(number) => (number.bytes(), number.bytes()),
                Kind::Callback(_) => (POINTER, POINTER),
                _ => bail!("{name} has no fixed width: a number has, checked by the library"),
            },
            Type::Void => bail!("of nothing"),
        })
    }

    /// Which room each name stands in, also those that the header itself adds.
    pub fn places(&self, added: impl Iterator<Item = String>) -> Result<BTreeMap<String, &str>> {
        let mut places = BTreeMap::new();
        for room in &self.rooms {
            for item in &room.items {
                places.insert(item.name.clone(), &*room.name);
            }
        }
        for name in added.filter(|name| self.find(name).is_none()) {
            let noun = name.split('_').nth(1).unwrap_or_default();
            let room = self.rooms.iter().find(|room| room.name == noun);
            let room = room.with_context(|| format!("{name} stands in no file of src/capi"))?;
            places.insert(name, &*room.name);
        }
        Ok(places)
    }
}
