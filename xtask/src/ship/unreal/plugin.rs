//! What the plugin says of itself, and whether it is so: its descriptor, its modules, and what the
//! engine's header tool asks of headers.

use crate::check::c_text;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

pub const FOLDER: &str = "engines/unreal/Sockeye";
pub const LIBRARY: &str = "SockeyeLibrary";
/// What Blueprints have no type for.
const UNREFLECTED: [&str; 10] = [
    "uint16", "uint32", "uint64", "int8", "int16", "size_t", "uint8_t", "uint32_t", "uint64_t",
    "std",
];

/// `Sockeye.uplugin`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Descriptor {
    file_version: u32,
    version_name: String,
    supported_target_platforms: Vec<String>,
    modules: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Described {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    loading_phase: String,
    platform_allow_list: Vec<String>,
}

pub struct Plugin {
    pub root: PathBuf,
    pub modules: Vec<Module>,
    /// Where an empty file stands for each header that the header tool would write.
    pub generated: PathBuf,
}

pub struct Module {
    pub name: String,
    pub folder: PathBuf,
}

impl Module {
    pub fn sources(&self) -> Result<Vec<PathBuf>> {
        let mut sources = files(&self.folder.join("Private"), ".cpp")?;
        sources.sort();
        Ok(sources)
    }
}

impl Plugin {
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let root = workspace.root.join(FOLDER);
        let path = root.join("Sockeye.uplugin");
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        let descriptor: Descriptor = serde_json::from_str(&text).context("Sockeye.uplugin")?;
        ensure!(descriptor.file_version == 3, "Sockeye.uplugin: FileVersion has to be 3");
        let version = workspace.version()?;
        ensure!(
            descriptor.version_name == version,
            "Sockeye.uplugin: VersionName is not {version}"
        );
        let mut modules = Vec::new();
        for described in descriptor.modules {
            let platforms = &descriptor.supported_target_platforms;
            modules.push(described.found(&root, platforms)?);
        }
        let generated = workspace.scratch("unreal-generated")?;
        for header in files(&root.join("Source"), ".h")? {
            let text = fs::read_to_string(&header).context("cannot read a header")?;
            let stem = header.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let told = reflected(&stem, &text).with_context(|| workspace.shown(&header))?;
            if let Some(name) = told {
                fs::write(generated.join(name), "").context("cannot write a header")?;
            }
        }
        Ok(Self { root, modules, generated })
    }

    /// The folder of the module that only has the library.
    pub fn library(&self) -> PathBuf {
        library(&self.root)
    }

    pub fn rules(&self) -> Result<Vec<PathBuf>> {
        files(&self.root, ".Build.cs")
    }
}

pub fn library(root: &Path) -> PathBuf {
    root.join("Source/ThirdParty").join(LIBRARY)
}

impl Described {
    /// The module where it has to be: its rules under its name, and what starts it.
    fn found(self, root: &Path, platforms: &[String]) -> Result<Module> {
        let Self { name, kind, loading_phase, platform_allow_list } = self;
        ensure!(kind == "Runtime", "{name}: a server has only modules of type Runtime");
        ensure!(["Default", "PreDefault"].contains(&&*loading_phase), "{name}: {loading_phase}?");
        ensure!(platform_allow_list == platforms, "{name}: other platforms than the plugin");
        let module = Module { folder: root.join("Source").join(&name), name };
        let name = &module.name;
        let rules = fs::read_to_string(module.folder.join(format!("{name}.Build.cs")));
        let rules = rules.with_context(|| format!("{name} has no rules"))?;
        ensure!(rules.contains(&format!("class {name} : ModuleRules")), "{name}: not its rules");
        for source in module.sources()? {
            let code = c_text::code(&fs::read_to_string(source).context("cannot read a source")?);
            let mut starts = code.lines().filter(|line| line.starts_with("IMPLEMENT_MODULE("));
            if starts.any(|line| line.contains(&format!(", {name})"))) {
                return Ok(module);
            }
        }
        bail!("{name}: no IMPLEMENT_MODULE")
    }
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot walk {}", folder.display()))?;
        if entry.file_name().to_string_lossy().ends_with(ending) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Holds a header to what the header tool asks, and names what that would write for it.
fn reflected(stem: &str, text: &str) -> Result<Option<String>> {
    let code = c_text::code(text);
    let markers = |line: &str| ["UCLASS(", "USTRUCT("].iter().any(|mark| line.starts_with(mark));
    let types = code.lines().filter(|line| markers(line)).count();
    let bodies = code.lines().filter(|line| line.trim() == "GENERATED_BODY()").count();
    ensure!(types == bodies, "{types} classes and structs, {bodies} GENERATED_BODY()");
    for marker in ["UFUNCTION(Blueprint", "UPROPERTY(Blueprint"] {
        for member in code.split(marker).skip(1).filter_map(|text| text.split(';').next()) {
            let bare = c_text::words(member).find(|word| UNREFLECTED.contains(word));
            ensure!(bare.is_none(), "Blueprints have no {}: {member}", bare.unwrap_or_default());
        }
    }
    if types == 0 && !code.lines().any(|line| line.starts_with("UENUM(")) {
        return Ok(None);
    }
    let name = format!("{stem}.generated.h");
    let last = text.lines().rfind(|line| line.starts_with("#include"));
    ensure!(last == Some(&*format!("#include \"{name}\"")), "its last include has to be {name}");
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: &str = "#pragma once\n#include \"A.h\"\n#include \"B.generated.h\"\n\
                         UCLASS()\nclass UB : public UA\n{\n\tGENERATED_BODY()\n";

    fn told(members: &str) -> Result<Option<String>> {
        reflected("B", &format!("{CLASS}{members}}};\n"))
    }

    #[test]
    fn a_class_has_a_header_of_its_own() {
        assert_eq!(told("").unwrap().as_deref(), Some("B.generated.h"));
        assert!(reflected("B", "#include \"A.h\"\nint a();\n").unwrap().is_none());
        let text = CLASS.replace("#include \"B.generated.h\"\n", "");
        assert!(reflected("B", &text).is_err());
        let turned = CLASS.replace("UCLASS()", "#include \"C.h\"\nUCLASS()");
        assert!(reflected("B", &turned).is_err());
        assert!(reflected("B", &CLASS.replace("\tGENERATED_BODY()\n", "")).is_err());
    }

    #[test]
    fn what_blueprints_see_has_types_of_theirs() {
        assert!(told("\tUFUNCTION(BlueprintCallable)\n\tint64 A(uint8 b);\n\tuint64 c;\n").is_ok());
        assert!(told("\tUFUNCTION(BlueprintCallable)\n\tint64 A(uint32 b);\n").is_err());
        assert!(told("\tUPROPERTY(BlueprintReadOnly)\n\tuint64 A = 0;\n").is_err());
        assert!(told("\tuint64 before;\n\tUPROPERTY(BlueprintReadOnly)\n\tint32 A;\n").is_ok());
    }
}
