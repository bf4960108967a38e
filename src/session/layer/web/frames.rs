//! The headers of frames: RFC 6455, section 5.2.

use super::Fault;

/// Of the last frame of a message.
pub const FIN: u8 = 0x80;
/// Of the first frame of a message: it is deflated (RFC 7692, section 6).
pub const RSV1: u8 = 0x40;
const RSV_REST: u8 = 0x30;
const OPCODE: u8 = 0x0f;
/// Of the second byte: a key follows the length.
pub const MASKED: u8 = 0x80;

pub const CONTINUATION: u8 = 0;
/// Begins a message that is UTF-8.
pub const TEXT: u8 = 1;
/// Begins a message that is any bytes.
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The longest payload of a control frame.
pub const CONTROL_MAX: usize = 125;
/// The longest header, with its key.
pub const HEADER_MAX: usize = 14;
/// The longest header without a key.
pub const BARE_MAX: usize = 10;

/// The header of a frame that was received.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub lead: u8,
    pub key: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub len: u64,
    /// Bytes of the header.
    pub size: usize,
}

/// What a header is judged by.
#[derive(Clone, Copy)]
pub struct Rules {
    /// The frames are masked: a client sends them.
    pub masked: bool,
    /// Messages may be deflated.
    pub deflated: bool,
    /// A message has begun and waits for its next frame.
    pub goes_on: bool,
}

impl Header {
    #[inline]
    pub fn opcode(&self) -> u8 {
        self.lead & OPCODE
    }

    /// Reads a header from the first bytes of a frame. None: it is not here as a whole.
    #[inline]
    pub fn read(bytes: &[u8], rules: Rules) -> Result<Option<Header>, Fault> {
        let Some(&lead) = bytes.first() else { return Ok(None) };
        check_lead(lead, rules)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short = second & !MASKED;
        let control = lead & 8 != 0;
        if (second & MASKED != 0) != rules.masked || (control && usize::from(short) > CONTROL_MAX) {
            return Err(Fault::PROTOCOL);
        }
        let fold = |bytes: &[u8]| bytes.iter().fold(0, |len, &byte| len << 8 | u64::from(byte));
        // The shortest form has to be used, and the top bit of the longest is 0.
        let (len, least, most, size) = match (short, bytes.get(2..4), bytes.get(2..10)) {
            (0..126, ..) => (u64::from(short), 0, u64::MAX, 2),
            (126, Some(long), _) => (fold(long), 126, u64::MAX, 4),
            (127, _, Some(long)) => (fold(long), 1 << 16, u64::MAX >> 1, 10),
            _ => return Ok(None),
        };
        if len < least || len > most {
            return Err(Fault::PROTOCOL);
        }
        if !rules.masked {
            return Ok(Some(Header { lead, key: None, len, size }));
        }
        let Some(&key) = bytes.get(size..).and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        Ok(Some(Header { lead, key: Some(key), len, size: size + 4 }))
    }
}

fn check_lead(lead: u8, rules: Rules) -> Result<(), Fault> {
    let (whole, deflated) = (lead & FIN != 0, lead & RSV1 != 0);
    let fits = match lead & OPCODE {
        CONTINUATION => rules.goes_on && !deflated,
        TEXT | BINARY => !rules.goes_on && (rules.deflated || !deflated),
        CLOSE | PING | PONG => whole && !deflated,
        _ => false,
    };
    if fits && lead & RSV_REST == 0 { Ok(()) } else { Err(Fault::PROTOCOL) }
}

/// Where the bytes stand that leave: they are frames without masks, cut anywhere.
#[derive(Default)]
pub struct Walk {
    /// Bytes of payload that the frame still has.
    left: u64,
    /// The header that has begun.
    head: [u8; BARE_MAX],
    len: u8,
}

impl Walk {
    /// Whether the next byte begins a frame.
    pub fn at_border(&self) -> bool {
        self.left == 0 && self.len == 0
    }

    /// Bytes of payload that follow.
    pub fn left(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    /// So many bytes of payload have left.
    pub fn pass(&mut self, count: usize) {
        self.left -= count as u64;
    }

    /// How many bytes of the header that is at this place have left.
    pub fn header_at(&self) -> usize {
        usize::from(self.len)
    }

    /// The next of `bytes` are of a header. Answers how many, and whether it ends with them.
    pub fn header(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, &byte) in bytes.iter().enumerate() {
            self.head[usize::from(self.len)] = byte;
            self.len += 1;
            let size = match self.head[1] & !MASKED {
                _ if self.len < 2 => continue,
                126 => 4,
                127 => 10,
                _ => 2,
            };
            if self.len == size {
                let long = &self.head[2..usize::from(size)];
                self.left = match long.is_empty() {
                    true => u64::from(self.head[1]),
                    false => long.iter().fold(0, |len, &byte| len << 8 | u64::from(byte)),
                };
                self.len = 0;
                return (at + 1, true);
            }
        }
        (bytes.len(), false)
    }

    /// Goes over `bytes`, up to the first border if that is asked for. Answers how many these are.
    pub fn go(&mut self, bytes: &[u8], to_border: bool) -> usize {
        let mut at = 0;
        while at < bytes.len() && !(to_border && self.at_border()) {
            if self.left > 0 {
                let step = self.left().min(bytes.len() - at);
                self.pass(step);
                at += step;
            } else {
                at += self.header(&bytes[at..]).0;
            }
        }
        at
    }
}
