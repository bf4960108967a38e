//! Messages out of received bytes: RFC 6455, sections 5 and 6.2.

use super::Fault;
use super::deflate::Inflater;
use super::frames::{BINARY, FIN, HEADER_MAX, Header, RSV1, Rules, TEXT};
use super::mask;
use super::message::{Grown, Message};
use crate::buf::{Chunk, Pool, Reader, Slice};
use crate::session::limits::Millis;
use std::mem;

/// What was received and is no message as yet. Invariant: between two receives it holds no
/// received slice, only copies.
#[derive(Default)]
pub struct Reading {
    /// Received, not looked at.
    input: Reader,
    /// What messages of this receive are unmasked to.
    chunk: Option<Chunk>,
    /// Since when what has begun is not whole.
    since: Millis,
    message_max: u32,
    frame: Option<Frame>,
    /// A header that has begun.
    head: [u8; HEADER_MAX],
    head_len: u8,
    /// The frames are masked: clients send them.
    masked: bool,
    deflated: bool,
    rare: Option<Box<Rare>>,
}

/// What is mostly not there.
#[derive(Default)]
struct Rare {
    /// Received behind `input`.
    late: Vec<Slice>,
    message: Option<Message>,
    /// What the payload of a control frame has so far.
    control: Vec<u8>,
    /// Messages of the peer refer to those before.
    inflater: Option<Box<Inflater>>,
}

/// A frame whose payload is not here as a whole.
#[derive(Clone, Copy)]
struct Frame {
    lead: u8,
    /// As it stands for the next byte.
    key: [u8; 4],
    left: u32,
}

/// What came out of the bytes.
pub enum Read {
    Nothing,
    Message { data: Slice, text: bool },
    Control { opcode: u8, payload: Vec<u8> },
    Starved(usize),
    Wrong(Fault),
}

impl Reading {
    /// Reads frames from here on. `inflater`: messages refer to those before.
    pub fn start(&mut self, masked: bool, message_max: u32, deflated: bool, takes_over: bool) {
        (self.masked, self.message_max, self.deflated) = (masked, message_max, deflated);
        if takes_over {
            self.rare.get_or_insert_default().inflater = Some(Inflater::new());
        }
    }

    /// Takes what was received.
    pub fn add(&mut self, slice: Slice) {
        let late = self.rare.as_ref().is_some_and(|rare| !rare.late.is_empty());
        if self.input.rest().is_empty() && !late {
            self.input = slice.into();
        } else if !slice.is_empty() {
            self.rare.get_or_insert_default().late.push(slice);
        }
    }

    /// What was received and is not looked at.
    pub fn input(&mut self) -> Option<&mut Reader> {
        if self.input.rest().is_empty() {
            let late = self.rare.as_mut().filter(|rare| !rare.late.is_empty())?;
            self.input = late.late.remove(0).into();
        }
        Some(&mut self.input)
    }

    /// Nothing is looked at any more.
    pub fn stop(&mut self) {
        *self = Reading::default();
    }

    /// The time of what has begun is counted from now.
    pub fn wait_anew(&mut self, now: Millis) {
        self.since = now;
    }

    /// Since when it waits for the rest of something.
    pub fn since(&self) -> Option<Millis> {
        (self.head_len > 0 || self.frame.is_some() || self.goes_on()).then_some(self.since)
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| {
            rare.message.as_ref().map_or(0, Message::held_bytes) + rare.control.len()
        })
    }

    fn goes_on(&self) -> bool {
        self.message().is_some()
    }

    /// The next message or control frame.
    pub fn poll(&mut self, pool: &Pool, now: Millis) -> Read {
        loop {
            // A frame may be whole whose message there was no memory for.
            let is_due = self.frame.is_some_and(|frame| frame.left == 0);
            if !is_due && self.input().is_none() {
                self.chunk = None;
                return Read::Nothing;
            }
            let read = match self.frame {
                None => self.begin(pool, now),
                Some(frame) => Ok(self.go_on(frame, pool)),
            };
            match read {
                Ok(Read::Nothing) => {}
                Ok(read) => return read,
                Err(fault) => return Read::Wrong(fault),
            }
        }
    }

    /// Begins a frame; a whole message in one frame is done with at once.
    fn begin(&mut self, pool: &Pool, now: Millis) -> Result<Read, Fault> {
        let goes_on = self.goes_on();
        if self.head_len == 0 && !goes_on {
            self.since = now;
        }
        let Some((header, used)) = self.header(goes_on)? else { return Ok(Read::Nothing) };
        if header.opcode() > BINARY {
            return Ok(self.start_frame(header, used));
        }
        self.check_len(header, pool)?;
        let len = header.len as usize;
        let is_here = self.input.rest().len() - used >= len;
        let simple = header.lead & (FIN | RSV1) == FIN && !goes_on;
        if !(simple && is_here) {
            return Ok(self.start_frame(header, used));
        }
        match self.take(header, used, pool) {
            Ok(data) if header.opcode() == TEXT && std::str::from_utf8(&data).is_err() => {
                Err(Fault::TEXT)
            }
            Ok(data) => Ok(Read::Message { data, text: header.opcode() == TEXT }),
            Err(bytes) => Ok(Read::Starved(bytes)),
        }
    }

    /// Judges the length that a frame of a message claims, before there is memory for it.
    fn check_len(&self, header: Header, pool: &Pool) -> Result<(), Fault> {
        let message = self.message();
        let deflated = message.map_or(header.lead & RSV1 != 0, Message::is_deflated);
        let most = u64::from(self.message_max);
        // Deflated, it may be a little longer.
        let most = if deflated { most + most / 512 + 64 } else { most };
        let so_far = message.map_or(0, |message| message.len() as u64);
        match header.len.saturating_add(so_far) {
            all if all > most => Err(Fault::TOO_BIG),
            all if all > pool.share_max() => Err(Fault::MEMORY),
            _ => Ok(()),
        }
    }

    /// The header of the next frame, and how many of the bytes that are to be looked at are its.
    /// None: it is not here as a whole.
    fn header(&mut self, goes_on: bool) -> Result<Option<(Header, usize)>, Fault> {
        let rules = Rules { masked: self.masked, deflated: self.deflated, goes_on };
        let bytes = self.input.rest();
        let before = usize::from(self.head_len);
        if before == 0
            && let Some(header) = Header::read(bytes, rules)?
        {
            return Ok(Some((header, header.size)));
        }
        let more = bytes.len().min(HEADER_MAX - before);
        self.head[before..before + more].copy_from_slice(&bytes[..more]);
        if let Some(header) = Header::read(&self.head[..before + more], rules)? {
            return Ok(Some((header, header.size - before)));
        }
        self.head_len += more as u8;
        self.input.skip(more);
        Ok(None)
    }

    fn start_frame(&mut self, header: Header, used: usize) -> Read {
        self.head_len = 0;
        self.input.skip(used);
        let Header { lead, key, len, .. } = header;
        self.frame = Some(Frame { lead, key: key.unwrap_or_default(), left: len as u32 });
        Read::Nothing
    }

    /// Takes the payload of a frame that is here as a whole. Fails with the bytes that there is no
    /// memory for.
    fn take(&mut self, header: Header, used: usize, pool: &Pool) -> Result<Slice, usize> {
        let len = header.len as usize;
        let mut data = Slice::default();
        match header.key {
            _ if len == 0 => self.input.skip(used),
            None => {
                self.input.skip(used);
                data = self.input.take(len);
            }
            Some(key) => {
                if self.chunk.as_ref().is_none_or(|chunk| chunk.room() < len) {
                    let all = self.input.rest().len() - used;
                    self.chunk = Some(pool.take(all).ok_or(all)?);
                }
                if let Some(chunk) = &mut self.chunk {
                    let at = chunk.len();
                    mask::apply(key, chunk.put_mut(&self.input.rest()[used..used + len]));
                    data = chunk.share();
                    data.advance(at);
                }
                self.input.skip(used + len);
            }
        }
        self.head_len = 0;
        Ok(data)
    }

    fn message(&self) -> Option<&Message> {
        self.rare.as_ref()?.message.as_ref()
    }

    /// More of a frame that has begun.
    fn go_on(&mut self, mut frame: Frame, pool: &Pool) -> Read {
        let rare = self.rare.get_or_insert_default();
        let bytes = self.input.rest();
        let bytes = &bytes[..bytes.len().min(frame.left as usize)];
        let count = bytes.len();
        let opcode = frame.lead & 0x0f;
        if opcode > BINARY {
            let at = rare.control.len();
            rare.control.extend_from_slice(bytes);
            mask::apply(frame.key, &mut rare.control[at..]);
        } else {
            let deflated = frame.lead & RSV1 != 0;
            let message =
                rare.message.get_or_insert_with(|| Message::new(opcode == TEXT, deflated));
            match message.extend(pool, bytes, frame.key, frame.left as usize) {
                Grown::Yes => {}
                Grown::Starved(bytes) => return Read::Starved(bytes),
                Grown::Wrong(fault) => return Read::Wrong(fault),
            }
        }
        self.input.skip(count);
        frame.left -= count as u32;
        frame.key = mask::turn(frame.key, count);
        self.frame = Some(frame);
        if frame.left > 0 { Read::Nothing } else { self.end_frame(frame, pool) }
    }

    /// The payload of a frame is here.
    fn end_frame(&mut self, frame: Frame, pool: &Pool) -> Read {
        let Some(rare) = &mut self.rare else { return Read::Nothing };
        let opcode = frame.lead & 0x0f;
        let read = if opcode > BINARY {
            Read::Control { opcode, payload: mem::take(&mut rare.control) }
        } else if frame.lead & FIN == 0 {
            Read::Nothing
        } else if let Some(message) = &mut rare.message {
            let text = message.is_text();
            match message.finish(pool, self.message_max as usize, &mut rare.inflater) {
                Err(Grown::Starved(bytes)) => return Read::Starved(bytes),
                Err(Grown::Wrong(fault)) => return Read::Wrong(fault),
                Err(Grown::Yes) => Read::Nothing,
                Ok(data) => {
                    rare.message = None;
                    Read::Message { data, text }
                }
            }
        } else {
            Read::Nothing
        };
        self.frame = None;
        if rare.message.is_none() && rare.inflater.is_none() && rare.late.is_empty() {
            self.rare = None;
        }
        read
    }
}
