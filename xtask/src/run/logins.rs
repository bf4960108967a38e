//! The login backends of `tour/`: with the same arguments their connect tokens differ in nothing
//! but the time, the keys and what is sealed.

use crate::ship::dotnet;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Output};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const ARGS: [&str; 4] = [KEY, "42", "127.0.0.1:7777", "[::1]:7777"];
/// Where the times are, and the part that is sealed with its nonce.
const CREATED: usize = 21;
const EXPIRES: usize = 29;
const NONCE: usize = 37;
const TIMEOUT: usize = NONCE + 24 + 1024;
/// Behind both addresses.
const KEYS: usize = TIMEOUT + 4 + 4 + 7 + 19;

/// Makes a token with each.
pub fn check(workspace: &Workspace) -> Result<()> {
    let folder = workspace.scratch("tour")?;
    let source = |name: &str| workspace.root.join("tour").join(name);
    let c = dotnet::c_program(workspace, &source("login.c"), &folder)?;
    let run = |python: bool, args: &[&str]| -> Result<Output> {
        let mut command = Command::new(if python { Path::new("python3") } else { &c });
        if python {
            command.arg(source("login.py"));
        }
        command.args(args).env("LD_LIBRARY_PATH", workspace.release()).output().context("no login")
    };
    let mut shown = Vec::new();
    for python in [false, true] {
        let token = run(python, &ARGS)?.stdout;
        ensure!(token.len() == 2048, "a token of {} bytes", token.len());
        let time = |at| token[at..].first_chunk().map_or(0, |time| u64::from_le_bytes(*time));
        let life = time(EXPIRES).wrapping_sub(time(CREATED));
        ensure!(token[KEYS + 64..].iter().all(|&byte| byte == 0), "no zeros behind the keys");
        shown.push((token[..CREATED].to_vec(), life, token[TIMEOUT..KEYS].to_vec()));

        let refused = run(python, &[KEY, "42", "bird"])?;
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(refused.status.code() == Some(1), "its end without an address: {}", refused.status);
        ensure!(words.starts_with("login: ") && words.contains("bird"), "it complains: {words}");
    }
    ensure!(shown[0] == shown[1], "C and Python make other tokens: {shown:?}");
    Ok(())
}
