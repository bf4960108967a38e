//! The Unreal plugin: the causes, which Blueprints switch on.

use super::MARK;
use super::model::{Interface, Kind, Value};
use super::names;
use super::text::{COLUMNS, filled};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;

const CAUSE: &str = "sockeye_cause";
/// What stands for a cause of a later library.
const OTHER: i128 = 200;

fn causes(interface: &Interface) -> Result<(&[Value], usize)> {
    let item = interface.find(CAUSE).with_context(|| format!("no {CAUSE}"))?;
    let Kind::Enum(values) = &item.kind else { anyhow::bail!("{CAUSE} is no enum") };
    let fit = values.iter().all(|value| (0..OTHER).contains(&value.value));
    ensure!(fit, "{CAUSE}: an enum of Blueprints has a byte, and {OTHER} stands for others");
    Ok((values, names::shared(values.iter().map(|value| &*value.name))))
}

/// `SockeyeCause.h`.
pub fn header(interface: &Interface) -> Result<String> {
    let (values, shared) = causes(interface)?;
    let mut text = format!(
        "// {MARK}\n#pragma once\n\n#include \"CoreMinimal.h\"\n\
         #include \"SockeyeCause.generated.h\"\n\n\
         /** Why a connection or a listener closed: the numbers of {CAUSE}. */\n\
         UENUM(BlueprintType)\nenum class ESockeyeCause : uint8\n{{\n"
    );
    for value in values {
        text += &tip(&value.words);
        let name = names::pascal(&value.name[shared..]);
        let _ = writeln!(text, "\t{name} = {},", value.value);
    }
    let _ = write!(text, "\t/** One of a later library. */\n\tOther = {OTHER},\n}};\n");
    Ok(text)
}

/// A comment that the editor shows.
fn tip(words: &str) -> String {
    let words = words.replace('`', "");
    let line = format!("\t/** {words} */\n");
    // A tab is four columns wide.
    if line.chars().count() + 2 <= COLUMNS {
        return line;
    }
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    format!("\t/**\n{}\t */\n", filled(&words, "\t * "))
}

/// `SockeyeCauseOf.h`.
pub fn conversion(interface: &Interface) -> Result<String> {
    let (values, shared) = causes(interface)?;
    let mut text = format!(
        "// {MARK}\n#pragma once\n\n// The library's cause as the engine's, one by one.\n\n\
         #include \"SockeyeCause.h\"\n\n#include \"sockeye.h\"\n\n\
         // The numbers of both, which the header of the one cannot take from the other.\n\
         #define SOCKEYE_SAME(Ours, Theirs) \\\n\
         \tstatic_assert(static_cast<int>(ESockeyeCause::Ours) == Theirs, #Theirs)\n"
    );
    let names: Vec<String> =
        values.iter().map(|value| names::pascal(&value.name[shared..])).collect();
    for (value, name) in values.iter().zip(&names) {
        let _ = writeln!(text, "SOCKEYE_SAME({name}, {});", value.name);
    }
    text += "#undef SOCKEYE_SAME\n\n\
             inline ESockeyeCause SockeyeCauseOf(const sockeye_event& Event)\n{\n\
             \tswitch (Event.cause)\n\t{\n";
    for (value, name) in values.iter().zip(&names) {
        let _ = writeln!(text, "\tcase {}: return ESockeyeCause::{name};", value.name);
    }
    Ok(text + "\tdefault: return ESockeyeCause::Other;\n\t}\n}\n")
}
