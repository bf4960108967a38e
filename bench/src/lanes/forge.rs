//! A process that asks to connect under forged addresses: each request comes from another of
//! 10,000 addresses of 127.0.0.0/8, and its token is noise. A line `report` on its standard input
//! asks how many left since the line before.

use crate::pattern;
use crate::process;
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{mem, ptr, thread};

pub const ADDRESSES: u32 = 10_000;
/// The first of them.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);
const BATCH: usize = 64;
const PAUSE: Duration = Duration::from_micros(500);
/// Who is late by more does not make up for it.
const LATE: Duration = Duration::from_millis(20);
/// Bytes of a control message with an address.
const CONTROL: usize = 64;

/// Whose requests are forged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// What `game://` takes: netcode's request of 1,078 bytes.
    Netcode,
    Enet,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Netcode => "netcode",
            Kind::Enet => "enet",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub rate: u32,
    pub kind: Kind,
    pub protocol_id: u64,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options { port: 0, rate: 0, kind: Kind::Netcode, protocol_id: 0 };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("rate") => options.rate = parser.value()?.parse()?,
            Long("protocol-id") => options.protocol_id = parser.value()?.parse()?,
            Long("kind") => {
                options.kind = match &*parser.value()?.string()? {
                    "netcode" => Kind::Netcode,
                    "enet" => Kind::Enet,
                    other => bail!("no kind '{other}'"),
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.rate == 0 {
        bail!("--rate has to be at least 1");
    }
    Ok(options)
}

/// Request `n` comes from here.
fn source(n: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST.to_bits() + (n % u64::from(ADDRESSES)) as u32)
}

/// A request with noise of its own.
fn request(options: &Options, expires_s: u64, seed: u64) -> Vec<u8> {
    match options.kind {
        Kind::Netcode => {
            let mut bytes = vec![0; 1078];
            bytes[1..14].copy_from_slice(b"NETCODE 1.02\0");
            bytes[14..22].copy_from_slice(&options.protocol_id.to_le_bytes());
            bytes[22..30].copy_from_slice(&expires_s.to_le_bytes());
            pattern::fill(seed, &mut bytes[30..]);
            bytes
        }
        // A header with a time for peer 0xFFF, and a command CONNECT that asks for an answer.
        Kind::Enet => {
            let mut bytes = vec![0x8F, 0xFF, 0, 1, 0x82, 0xFF, 0, 1, 0, 0, 0xFF, 0xFF];
            let numbers =
                [1400, 65_536, 2, 0, 0, 5000, 2, 2, (seed >> 32) as u32, 0].map(u32::to_be_bytes);
            bytes.extend(numbers.as_flattened());
            bytes
        }
    }
}

/// A batch of requests with their addresses, as the kernel takes it.
struct Batch {
    requests: Vec<Vec<u8>>,
    parts: Vec<libc::iovec>,
    controls: Vec<[u64; CONTROL / 8]>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: both are numbers and pointers; all zero is valid.
        let (part, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let requests = vec![Vec::new(); BATCH];
        let (parts, controls) = (vec![part; BATCH], vec![[0; CONTROL / 8]; BATCH]);
        Self { requests, parts, controls, headers: vec![header; BATCH] }
    }

    fn set(&mut self, at: usize, request: Vec<u8>, from: Ipv4Addr) {
        self.requests[at] = request;
        let bytes = &mut self.requests[at];
        self.parts[at] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let header = &mut self.headers[at].msg_hdr;
        header.msg_iov = &mut self.parts[at];
        header.msg_iovlen = 1;
        header.msg_control = self.controls[at].as_mut_ptr().cast();
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: from.to_bits().to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let size = size_of::<libc::in_pktinfo>() as libc::c_uint;
        // SAFETY: the control bytes are aligned for a `cmsghdr` and longer than one with an
        // address; `CMSG_FIRSTHDR` gives their begin because `msg_controllen` says so.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(size) as _;
            let control = libc::CMSG_FIRSTHDR(header);
            (*control).cmsg_level = libc::IPPROTO_IP;
            (*control).cmsg_type = libc::IP_PKTINFO;
            (*control).cmsg_len = libc::CMSG_LEN(size) as _;
            ptr::write_unaligned(libc::CMSG_DATA(control).cast(), info);
        }
    }

    /// How many of the first ones left.
    fn send(&mut self, socket: &UdpSocket, count: usize) -> Result<u64> {
        let (fd, headers) = (socket.as_raw_fd(), self.headers.as_mut_ptr());
        // SAFETY: the headers, and all that they point at, live through the call.
        let sent = unsafe { libc::sendmmsg(fd, headers, count as libc::c_uint, 0) };
        match u64::try_from(sent) {
            Ok(sent) => Ok(sent),
            // The server's end of an earlier one is told here.
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::ConnectionRefused => Ok(0),
                error => Err(error).context("sendmmsg"),
            },
        }
    }
}

/// They come until the process is ended.
pub fn run(options: &Options) -> Result<()> {
    process::give_way()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("cannot bind")?;
    socket.connect((Ipv4Addr::LOCALHOST, options.port)).context("cannot connect")?;
    let left = Arc::new(AtomicU64::new(0));
    let told = left.clone();
    thread::spawn(move || {
        for order in io::stdin().lock().lines().map_while(Result::ok) {
            if order == "report" {
                println!("report sent={}", told.swap(0, SeqCst));
            }
        }
    });
    let expires = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600;
    let mut batch = Batch::new();
    let (start, rate) = (Instant::now(), f64::from(options.rate));
    let most = (LATE.as_secs_f64() * rate) as u64;
    let mut begun = 0;
    println!("ready");
    loop {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        begun = begun.max(due.saturating_sub(most));
        if begun == due {
            thread::sleep(PAUSE);
        }
        let count = (due - begun).min(BATCH as u64);
        for n in 0..count {
            let request = request(options, expires, begun + n);
            batch.set(n as usize, request, source(begun + n));
        }
        if count > 0 {
            left.fetch_add(batch.send(&socket, count as usize)?, SeqCst);
            begun += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn requests_come_from_as_many_addresses() {
        let all: BTreeSet<Ipv4Addr> = (0..50_000).map(source).collect();
        assert_eq!(all.len(), ADDRESSES as usize);
        assert!(all.iter().all(Ipv4Addr::is_loopback));
    }

    #[test]
    fn they_have_the_length_of_true_ones() {
        let of = |kind| Options { port: 1, rate: 1, kind, protocol_id: 7 };
        assert_eq!(request(&of(Kind::Netcode), 9, 1).len(), 1078);
        assert_eq!(request(&of(Kind::Enet), 9, 1).len(), 4 + 48);
        assert_ne!(request(&of(Kind::Netcode), 9, 1), request(&of(Kind::Netcode), 9, 2));
    }

    #[test]
    fn a_request_arrives_from_its_address() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        batch.set(0, vec![1, 2], source(3));
        batch.set(1, vec![4], source(300));
        assert_eq!(batch.send(&socket, 2).unwrap(), 2);
        let mut buffer = [0; 8];
        for (bytes, from) in [(&[1, 2][..], source(3)), (&[4], source(300))] {
            let (size, address) = server.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..size], address.ip()), (bytes, from.into()));
        }
    }
}
