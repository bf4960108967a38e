//! Recipes for vcpkg and Conan that take the archives of the release.

use super::Packed;
use super::archive::sum;
use crate::shell;
use crate::ship::install::build::{self, System};
use crate::ship::install::consumers::Ground;
use crate::ship::install::layout::Facts;
use crate::tools;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
/// Overrides where the recipes take the archives from.
const ELSEWHERE: &str = "SOCKEYE_ARCHIVES";

/// Where the recipes of this release are.
pub struct Ports {
    vcpkg: PathBuf,
    conan: PathBuf,
}

/// Copies the recipes, with the addresses and checksums of the archives beside them.
pub fn write(
    workspace: &Workspace,
    facts: &Facts,
    out: &Path,
    archives: &[Packed; 2],
) -> Result<Ports> {
    let packaging = workspace.root.join("packaging");
    let vcpkg = out.join("vcpkg/ports/sockeye");
    let conan = out.join("conan");
    for (from, to, names) in [
        ("vcpkg/ports/sockeye", &vcpkg, ["portfile.cmake", "vcpkg.json", "usage"].as_slice()),
        ("conan", &conan, &["conanfile.py"]),
    ] {
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        for name in names {
            fs::copy(packaging.join(from).join(name), to.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
    }
    let declared = fs::read_to_string(vcpkg.join("vcpkg.json"))?;
    let version = format!("\"version\": \"{}\"", facts.version);
    ensure!(declared.contains(&version), "vcpkg.json has not {version}");
    let address = format!("{}/releases/download/v{}", facts.repository, facts.version);
    let mut lines = format!("set(SOCKEYE_URL {address})\n");
    let mut data = format!("sources:\n  \"{}\":\n", facts.version);
    for (system, packed) in [System::Linux, System::Windows].into_iter().zip(archives) {
        let name = packed.file.file_name().context("no name")?.to_string_lossy();
        let (sha256, sha512) = (sum("sha256", &packed.file)?, sum("sha512", &packed.file)?);
        let natives = build::natives(workspace, system)?.replace("-l", "").replace(' ', ", ");
        let system = system.name();
        lines.push_str(&format!("set(SOCKEYE_{system} {name} {sha512})\n"));
        data.push_str(&format!(
            "    {system}:\n      url: {address}/{name}\n      sha256: {sha256}\n      \
             natives: [{natives}]\n"
        ));
    }
    fs::write(vcpkg.join("archives.cmake"), lines)?;
    fs::write(conan.join("conandata.yml"), data)?;
    Ok(Ports { vcpkg, conan })
}

/// Has both recipes fetch the archives from the folder of the release, and builds hosts.
pub fn check(ground: &Ground<'_>, ports: &Ports, facts: &Facts, out: &Path) -> Result<()> {
    let archives = format!("file://{}", out.display());
    println!("{}", vcpkg(ground, ports, &archives)?);
    println!("{}", conan(ground, ports, facts, &archives)?);
    Ok(())
}

/// Without vcpkg: its functions are small stand-ins, the port is the real one.
fn vcpkg(ground: &Ground<'_>, ports: &Ports, archives: &str) -> Result<String> {
    let stand_ins = ground.workspace.root.join("tests/install/vcpkg.cmake");
    let log = ground.workspace.scratch("logs")?.join("package-vcpkg.log");
    for linkage in ["dynamic", "static"] {
        let packages = ground.folder.join(format!("vcpkg-{linkage}"));
        let mut command = Command::new("cmake");
        command.env(ELSEWHERE, archives);
        command.arg(format!("-DPORT_FOLDER={}", ports.vcpkg.display()));
        command.arg(format!("-DCURRENT_PACKAGES_DIR={}", packages.display()));
        command.arg(format!("-DVCPKG_LIBRARY_LINKAGE={linkage}")).arg("-P").arg(&stand_ins);
        shell::demand(&mut command, &log, LIMIT).context("the port for vcpkg")?;
        let name = format!("vcpkg-{linkage}-hosts");
        let options = [format!("-DCMAKE_PREFIX_PATH={}", packages.display())];
        let folder = ground.build(&name, &options)?;
        let mut ctest = Command::new("ctest");
        ctest.args(["--output-on-failure", "--no-tests=error"]).current_dir(folder);
        shell::demand(&mut ctest, &log, LIMIT).with_context(|| format!("vcpkg, {linkage}"))?;
    }
    Ok("port for vcpkg: hosts run, dynamic and static (with stand-ins for vcpkg itself)".into())
}

/// `conan create`, whose test builds and runs the hosts.
fn conan(ground: &Ground<'_>, ports: &Ports, facts: &Facts, archives: &str) -> Result<String> {
    tools::ensure(ground.workspace, tools::CONAN_RECIPE)?;
    let wheels = ground.workspace.wheels(tools::CONAN);
    let log = ground.workspace.scratch("logs")?.join("package-conan.log");
    let home = ground.folder.join("conan-home");
    let conan = |args: &[&str]| {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &wheels).env("CONAN_HOME", &home).env(ELSEWHERE, archives);
        command.args(["-m", "conans.conan"]).args(args);
        command
    };
    shell::demand(&mut conan(&["profile", "detect"]), &log, LIMIT)?;
    let test = ground.workspace.root.join("packaging/conan/test_package");
    for shared in ["True", "False"] {
        let mut create = conan(&["create", "--version", &facts.version, "--no-remote"]);
        create.args(["--options", &format!("sockeye/*:shared={shared}")]);
        create.arg("--test-folder").arg(&test).arg(&ports.conan);
        shell::demand(&mut create, &log, LIMIT).context("the recipe for Conan")?;
    }
    Ok("recipe for Conan: conan create and its hosts run, shared and static".into())
}
