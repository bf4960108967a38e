//! `proxy`: the PROXY protocol as haproxy, nginx and curl speak it, with a server in C behind them
//! (`tests/proxy/door.c`), all on this machine's loopback addresses.

use crate::run::programs;
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
/// The address that the server denies, and another one.
const DENIED: &str = "127.0.0.66";
const WELCOME: &str = "127.0.0.5";
/// Where Debian has nginx's modules.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A proxy that is asked: how it is called here, and its port.
struct Way {
    name: &'static str,
    port: u16,
    v6: bool,
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the server through each of them who it takes the asker for.
pub fn run(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::PROXY)?;
    builds::library(workspace)?;
    let folder = workspace.scratch("proxy")?;
    let said = folder.join("door.out");
    let _door = serve(workspace, &folder, &said)?;
    let port: u16 = until("the server's port", || {
        fs::read_to_string(&said).ok()?.split_once('\n')?.0.parse().ok()
    })?;
    let v6 = TcpListener::bind("[::1]:0").is_ok();
    let (ways, _haproxy) = haproxy(&folder, port, v6)?;
    let (more, _nginx) = nginx(&folder, port, v6)?;
    for way in ways.iter().chain(&more) {
        ask(way)?;
    }
    curl_itself(port)?;
    until("a health check by haproxy, for itself", || {
        let text = fs::read_to_string(&said).ok()?;
        let own = |line: &str| line.starts_with("peer 127.0.0.1:") && line.ends_with("proxy none");
        text.lines().any(own).then_some(())
    })?;
    println!("haproxy, for itself: its health checks come in as from haproxy");
    Ok(())
}

/// Starts the server, whose output goes to `said`.
fn serve(workspace: &Workspace, folder: &Path, said: &Path) -> Result<Running> {
    let program = folder.join("door");
    let mut compile = Command::new("gcc");
    compile.args(["-std=c99", "-O1", "-g"]).args(programs::WARNINGS);
    compile.arg("-I").arg(workspace.root.join("include"));
    compile.arg(workspace.root.join("tests/proxy/door.c")).arg("-o").arg(&program);
    compile.arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    shell::demand(&mut compile, &folder.join("door-build.log"), LIMIT)?;
    let mut command = Command::new(&program);
    command.arg(DENIED).env("LD_LIBRARY_PATH", workspace.release());
    start(command.stdout(File::create(said)?), &folder.join("door.log"))
}

fn start(command: &mut Command, log: &Path) -> Result<Running> {
    command.stdin(Stdio::null()).stderr(File::create(log)?);
    let child = command.spawn().with_context(|| format!("cannot run {}", shell::told(command)))?;
    Ok(Running(child))
}

/// Each version, with and without what may stand behind the addresses; the last one's health
/// checks are of version 2, for itself.
fn haproxy(folder: &Path, door: u16, v6: bool) -> Result<(Vec<Way>, Running)> {
    let mut text = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
                    timeout client 5s\n  timeout server 5s\n"
        .to_owned();
    let mut ways = Vec::new();
    for (name, option) in [
        ("haproxy, version 1", "send-proxy"),
        ("haproxy, version 2", "send-proxy-v2"),
        (
            "haproxy, version 2 with a checksum and an id",
            "send-proxy-v2 proxy-v2-options crc32c,unique-id",
        ),
        ("haproxy, version 2 with health checks", "send-proxy-v2 check inter 200ms"),
    ] {
        for v6 in [false, true].into_iter().filter(|&it| !it || v6) {
            let way = Way { name, port: free_port(v6)?, v6 };
            text += &format!(
                "listen at-{}-{v6}\n  bind {}:{}\n  unique-id-format %ci-%cp\n  \
                 server door 127.0.0.1:{door} {option}\n",
                ways.len(),
                host(v6),
                way.port,
            );
            ways.push(way);
        }
    }
    let config = written(folder, "haproxy.cfg", &text)?;
    let log = folder.join("haproxy.log");
    let running = start(Command::new("haproxy").arg("-f").arg(config).stdout(Stdio::null()), &log)?;
    Ok((ways, running))
}

fn nginx(folder: &Path, door: u16, v6: bool) -> Result<(Vec<Way>, Running)> {
    let mut servers = String::new();
    let mut ways = Vec::new();
    for v6 in [false, true].into_iter().filter(|&it| !it || v6) {
        let way = Way { name: "nginx, version 1", port: free_port(v6)?, v6 };
        servers += &format!(
            "  server {{ listen {}:{}; proxy_pass 127.0.0.1:{door}; proxy_protocol on; }}\n",
            host(v6),
            way.port,
        );
        ways.push(way);
    }
    let module = match Path::new(STREAM_MODULE).exists() {
        true => format!("load_module {STREAM_MODULE};\n"),
        false => String::new(),
    };
    let text = format!(
        "{module}daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nerror_log {0}/nginx.log;\n\
         events {{ worker_connections 100; }}\nstream {{\n{servers}}}\n",
        folder.display()
    );
    let config = written(folder, "nginx.conf", &text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(config).stdout(Stdio::null());
    Ok((ways, start(&mut command, &folder.join("nginx.err"))?))
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn host(v6: bool) -> &'static str {
    if v6 { "[::1]" } else { "127.0.0.1" }
}

/// A port that nobody has now.
fn free_port(v6: bool) -> Result<u16> {
    let listener = TcpListener::bind(format!("{}:0", host(v6))).context("no port")?;
    Ok(listener.local_addr()?.port())
}

/// The server's answer to curl, and the address that curl had.
fn asked(port: u16, v6: bool, args: &[&str]) -> Result<(String, String)> {
    let url = format!("http://{}:{port}/", host(v6));
    let mut command = Command::new("curl");
    command.args(["--silent", "--http0.9", "--globoff", "--max-time", "10", "--noproxy", "*"]);
    command.args(["--write-out", "%{local_ip} %{local_port}"]).args(args).arg(url);
    let text = shell::stdout(&mut command)?;
    let (answer, own) = text.rsplit_once('\n').with_context(|| format!("no answer: {text}"))?;
    let (ip, port) = own.split_once(' ').context("curl does not say its address")?;
    let own = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    Ok((answer.to_owned(), own))
}

fn ask(way: &Way) -> Result<()> {
    let Way { name, port, v6 } = *way;
    until(name, || TcpStream::connect(format!("{}:{port}", host(v6))).ok())?;
    let from: &[&str] = if v6 { &[] } else { &["--interface", WELCOME] };
    let (answer, own) = asked(port, v6, from).context(name)?;
    let told = answer.strip_prefix(&format!("peer {own} proxy 127.0.0.1:"));
    ensure!(told.is_some(), "{name}: {own} was taken for: {answer}");
    println!("{name}: {answer}");
    if !v6 {
        let denied = asked(port, v6, &["--interface", DENIED]);
        ensure!(denied.is_err(), "{name}: who is denied came in: {denied:?}");
    }
    Ok(())
}

/// curl as its own proxy; from another address it is none.
fn curl_itself(port: u16) -> Result<()> {
    let (answer, own) = asked(port, false, &["--haproxy-protocol"])?;
    ensure!(answer == format!("peer {own} proxy {own}"), "curl at {own}: {answer}");
    println!("curl --haproxy-protocol: {answer}");
    let (answer, own) = asked(port, false, &["--interface", WELCOME])?;
    ensure!(answer == format!("peer {own} proxy none"), "curl at {own}: {answer}");
    if asked(port, false, &[]).is_ok() {
        bail!("a proxy without a header came in");
    }
    Ok(())
}

/// Waits for something.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
