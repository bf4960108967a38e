//! A certificate for the servers, made for each run: ECDSA on P-256, which its holder has signed.

use anyhow::{Context, Result, anyhow};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs, process};

/// The name that it is for.
pub const NAME: &str = "bench.example";

/// Where it is.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

static FILES: OnceLock<Result<Files, String>> = OnceLock::new();

/// That of this process, made by the first call.
pub fn files() -> Result<&'static Files> {
    let files = FILES.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    files.as_ref().map_err(|why| anyhow!("no certificate: {why}"))
}

/// Removes the files, if there are some.
pub fn remove() {
    if let Some(Ok(files)) = FILES.get() {
        // What is left behind in the temporary folder does no harm.
        drop(fs::remove_dir_all(&files.folder));
    }
}

fn make() -> Result<Files> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let folder = env::temp_dir().join(format!("sockeye-bench-{}-tls", process::id()));
    fs::create_dir_all(&folder).context("a folder")?;
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).context("cert.pem")?;
    fs::write(&key, made.signing_key.serialize_pem()).context("key.pem")?;
    Ok(Files { folder, certificate, key })
}
