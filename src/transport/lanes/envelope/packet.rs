//! The form of packets, and their sealing.
//!
//! ```text
//! request    0 · version 13 · protocol id 8 · expiry 8 · nonce 24 · private part of a token 1024
//! all others prefix · sequence 1..8 · (Wide: connection id 8) · ciphertext · tag 16
//! prefix     bytes of the sequence << 4 | kind
//! ```

use super::bytes::Reader;
use super::replay::Replay;
use super::{Key, Reason, TAG, VERSION, cipher, token};
use std::ops::Range;

/// Bytes of a connection request.
pub const REQUEST: usize = 1 + 13 + 8 + 8 + 24 + token::PRIVATE;
/// What a challenge and a response say: a sequence number and a sealed challenge token.
pub const CHALLENGE: usize = 8 + token::CHALLENGE;
/// Most bytes that a packet has beside its payload.
pub const OVERHEAD_MAX: usize = 1 + 8 + ID + TAG;
/// The longest payload of a `Payload` packet.
pub const PAYLOAD_MAX: usize = 1200;
/// The longest payload of a `Wide` packet.
pub const WIDE_MAX: usize = 65_000;
/// No sealed packet is shorter.
const SEALED_MIN: usize = 1 + 1 + TAG;
const ID: usize = 8;

/// What a packet is. The values are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A client asks to connect, with its token. The only one that is not sealed.
    Request = 0,
    /// The server has no room.
    Denied = 1,
    /// The server asks whether the client is where it seems to be.
    Challenge = 2,
    /// The client gives back what it was challenged with.
    Response = 3,
    /// The server says that the client is connected; either says that it is there.
    KeepAlive = 4,
    /// 1 to 1,200 bytes.
    Payload = 5,
    /// The sender is gone.
    Disconnect = 6,
    /// 1 to 65,000 bytes, and the connection that they are of.
    Wide = 7,
}

impl Kind {
    fn read(prefix: u8) -> Option<Kind> {
        Some(match prefix & 0x0F {
            0 => Kind::Request,
            1 => Kind::Denied,
            2 => Kind::Challenge,
            3 => Kind::Response,
            4 => Kind::KeepAlive,
            5 => Kind::Payload,
            6 => Kind::Disconnect,
            7 => Kind::Wide,
            _ => return None,
        })
    }

    /// Whether it may have so many bytes of plaintext.
    fn takes(self, len: usize) -> bool {
        match self {
            Kind::Request => false,
            Kind::Denied | Kind::Disconnect => len == 0,
            Kind::Challenge | Kind::Response => len == CHALLENGE,
            Kind::KeepAlive => len == KeepAlive::LEN,
            Kind::Payload => (1..=PAYLOAD_MAX).contains(&len),
            Kind::Wide => (1..=WIDE_MAX).contains(&len),
        }
    }

    /// Whether it is taken once at most. What is sent of a handshake is the same each time.
    fn is_counted(self) -> bool {
        matches!(self, Kind::KeepAlive | Kind::Payload | Kind::Disconnect | Kind::Wide)
    }
}

/// What can be seen of a packet without a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peek {
    /// What it says that it is.
    pub kind: Kind,
    /// The connection that a `Wide` packet says it is of.
    pub id: Option<u64>,
}

/// A packet that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// What it is.
    pub kind: Kind,
    /// Its number.
    pub sequence: u64,
    /// Where its plaintext is.
    pub range: Range<usize>,
}

/// What a keep-alive says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeepAlive {
    /// The number of the client at its server.
    pub client_index: u32,
    /// How many clients there can be.
    pub max_clients: u32,
}

impl KeepAlive {
    const LEN: usize = 8;

    /// Its plaintext.
    pub fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; KeepAlive::LEN];
        bytes[..4].copy_from_slice(&self.client_index.to_le_bytes());
        bytes[4..].copy_from_slice(&self.max_clients.to_le_bytes());
        bytes
    }

    /// Reads a plaintext.
    pub fn read(plain: &[u8]) -> Option<KeepAlive> {
        let mut reader = Reader(plain);
        Some(KeepAlive { client_index: reader.u32()?, max_clients: reader.u32()? })
    }
}

/// What stands in front of the ciphertext.
struct Header {
    kind: Kind,
    sequence: u64,
    id: Option<u64>,
    /// Its length.
    len: usize,
}

impl Header {
    /// Reads that of a sealed packet, which has room for a tag behind it.
    fn read(packet: &[u8]) -> Option<Header> {
        let prefix = *packet.first().filter(|_| packet.len() >= SEALED_MIN)?;
        let kind = Kind::read(prefix).filter(|&kind| kind != Kind::Request)?;
        let bytes = usize::from(prefix >> 4);
        if !(1..=8).contains(&bytes) {
            return None;
        }
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(packet.get(1..1 + bytes)?);
        let mut header =
            Header { kind, sequence: u64::from_le_bytes(number), id: None, len: 1 + bytes };
        if kind == Kind::Wide {
            header.id = Some(Reader(&packet[header.len..]).u64()?);
            header.len += ID;
        }
        (packet.len() >= header.len + TAG).then_some(header)
    }
}

/// What a packet says of itself. None: it is no packet.
pub fn peek(packet: &[u8]) -> Option<Peek> {
    if packet.first() == Some(&0) {
        return (packet.len() == REQUEST).then_some(Peek { kind: Kind::Request, id: None });
    }
    Header::read(packet).map(|header| Peek { kind: header.kind, id: header.id })
}

/// Seals a packet into the front of `out`, and answers its length.
pub fn seal(
    key: &Key,
    protocol_id: u64,
    (kind, id): (Kind, Option<u64>),
    sequence: u64,
    plain: &[u8],
    out: &mut [u8],
) -> usize {
    debug_assert!(kind.takes(plain.len()), "{kind:?} with {} bytes", plain.len());
    debug_assert_eq!(kind == Kind::Wide, id.is_some());
    let bytes = (8 - sequence.leading_zeros() as usize / 8).max(1);
    out[0] = (bytes << 4) as u8 | kind as u8;
    out[1..1 + bytes].copy_from_slice(&sequence.to_le_bytes()[..bytes]);
    let mut front = 1 + bytes;
    if let Some(id) = id {
        out[front..front + ID].copy_from_slice(&id.to_le_bytes());
        front += ID;
    }
    let len = front + plain.len() + TAG;
    out[front..len - TAG].copy_from_slice(plain);
    let (additional, used) = additional(protocol_id, out[0], id);
    cipher::seal(key, cipher::nonce(sequence), &additional[..used], &mut out[front..len]);
    len
}

/// Opens a sealed packet in place. Of what fails, `replay` remembers nothing.
pub fn open(
    key: &Key,
    protocol_id: u64,
    replay: &mut Replay,
    packet: &mut [u8],
) -> Result<Opened, Reason> {
    let Header { kind, sequence, id, len } = Header::read(packet).ok_or(Reason::Malformed)?;
    let range = len..packet.len() - TAG;
    // A tag covers the length, so nothing is lost by looking at it first.
    if !kind.takes(range.len()) {
        return Err(Reason::Malformed);
    }
    if kind.is_counted() && !replay.is_new(sequence) {
        return Err(Reason::Replayed);
    }
    let (additional, used) = additional(protocol_id, packet[0], id);
    cipher::open(key, cipher::nonce(sequence), &additional[..used], &mut packet[len..])
        .map_err(|_| Reason::Forged)?;
    if kind.is_counted() {
        replay.remember(sequence);
    }
    Ok(Opened { kind, sequence, range })
}

/// What a packet's tag proves beside the ciphertext, and how much of it is used.
fn additional(protocol_id: u64, prefix: u8, id: Option<u64>) -> ([u8; 30], usize) {
    let mut bytes = [0; 30];
    bytes[..13].copy_from_slice(VERSION);
    bytes[13..21].copy_from_slice(&protocol_id.to_le_bytes());
    bytes[21] = prefix;
    bytes[22..].copy_from_slice(&id.unwrap_or_default().to_le_bytes());
    (bytes, if id.is_some() { 30 } else { 22 })
}
