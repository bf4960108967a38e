//! WebSocket (RFC 6455) as a client: one masked binary frame for a message, and the same back.

use crate::pattern;
use anyhow::{Result, bail, ensure};

/// The key of RFC 6455, section 1.3, and the answer to it.
const HELLO: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const ANSWER_MAX: usize = 2048;
/// A whole message of bytes.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

enum State {
    New,
    /// The answer as far as it has come.
    Asked(Vec<u8>),
    Open,
}

pub struct Web {
    state: State,
    /// The beginning of a frame's head.
    head: Vec<u8>,
    /// Of the frame that has begun.
    left: u64,
    /// Bytes of a message, once it is known from what was sent.
    size: Option<u64>,
    seed: u64,
}

impl Web {
    pub fn new(n: u32) -> Self {
        Self { state: State::New, head: Vec::new(), left: 0, size: None, seed: n.into() }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub fn speak(&mut self, out: &mut Vec<u8>) {
        if let State::New = self.state {
            out.extend_from_slice(HELLO.as_bytes());
            self.state = State::Asked(Vec::new());
        }
    }

    pub fn wrap(&mut self, messages: &[u8], size: usize, out: &mut Vec<u8>) {
        self.size = Some(size as u64);
        for message in messages.chunks(size) {
            out.push(BINARY);
            match (u8::try_from(size), u16::try_from(size)) {
                (Ok(short @ ..=125), _) => out.push(MASKED | short),
                (_, Ok(middle)) => {
                    out.push(MASKED | 126);
                    out.extend_from_slice(&middle.to_be_bytes());
                }
                _ => {
                    out.push(MASKED | 127);
                    out.extend_from_slice(&(size as u64).to_be_bytes());
                }
            }
            let word = pattern::next(&mut self.seed) as u32;
            let mask = word.to_ne_bytes();
            out.extend_from_slice(&mask);
            let begin = out.len();
            out.extend_from_slice(message);
            let (words, rest) = out[begin..].as_chunks_mut::<4>();
            words.iter_mut().for_each(|four| {
                *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
            });
            rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    pub fn unwrap(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            if let State::Asked(answer) = &mut self.state {
                answer.push(*first);
                if is_accepted(answer)? {
                    self.state = State::Open;
                }
                bytes = rest;
            } else if self.left > 0 {
                let count = usize::try_from(self.left)?.min(bytes.len());
                take(&bytes[..count])?;
                self.left -= count as u64;
                bytes = &bytes[count..];
            } else {
                self.head.push(*first);
                if let Some(size) = size(&self.head)? {
                    let wanted = self.size.unwrap_or(size);
                    ensure!(size == wanted, "a message of {size} bytes, not {wanted}");
                    self.left = size;
                    self.head.clear();
                }
                bytes = rest;
            }
        }
        Ok(())
    }
}

/// Whether the answer is whole and a good one.
fn is_accepted(answer: &[u8]) -> Result<bool> {
    ensure!(answer.len() <= ANSWER_MAX, "an answer of more than {ANSWER_MAX} bytes");
    if !answer.ends_with(b"\r\n\r\n") {
        return Ok(false);
    }
    let answer = String::from_utf8_lossy(answer);
    ensure!(answer.starts_with("HTTP/1.1 101 ") && answer.contains(ACCEPT), "refused: {answer}");
    Ok(true)
}

/// Bytes of the frame with this head, if the head is whole.
fn size(head: &[u8]) -> Result<Option<u64>> {
    Ok(match *head {
        [first, ..] if first != BINARY => bail!("a frame that begins with {first:#04x}"),
        [_, short @ ..=125] => Some(short.into()),
        [_, 126, a, b] => Some(u16::from_be_bytes([a, b]).into()),
        [_, 127, a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        [_, MASKED..=u8::MAX, ..] => bail!("a masked frame of a server"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Web {
        let mut web = Web::new(1);
        web.speak(&mut Vec::new());
        let answer = format!("HTTP/1.1 101 Ok\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        web.unwrap(answer.as_bytes(), |_| bail!("nothing came")).unwrap();
        assert!(web.is_open());
        web
    }

    /// What a server would send back for what was sent: the frames without their masks.
    fn answered(sent: &[u8], size: usize) -> Vec<u8> {
        let head = [2, 4, 10][usize::from(size > 125) + usize::from(size > 0xFFFF)];
        let mut all = Vec::new();
        for frame in sent.chunks(head + 4 + size) {
            let (mask, payload) = frame[head..].split_at(4);
            all.extend_from_slice(&[frame[0], frame[1] & !MASKED]);
            all.extend_from_slice(&frame[2..head]);
            all.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        all
    }

    #[test]
    fn frames_of_every_length_come_back_however_they_are_cut() {
        for size in [16, 125, 126, 65_535, 65_536] {
            let messages: Vec<u8> = (0..2 * size).map(|at| at as u8 ^ (at >> 8) as u8).collect();
            let (mut web, mut sent) = (opened(), Vec::new());
            web.wrap(&messages, size, &mut sent);
            let answer = answered(&sent, size);
            for cut in [1, 3, 4096, answer.len()] {
                let mut got = Vec::new();
                for part in answer.chunks(cut) {
                    web.unwrap(part, |bytes| {
                        got.extend_from_slice(bytes);
                        Ok(())
                    })
                    .unwrap();
                }
                assert!(got == messages, "{size} B cut by {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_message_of_a_server_is_refused() {
        for (bytes, word) in [
            (&[0x81, 3][..], "begins with 0x81"),
            (&[0x02, 3], "begins with 0x02"),
            (&[BINARY, MASKED | 3], "masked"),
            (&[BINARY, 65], "65 bytes, not 64"),
        ] {
            let mut web = opened();
            web.wrap(&[0; 64], 64, &mut Vec::new());
            let error = web.unwrap(bytes, |_| Ok(())).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let mut web = Web::new(1);
        web.speak(&mut Vec::new());
        let refused = web.unwrap(b"HTTP/1.1 400 Bad\r\n\r\n", |_| Ok(())).unwrap_err();
        assert!(refused.to_string().starts_with("refused"));
    }
}
