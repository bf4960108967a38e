//! WebSocket as a layer: RFC 6455, and deflated messages as in RFC 7692.
//!
//! What is received becomes messages, which no framer looks at. Messages that leave stand in the
//! outbox as frames without masks (`framer/web.rs`): those of a server leave as they are, those of
//! a client are masked on their way. Frames of the layer's own go between them.

mod deflate;
mod extension;
mod frames;
mod mask;
mod message;
mod options;
mod reading;
#[cfg(test)]
mod tests;
mod upgrade;
mod utf8;
mod writing;

use super::{Layer, Plain, Starved, State};
use crate::buf::{Pool, Slice, Train};
use crate::session::event::Cause;
use crate::session::limits::Millis;
pub use deflate::deflate;
use frames::{CLOSE, PING, PONG};
pub use options::{Page, WebClient, WebEnd, WebFacts, WebServer};
use reading::{Read, Reading};
use std::sync::Arc;
use upgrade::{Agreed, Head, Reach, Verdict};
pub use utf8::Utf8;
use writing::{NoKeys, Stuck, Writing};

/// The most bytes of a page that are handed over at once.
const BODY_STEP: usize = 32 << 10;

/// Codes of a Close: RFC 6455, section 7.4.1.
mod code {
    pub const NORMAL: u16 = 1000;
    pub const PROTOCOL: u16 = 1002;
    /// Stands for a Close without a code.
    pub const NONE: u16 = 1005;
    pub const DATA: u16 = 1007;
    pub const TOO_BIG: u16 = 1009;
    pub const INTERNAL: u16 = 1011;
}

/// Why the layer fails: the code for the peer, and the cause for the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fault {
    code: u16,
    cause: Cause,
}

impl Fault {
    const PROTOCOL: Fault = Fault { code: code::PROTOCOL, cause: Cause::Protocol };
    const TEXT: Fault = Fault { code: code::DATA, cause: Cause::Protocol };
    const DEFLATE: Fault = Fault { code: code::DATA, cause: Cause::Protocol };
    const TOO_BIG: Fault = Fault { code: code::TOO_BIG, cause: Cause::LimitFrame };
    const MEMORY: Fault = Fault { code: code::TOO_BIG, cause: Cause::LimitMemory };
    const LATE: Fault = Fault { code: code::PROTOCOL, cause: Cause::TimeoutFrame };
    const INTERNAL: Fault = Fault { code: code::INTERNAL, cause: Cause::Internal };
    const SILENT: Fault = Fault { code: code::PROTOCOL, cause: Cause::TimeoutIdle };
}

/// The WebSocket of one connection.
pub struct Web {
    end: WebEnd,
    state: State,
    /// While it opens; after that, of a connection that gets a page, what is left of it.
    opening: Option<Box<Opening>>,
    reading: Reading,
    writing: Writing,
    /// When something was received.
    heard: Millis,
    /// What was agreed on: the path, the place of the subprotocol, windows.
    path: Box<str>,
    protocol: Option<u16>,
    compressed: bool,
    window_bits: Option<u8>,
    /// It was pinged since.
    pinged: bool,
    /// The peer has said Close.
    ended: bool,
    /// Nothing that is received is of use.
    broken: Option<Cause>,
    /// Of the peer's Close, or of its answer to our request.
    code: u16,
    /// Of ours.
    own_code: u16,
}

#[derive(Default)]
struct Opening {
    head: Head,
    /// What the server has to answer to ours.
    proof: Box<str>,
    page: Option<(Arc<[u8]>, usize)>,
}

impl Web {
    /// One that has received nothing. Fails where the system has no random numbers, or a request
    /// cannot be written with what it has.
    pub fn new(end: &WebEnd) -> Result<Web, Cause> {
        let mut opening = Opening::default();
        let (masks, handshake) = match end {
            WebEnd::Server(_) => (false, Vec::new()),
            WebEnd::Client(client) => {
                let asked = upgrade::ask(client).ok_or(Cause::Internal)?;
                opening.proof = asked.proof;
                (true, asked.request)
            }
        };
        Ok(Web {
            end: end.clone(),
            state: State::Opening,
            opening: Some(Box::new(opening)),
            reading: Reading::default(),
            writing: Writing::start(masks, handshake),
            heard: 0,
            path: Box::default(),
            protocol: None,
            compressed: false,
            window_bits: None,
            pinged: false,
            ended: false,
            broken: None,
            code: 0,
            own_code: code::NORMAL,
        })
    }

    /// Reads the handshake.
    fn open(&mut self, now: Millis) {
        let (Some(opening), Some(input)) = (&mut self.opening, self.reading.input()) else {
            return;
        };
        let reach = opening.head.take(input, self.end.header_max());
        let bytes = opening.head.bytes();
        match &self.end {
            WebEnd::Server(server) => {
                let verdict = match reach {
                    _ if upgrade::is_hopeless(bytes) => Verdict::Garbage,
                    Reach::Begun => return,
                    Reach::Whole => upgrade::answer(Some(bytes), server),
                    Reach::TooLong => upgrade::answer(None, server),
                };
                match verdict {
                    Verdict::Garbage => self.break_off(Cause::Protocol),
                    Verdict::Open(answer, agreed) => {
                        self.writing.say(&answer);
                        self.begin(agreed, now);
                    }
                    Verdict::Reply(reply) => {
                        self.writing.say(&reply.head);
                        let body = reply.body.filter(|body| !body.is_empty());
                        opening.page = body.map(|body| (body, 0));
                        self.break_off(if reply.served { Cause::Host } else { Cause::Protocol });
                    }
                }
            }
            WebEnd::Client(client) => {
                let agreed = match reach {
                    Reach::Begun if b"HTTP/1.1 ".iter().zip(bytes).all(|(may, is)| may == is) => {
                        return;
                    }
                    Reach::Whole => upgrade::judge(bytes, &opening.proof, client),
                    Reach::Begun | Reach::TooLong => Err(0),
                };
                match agreed {
                    Ok(agreed) => self.begin(agreed, now),
                    Err(status) => {
                        self.code = status;
                        self.break_off(Cause::Protocol);
                    }
                }
            }
        }
    }

    /// The handshake is done.
    fn begin(&mut self, agreed: Agreed, now: Millis) {
        let masked = matches!(self.end, WebEnd::Server(_));
        let takes_over = agreed.deflating.is_some_and(|deflating| deflating.takes_over);
        self.compressed = agreed.deflating.is_some();
        self.window_bits = agreed.deflating.and_then(|deflating| deflating.window_bits);
        self.reading.start(masked, self.end.message_max(), self.compressed, takes_over);
        (self.path, self.protocol) = (agreed.path, agreed.protocol);
        (self.opening, self.state, self.heard) = (None, State::Open, now);
    }

    /// Nothing more is read, and what waits is the last that is said.
    fn break_off(&mut self, cause: Cause) {
        self.reading.stop();
        self.opening = self.opening.take().filter(|opening| opening.page.is_some());
        (self.broken, self.state) = (Some(cause), State::Done(cause));
    }

    /// Says why, and breaks off.
    fn fail(&mut self, fault: Fault) {
        if self.state == State::Open {
            // Without random numbers there is no last word.
            let _ = self.writing.close(&fault.code.to_be_bytes());
        }
        self.break_off(fault.cause);
    }

    /// Takes a control frame. Fails where it is not as it has to be.
    fn control(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Fault> {
        match opcode {
            CLOSE => {
                self.code = close_code(payload)?;
                self.ended = true;
                self.reading.stop();
            }
            PING if self.state == State::Open => {
                self.writing.control(PONG, payload).map_err(|NoKeys| Fault::INTERNAL)?;
            }
            // A Pong says that the peer is there, as all that is received does.
            _ => {}
        }
        Ok(())
    }

    /// Says Close, and answers the peer's with its code.
    fn say_close(&mut self) -> Result<(), NoKeys> {
        let code = if self.ended { self.code } else { self.own_code };
        match code {
            code::NONE => self.writing.close(&[]),
            code => self.writing.close(&code.to_be_bytes()),
        }
    }

    /// Hands over the next bytes of a page.
    fn hand_over_page(&mut self, wire: &mut Train, pool: &Pool) -> Result<(), Starved> {
        let page = self.opening.as_mut().and_then(|opening| opening.page.as_mut());
        let Some((body, at)) = page.filter(|_| wire.is_empty()) else { return Ok(()) };
        let step = (body.len() - *at).min(BODY_STEP);
        if step > 0 {
            let mut chunk = pool.take(step).ok_or(Starved(step))?;
            chunk.put(&body[*at..*at + step]);
            wire.push(chunk.into_slice());
            *at += step;
        }
        if *at == body.len() {
            self.opening = None;
        }
        Ok(())
    }

    /// When the peer is pinged, or given up.
    fn ping_at(&self) -> Option<Millis> {
        let every = self.end.ping_ms();
        (every > 0).then(|| self.heard + every * (1 + Millis::from(self.pinged)))
    }

    fn whole_by(&self) -> Option<Millis> {
        let most = self.end.frame_timeout_ms();
        self.reading.since().filter(|_| most > 0).map(|since| since + most)
    }
}

/// The code of a Close: section 7.4.
fn close_code(payload: &[u8]) -> Result<u16, Fault> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(code::NONE) } else { Err(Fault::PROTOCOL) };
    };
    match u16::from_be_bytes(code) {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => match std::str::from_utf8(reason) {
            Ok(_) => Ok(code),
            Err(_) => Err(Fault::TEXT),
        },
        _ => Err(Fault::PROTOCOL),
    }
}

impl Layer for Web {
    fn state(&self) -> State {
        self.state
    }

    fn handle_received(&mut self, wire: Slice, now: Millis) {
        (self.heard, self.pinged) = (now, false);
        if self.broken.is_none() && !self.ended {
            self.reading.add(wire);
        }
    }

    fn poll_plain(&mut self, pool: &Pool, now: Millis) -> Plain {
        if self.state == State::Opening {
            self.open(now);
        }
        while self.state != State::Opening && self.broken.is_none() && !self.ended {
            let wrong = match self.reading.poll(pool, now) {
                Read::Nothing => return Plain::Nothing,
                Read::Message { data, text } => return Plain::Message { data, text },
                Read::Starved(bytes) => return Plain::Starved(bytes),
                Read::Control { opcode, payload } => self.control(opcode, &payload).err(),
                Read::Wrong(fault) => Some(fault),
            };
            if let Some(fault) = wrong {
                self.fail(fault);
            }
        }
        match self.broken {
            Some(cause) => Plain::Broken(cause),
            None if self.ended => Plain::End,
            None => Plain::Nothing,
        }
    }

    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        pool: &Pool,
        _now: Millis,
    ) -> Result<usize, Starved> {
        match self.state {
            State::Open => match self.writing.write(plain, wire, pool) {
                Ok(taken) => return Ok(taken),
                Err(Stuck::Starved(starved)) => return Err(starved),
                Err(Stuck::NoKeys) => self.break_off(Cause::Internal),
            },
            State::Opening | State::Ending => {
                self.writing.hand_over(wire, pool)?;
                if self.state == State::Ending {
                    self.state = State::Done(Cause::Host);
                }
            }
            State::Done(_) => {
                self.writing.hand_over(wire, pool)?;
                self.hand_over_page(wire, pool)?;
            }
        }
        Ok(0)
    }

    fn end(&mut self) {
        match self.state {
            State::Opening => self.state = State::Done(Cause::Host),
            State::Open => {
                self.state = State::Ending;
                if self.say_close().is_err() {
                    self.break_off(Cause::Internal);
                }
            }
            State::Ending | State::Done(_) => {}
        }
    }

    fn set_code(&mut self, code: u16) -> bool {
        self.own_code = code;
        true
    }

    fn poll_timeout(&self) -> Option<Millis> {
        if self.state != State::Open || self.ended {
            return None;
        }
        [self.ping_at(), self.whole_by()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Millis) {
        if self.state != State::Open || self.ended {
            return;
        }
        if self.whole_by().is_some_and(|at| at <= now) {
            self.fail(Fault::LATE);
        } else if self.ping_at().is_some_and(|at| at <= now) {
            if self.pinged {
                self.fail(Fault::SILENT);
            } else if self.writing.control(PING, &[]).is_err() {
                self.break_off(Cause::Internal);
            } else {
                self.pinged = true;
            }
        }
    }

    fn handle_unread(&mut self, now: Millis) {
        self.heard = now;
        self.reading.wait_anew(now);
    }

    fn held_bytes(&self) -> usize {
        let opening = self.opening.as_ref().map_or(0, |opening| opening.head.bytes().len());
        self.reading.held_bytes() + self.writing.waiting() + opening
    }

    fn has_last_word(&self) -> bool {
        self.broken.is_some() && (self.writing.waiting() > 0 || self.opening.is_some())
    }

    fn code(&self) -> u16 {
        self.code
    }

    fn compression(&self) -> Option<u8> {
        self.window_bits
    }

    fn web(&self) -> Option<WebFacts> {
        // Each path begins with a slash.
        if self.path.is_empty() {
            return None;
        }
        let protocol = self.protocol.and_then(|at| self.end.protocols().get(usize::from(at)));
        Some(WebFacts {
            path: self.path.clone(),
            protocol: protocol.map_or("", String::as_str).into(),
            compressed: self.compressed,
        })
    }
}
