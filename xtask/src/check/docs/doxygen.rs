//! The headers as Doxygen reads them: without a warning, every function there with its blocks.

use crate::check::symbols;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// The paragraphs that each function has, as titles; one that the host gives has the first two.
const ALWAYS: [&str; 3] = ["Threads", "Since", "Returns"];

/// Writes the pages to `folder`; how many functions are on them.
pub fn build(workspace: &Workspace, folder: &Path) -> Result<usize> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot clear the pages of Doxygen")?;
    }
    fs::create_dir_all(folder).context("cannot make a folder for Doxygen")?;
    let scratch = workspace.scratch("docs")?;
    let given = scratch.join("Doxyfile");
    let text = format!(
        "@INCLUDE = docs/Doxyfile\nOUTPUT_DIRECTORY = \"{}\"\nHTML_OUTPUT = .\n\
         GENERATE_XML = YES\nXML_OUTPUT = \"{}\"\n",
        folder.display(),
        scratch.join("xml").display()
    );
    fs::write(&given, text).context("cannot write a Doxyfile")?;
    let mut doxygen = Command::new("doxygen");
    doxygen.arg(&given).current_dir(&workspace.root);
    let log = workspace.scratch("logs")?.join("doxygen.log");
    shell::demand(&mut doxygen, &log, LIMIT)?;
    let header = fs::read_to_string(workspace.root.join("include/sockeye.h"));
    let declared = symbols::callable(&header.context("cannot read the header")?);
    complete(&declared, &read(&scratch.join("xml"))?)
}

/// The titles of each function's paragraphs.
type Titles = BTreeMap<String, BTreeSet<String>>;

fn read(folder: &Path) -> Result<Titles> {
    let mut titles = Titles::new();
    for entry in fs::read_dir(folder).context("Doxygen wrote nothing")? {
        let path = entry.context("cannot read what Doxygen wrote")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("group__") && name.ends_with(".xml") {
            let text = fs::read_to_string(&path).with_context(|| name.clone())?;
            collect(&text, &mut titles).context(name)?;
        }
    }
    Ok(titles)
}

fn collect(text: &str, titles: &mut Titles) -> Result<()> {
    let document = Document::parse(text).context("not XML")?;
    let callable = |node: &Node| {
        let kind = node.attribute("kind").unwrap_or_default();
        node.has_tag_name("memberdef") && ["function", "typedef"].contains(&kind)
    };
    for member in document.descendants().filter(callable) {
        let name = member.children().find(|node| node.has_tag_name("name"));
        let name = name.and_then(|node| node.text()).context("a member without a name")?;
        let sections = member.descendants().filter(|node| {
            node.has_tag_name("simplesect") && node.attribute("kind") == Some("par")
        });
        let heads = sections.filter_map(|node| node.first_element_child()?.text());
        titles.entry(name.to_owned()).or_default().extend(heads.map(str::to_owned));
    }
    Ok(())
}

fn complete(declared: &BTreeSet<String>, titles: &Titles) -> Result<usize> {
    for name in declared {
        let Some(has) = titles.get(name) else { bail!("Doxygen has no page with {name}") };
        let needed = if name.ends_with("_fn") { &ALWAYS[..2] } else { &ALWAYS[..] };
        if let Some(block) = needed.iter().find(|block| !has.contains(**block)) {
            bail!("Doxygen shows {name} without its paragraph {block}");
        }
    }
    Ok(declared.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_without_its_paragraphs_is_told() {
        let section = |title: &str| {
            format!("<simplesect kind=\"par\"><title>{title}</title><para>x</para></simplesect>")
        };
        let all = ALWAYS.map(section).concat();
        let text = format!(
            "<a><memberdef kind=\"function\"><name>f</name><para>{all}</para></memberdef>\
             <memberdef kind=\"function\"><name>g</name></memberdef></a>"
        );
        let mut titles = Titles::new();
        collect(&text, &mut titles).unwrap();
        assert_eq!(complete(&["f".to_owned()].into(), &titles).unwrap(), 1);
        assert!(complete(&["g".to_owned()].into(), &titles).is_err());
        assert!(complete(&["h".to_owned()].into(), &titles).is_err());
    }
}
