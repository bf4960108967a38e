//! Writes `include/sockeye.h` from `src/capi`, and gives the shared library its name and its
//! place in memory. The header is written only when it differs, and only inside a checkout: a
//! packaged crate ships the committed one.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The rooms of the C ABI in the order in which the header shows them; others come behind these.
const FILES: &[&str] = &[
    "status",
    "words",
    "model",
    "config",
    "net",
    "guard",
    "tls",
    "http",
    "lanes",
    "token",
    "endpoint",
    "listener",
    "admit",
    "conn",
    "message",
    "group",
    "event",
    "datagram",
    "queue",
    "timer",
    "callback",
    "buffer",
    "descriptor",
    "stats",
    "tcp",
    "metrics",
    "address",
    "resolve",
    "log",
    "fault",
    "allocator",
    "thread",
];

/// VFT_DLL.
const DLL: u64 = 2;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
    let root = Path::new(&root);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=src/capi");
    println!("cargo:rerun-if-changed=include/sockeye.h");
    kqueue();
    link();
    if root.join(".git").exists() {
        header(root);
    }
}

/// Sets `cfg(kqueue)` where the system has kqueue(2), or libkqueue stands in for it.
fn kqueue() {
    println!("cargo:rustc-check-cfg=cfg(kqueue)");
    let system = env::var("CARGO_CFG_TARGET_OS").expect("cargo sets the system");
    let apple = env::var("CARGO_CFG_TARGET_VENDOR").as_deref() == Ok("apple");
    let has = apple || ["freebsd", "dragonfly", "netbsd", "openbsd"].contains(&&*system);
    if has || (system == "linux" && shim()) {
        println!("cargo:rustc-cfg=kqueue");
    }
}

/// Links with libkqueue, if that is asked for.
#[cfg(feature = "kqueue-shim")]
fn shim() -> bool {
    let found = pkg_config::probe_library("libkqueue");
    found.expect("the feature kqueue-shim needs libkqueue, where pkg-config finds it");
    true
}

#[cfg(not(feature = "kqueue-shim"))]
fn shim() -> bool {
    false
}

/// The library stays mapped after `dlclose`: threads of the host keep destructors in it.
fn link() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsockeye.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        name_library();
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("windows") {
        version_resource();
    }
}

/// A program that was linked with the library asks for it by its soname. The link to it is there
/// before the library is, which cargo writes behind this.
fn name_library() {
    #[cfg(unix)]
    if let Some(out) = env::var_os("OUT_DIR") {
        // target/release/build/sockeye-0123/out
        let Some(folder) = Path::new(&out).ancestors().nth(3) else { return };
        let link = folder.join("libsockeye.so.0");
        // It fails where it is there, or the folder may not be written: as before, a hand makes it.
        let _ = std::os::unix::fs::symlink("libsockeye.so", link);
    }
}

/// What Windows shows of the DLL: whose it is, and which version. The numbers are the crate's.
fn version_resource() {
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    let words = env::var("CARGO_PKG_DESCRIPTION").expect("cargo sets the description");
    let mut resource = winresource::WindowsResource::new();
    resource.set("ProductName", "Sockeye").set("FileDescription", &words);
    resource.set("InternalName", "sockeye").set("OriginalFilename", "sockeye.dll");
    resource.set("FileVersion", &version).set("ProductVersion", &version);
    resource.set_version_info(winresource::VersionInfo::FILETYPE, DLL);
    // A machine without a resource compiler can build, and check, all the rest.
    if let Err(error) = resource.compile() {
        println!("cargo:warning=no version resource: {error}");
    }
}

/// Every file of `src/capi` but the list of them, in its order; one without anything for C adds
/// nothing.
fn files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("src/capi")).expect("src/capi is there");
    let paths = entries.map(|entry| entry.expect("src/capi can be read").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "rs") && !path.ends_with("mod.rs"))
        .collect();
    let place = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default();
        FILES.iter().position(|it| *it == name).unwrap_or(FILES.len())
    };
    paths.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    paths
}

/// The enums of a file: fields and arguments are numbers, so that nothing names them.
fn enums(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a file of src/capi can be read");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub enum ")?.split(' ').next());
    names.filter(|name| name.starts_with("sockeye_")).map(str::to_owned).collect()
}

fn header(root: &Path) {
    let mut config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    let part = |n: usize| version.split('.').nth(n).expect("three version numbers").to_owned();
    config.after_includes = config.after_includes.map(|text| {
        text.replace("@VERSION@", &version)
            .replace("@MAJOR@", &part(0))
            .replace("@MINOR@", &part(1))
            .replace("@PATCH@", &part(2))
    });
    let files = files(root);
    config.export.include = files.iter().flat_map(|path| enums(path)).collect();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(file);
    }
    let mut text = Vec::new();
    match builder.generate() {
        Ok(bindings) => bindings.write(&mut text),
        // The compiler tells the same fault better, a moment later.
        Err(error) => return println!("cargo:warning=header not generated: {error}"),
    }
    // cbindgen writes an unsigned constant without a suffix, and takes isize for a difference.
    let text = String::from_utf8(text).expect("a header is text");
    let text = text.replace(" 4294967295\n", " UINT32_C(0xFFFFFFFF)\n");
    let text = text.replace("ptrdiff_t *", "intptr_t *");
    // An attribute of C++ stands in front of everything, a `__declspec` of an import too.
    let text = text.replace("SOCKEYE_API\nSOCKEYE_MUST_USE\n", "SOCKEYE_MUST_USE\nSOCKEYE_API\n");
    let path = root.join("include/sockeye.h");
    if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        fs::create_dir_all(root.join("include")).expect("include/ can be made");
        fs::write(&path, &text).expect("include/sockeye.h can be written");
    }
}
