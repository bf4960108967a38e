//! Framings as a peer does them, written anew so that the engine's own are checked.

/// How messages are cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    Raw,
    U32,
    Varint,
}

pub const WIRES: [Wire; 3] = [Wire::Raw, Wire::U32, Wire::Varint];

impl Wire {
    /// A URL's query.
    pub fn query(self, frame_max: usize) -> String {
        match self {
            Wire::Raw => "frame=raw".into(),
            Wire::U32 => format!("frame=u32be&max={frame_max}"),
            Wire::Varint => format!("frame=varint&max={frame_max}"),
        }
    }

    /// A message as it is sent.
    pub fn frame(self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = match self {
            Wire::Raw => Vec::new(),
            Wire::U32 => (payload.len() as u32).to_be_bytes().to_vec(),
            Wire::Varint => varint(payload.len()),
        };
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Bytes of the frame that begins here, header included. None: too few to know.
    pub fn frame_len(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Wire::Raw => Some(bytes.len()),
            Wire::U32 => {
                let header = bytes.first_chunk::<4>()?;
                Some(4 + u32::from_be_bytes(*header) as usize)
            }
            Wire::Varint => {
                let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
                let length = |sum: usize, (at, byte): (usize, &u8)| {
                    sum | usize::from(byte & 0x7f) << (7 * at)
                };
                Some(end + 1 + bytes[..=end].iter().enumerate().fold(0, length))
            }
        }
    }

    /// What no frame may begin with.
    pub fn garbage(self) -> Option<&'static [u8]> {
        match self {
            Wire::Raw => None,
            Wire::U32 => Some(&[0xff; 4]),
            Wire::Varint => Some(&[0xff; 5]),
        }
    }
}

fn varint(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = length as u8 & 0x7f;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
