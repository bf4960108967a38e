//! TLS with the program `openssl` at the other end: every suite that both know, both ways round.
//! For Unix.

use crate::common::tls::tls;
use crate::common::words::*;
use crate::common::{Setup, suite};
use std::ffi::CString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

suite! {
    each: their_client, their_server;
}

/// Suites of RFC 8446, and those of RFC 5289 and 7905 that are not weak.
const SUITES: [(&str, &str, &str); 9] = [
    ("-tls1_3", "TLS_AES_128_GCM_SHA256", "ec"),
    ("-tls1_3", "TLS_AES_256_GCM_SHA384", "rsa"),
    ("-tls1_3", "TLS_CHACHA20_POLY1305_SHA256", "ec"),
    ("-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", "ec"),
    ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", "ec"),
    ("-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", "ec"),
    ("-tls1_2", "ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    ("-tls1_2", "ECDHE-RSA-AES256-GCM-SHA384", "rsa"),
    ("-tls1_2", "ECDHE-RSA-CHACHA20-POLY1305", "rsa"),
];

/// A folder with a certificate of each kind.
struct Files(PathBuf);

impl Files {
    fn new(setup: Setup) -> Files {
        let name = format!("sockeye-{}-{}", std::process::id(), setup.name.replace("::", "-"));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let files = Files(folder);
        for (kind, words) in
            [("ec", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..]), ("rsa", &["rsa:2048"][..])]
        {
            let mut openssl = Command::new("openssl");
            openssl.args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=game.test"]);
            openssl.args(["-addext", "subjectAltName=DNS:game.test,IP:127.0.0.1"]);
            openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
            openssl.arg("-newkey").args(words).stderr(Stdio::null());
            openssl.arg("-keyout").arg(files.0.join(format!("{kind}.key")));
            openssl.arg("-out").arg(files.0.join(format!("{kind}.pem")));
            assert!(openssl.status().expect("openssl is there").success());
        }
        files
    }

    fn path(&self, name: &str) -> CString {
        CString::new(self.0.join(name).to_str().expect("a path of text")).expect("no NUL")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A child that goes with the test.
struct Openssl(Child, Receiver<Vec<u8>>);

impl Openssl {
    fn spawn(command: &mut Command) -> Openssl {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn().expect("openssl is there");
        let mut output = child.stdout.take().expect("piped");
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Openssl(child, receiver)
    }

    fn write(&mut self, bytes: &[u8]) {
        let input = self.0.stdin.as_mut().expect("piped");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads");
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The option for a suite: versions have one each.
fn suite_option(version: &str) -> &'static str {
    if version == "-tls1_3" { "-ciphersuites" } else { "-cipher" }
}

pub fn their_client(setup: Setup) {
    let files = Files::new(setup);
    let mut host = setup.host();
    host.echo = true;
    let doors = ["ec", "rsa"].map(|kind| {
        let (cert, key) = (files.path(&format!("{kind}.pem")), files.path(&format!("{kind}.key")));
        let serves = tls(|tls| (tls.cert_pem, tls.key_pem) = (cert.as_ptr(), key.as_ptr()));
        let url = "tls://127.0.0.1:0?frame=line&append=1";
        (kind, host.door_at(url, |endpoint| endpoint.tls = &serves).port)
    });
    for (version, suite, kind) in SUITES {
        let port = doors.iter().find(|door| door.0 == kind).expect("both kinds").1;
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-verify_return_error", "-servername", "game.test"]);
        command.args(["-verify_hostname", "game.test", version, suite_option(version), suite]);
        command.arg("-connect").arg(format!("127.0.0.1:{port}"));
        command.arg("-CAfile").arg(files.0.join(format!("{kind}.pem")));
        let mut client = Openssl::spawn(&mut command);
        client.write(format!("{suite}\n").as_bytes());
        let mut got = Vec::new();
        host.until(suite, |_| {
            got.extend(client.1.try_iter().flatten());
            got == format!("{suite}\r\n").as_bytes()
        });
    }
    host.finish();
}

pub fn their_server(setup: Setup) {
    let files = Files::new(setup);
    let mut host = setup.host();
    for (version, suite, kind) in SUITES {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-rev", version, suite_option(version), suite]);
        command.args(["-accept", "127.0.0.1:0"]);
        command.arg("-cert").arg(files.0.join(format!("{kind}.pem")));
        command.arg("-key").arg(files.0.join(format!("{kind}.key")));
        let server = Openssl::spawn(&mut command);
        let (mut said, mut port) = (String::new(), None);
        host.until("its port", |_| {
            said.extend(server.1.try_iter().flatten().map(char::from));
            let line = said.lines().find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:"));
            port = line.filter(|_| said.ends_with('\n')).map(str::to_owned);
            port.is_some()
        });
        let ca = files.path(&format!("{kind}.pem"));
        let trusts = tls(|tls| (tls.verify, tls.ca_pem) = (1, ca.as_ptr()));
        let url = format!("tls://127.0.0.1:{}?frame=line", port.expect("it is there"));
        let conn = host.connect_with(&url, |endpoint| endpoint.tls = &trusts);
        assert_eq!(host.net.send(conn, b"hello\n"), OK);
        host.await_messages(conn, 1);
        assert_eq!(host.messages(conn), [b"olleh"], "{suite}");
        assert_eq!(host.net.close(conn, GRACEFUL), OK);
        assert_eq!(host.closed(conn).cause, HOST);
    }
    host.finish();
}
