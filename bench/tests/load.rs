//! The load generator against a server in this process: honest, and not.
#![cfg(target_os = "linux")]

use bench::counter::Counter;
use bench::load::{self, Options};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Serves `conns` connections, each until its end; `spoil` sees what goes back.
fn serve(conns: usize, spoil: fn(u64, &mut [u8])) -> u16 {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in door.incoming().take(conns) {
            let stream = stream.unwrap();
            thread::spawn(move || echo(stream, spoil));
        }
    });
    port
}

fn echo(mut stream: TcpStream, spoil: fn(u64, &mut [u8])) {
    let mut buffer = [0; 4096];
    let mut total = 0;
    // Ends when the load generator is gone.
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        spoil(total, &mut buffer[..count]);
        total += count as u64;
        if stream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

fn load(name: &str, port: u16, limit: Duration) -> (anyhow::Result<()>, u64) {
    let file = format!("sockeye-load-{name}-{}", std::process::id());
    let counter: PathBuf = std::env::temp_dir().join(file);
    let made = Counter::make(&counter).unwrap();
    let done = load::run(Options { port, conns: 4, in_flight: 3, size: 64, counter, limit });
    (done, made.get())
}

#[test]
fn an_honest_server_is_counted() {
    let (done, count) = load("honest", serve(4, |_, _| ()), Duration::from_millis(300));
    done.unwrap();
    assert!(count > 12, "{count}");
}

#[test]
fn a_spoiled_byte_ends_it() {
    let spoil = |total: u64, bytes: &mut [u8]| {
        if let Some(at) = 6_410_u64.checked_sub(total).filter(|at| *at < bytes.len() as u64) {
            bytes[at as usize] ^= 1;
        }
    };
    let (done, _) = load("spoiled", serve(4, spoil), Duration::from_secs(60));
    let error = format!("{:#}", done.unwrap_err());
    assert!(error.contains("message 100, byte 10"), "{error}");
}

#[test]
fn a_server_that_closes_ends_it() {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    thread::spawn(move || door.incoming().take(4).for_each(drop));
    let (done, count) = load("closed", port, Duration::from_secs(60));
    assert!(done.is_err());
    assert_eq!(count, 0);
}
