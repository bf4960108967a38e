//! What a peer turns out to be whose first bytes say it: TLS, HTTP with its WebSocket, or the
//! endpoint's own frames, each of the latter two in TLS or without.

use super::over::Over;
use super::{Layer, Plain, Starved, State, Tls, TlsFacts, TlsMaker, Web, WebEnd, WebFacts};
use crate::buf::{Pool, Slice, Train};
use crate::session::event::Cause;
use crate::session::framer::Framing;
use crate::session::limits::Millis;
use std::mem;
use std::sync::Arc;

/// A handshake record of TLS: RFC 8446, section 5.1. Its version is 1.0 to 1.3, in two bytes.
const RECORD: [u8; 2] = [22, 3];
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=4;
/// What a request of HTTP begins with: RFC 9110, section 9.3, and RFC 5789.
const METHODS: [&[u8]; 7] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH "];
/// Bytes that say it in every case.
const LONGEST: usize = 8;

/// What the peers of a listener may turn out to be.
pub struct AnyEnd {
    /// How TLS is done, where there is any.
    pub tls: Option<Arc<TlsMaker>>,
    /// How WebSockets are.
    pub web: WebEnd,
    /// The endpoint's own frames are among them.
    pub framed: bool,
}

/// How a stream begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looks {
    Tls,
    Web,
    /// None of these.
    Other,
    /// It takes more bytes to say.
    Unclear,
}

fn looks(bytes: &[u8]) -> Looks {
    if bytes.is_empty() {
        return Looks::Unclear;
    }
    match *bytes {
        [first] if first == RECORD[0] => return Looks::Unclear,
        [first, second] if [first, second] == RECORD => return Looks::Unclear,
        [first, second, third, ..] if [first, second] == RECORD && VERSIONS.contains(&third) => {
            return Looks::Tls;
        }
        _ => {}
    }
    let mut looks = Looks::Other;
    for method in METHODS {
        if bytes.starts_with(method) {
            return Looks::Web;
        }
        if method.starts_with(bytes) {
            looks = Looks::Unclear;
        }
    }
    looks
}

/// Whether a stream of such frames may look like TLS or HTTP; if so, like what.
pub fn looks_like(framing: &Framing) -> Option<&'static str> {
    if framing.may_begin(&[RECORD[0], RECORD[1], *VERSIONS.start()]) {
        return Some("TLS");
    }
    METHODS.iter().any(|method| framing.may_begin(method)).then_some("HTTP")
}

/// The layer of a connection that may be anything.
pub struct Any {
    end: Arc<AnyEnd>,
    /// Received, and not looked at.
    arrived: Slice,
    /// The first bytes, as long as they do not say it.
    held: Vec<u8>,
    inside_tls: bool,
    failed: Option<Cause>,
    /// What it turned out to be.
    is: Option<Box<dyn Layer>>,
}

impl Any {
    /// One that has received nothing.
    pub fn new(end: Arc<AnyEnd>) -> Any {
        Any {
            end,
            arrived: Slice::default(),
            held: Vec::new(),
            inside_tls: false,
            failed: None,
            is: None,
        }
    }

    /// What a stream is that looks like this.
    fn make(&self, looks: Looks) -> Result<Box<dyn Layer>, Cause> {
        let end = &self.end;
        Ok(match (looks, &end.tls) {
            (Looks::Tls, Some(tls)) if !self.inside_tls => {
                let tls = Tls::new(&tls.end()).map_err(|_| Cause::Internal)?;
                let inside = Any { inside_tls: true, ..Any::new(end.clone()) };
                Box::new(Over::new(Box::new(inside), Box::new(tls)))
            }
            (Looks::Web, _) => Box::new(Web::new(&end.web)?),
            _ if end.framed => Box::new(Bare::default()),
            _ => return Err(Cause::Protocol),
        })
    }

    /// Looks at what came, and gives it to what it turns out to be.
    fn decide(&mut self, pool: &Pool, now: Millis) -> Result<(), Starved> {
        let more = self.arrived.len().min(LONGEST);
        let first = [&self.held[..], &self.arrived[..more]].concat();
        let looks = looks(&first);
        if looks == Looks::Unclear {
            (self.held, self.arrived) = (first, Slice::default());
            return Ok(());
        }
        let mut all = mem::take(&mut self.arrived);
        if !self.held.is_empty() {
            let len = self.held.len() + all.len();
            let Some(mut chunk) = pool.take(len) else {
                self.arrived = all;
                return Err(Starved(len));
            };
            chunk.put(&self.held);
            chunk.put(&all);
            (self.held, all) = (Vec::new(), chunk.into_slice());
        }
        match self.make(looks) {
            Ok(mut is) => {
                is.handle_received(all, now);
                self.is = Some(is);
            }
            Err(cause) => self.failed = Some(cause),
        }
        Ok(())
    }
}

impl Layer for Any {
    fn state(&self) -> State {
        match (&self.is, self.failed) {
            (_, Some(cause)) => State::Done(cause),
            (Some(is), _) => is.state(),
            (None, _) => State::Opening,
        }
    }

    fn handle_received(&mut self, wire: Slice, now: Millis) {
        match &mut self.is {
            Some(is) => is.handle_received(wire, now),
            None => self.arrived = wire,
        }
    }

    fn poll_plain(&mut self, pool: &Pool, now: Millis) -> Plain {
        if !self.arrived.is_empty()
            && self.failed.is_none()
            && let Err(Starved(bytes)) = self.decide(pool, now)
        {
            return Plain::Starved(bytes);
        }
        match (&mut self.is, self.failed) {
            (_, Some(cause)) => Plain::Broken(cause),
            (Some(is), _) => is.poll_plain(pool, now),
            (None, _) => Plain::Nothing,
        }
    }

    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        pool: &Pool,
        now: Millis,
    ) -> Result<usize, Starved> {
        match &mut self.is {
            Some(is) => is.poll_wire(plain, wire, pool, now),
            None => Ok(0),
        }
    }

    fn end(&mut self) {
        match &mut self.is {
            Some(is) => is.end(),
            None => self.failed = self.failed.or(Some(Cause::Host)),
        }
    }

    fn set_code(&mut self, code: u16) -> bool {
        self.is.as_mut().is_some_and(|is| is.set_code(code))
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.is.as_ref()?.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Millis) {
        if let Some(is) = &mut self.is {
            is.handle_timeout(now);
        }
    }

    fn is_costly(&self) -> bool {
        match &self.is {
            Some(is) => is.is_costly(),
            None => {
                let more = self.arrived.len().min(LONGEST);
                let first = [&self.held[..], &self.arrived[..more]].concat();
                !self.inside_tls && looks(&first) == Looks::Tls
            }
        }
    }

    fn handle_unread(&mut self, now: Millis) {
        if let Some(is) = &mut self.is {
            is.handle_unread(now);
        }
    }

    fn held_bytes(&self) -> usize {
        self.held.len() + self.is.as_ref().map_or(0, |is| is.held_bytes())
    }

    fn has_last_word(&self) -> bool {
        self.is.as_ref().is_some_and(|is| is.has_last_word())
    }

    fn owed_bytes(&self) -> usize {
        self.is.as_ref().map_or(0, |is| is.owed_bytes())
    }

    fn ends_with_stream(&self) -> bool {
        self.is.as_ref().is_some_and(|is| is.ends_with_stream())
    }

    fn code(&self) -> u16 {
        self.is.as_ref().map_or(0, |is| is.code())
    }

    fn tls(&self) -> Option<TlsFacts> {
        self.is.as_ref()?.tls()
    }

    fn compression(&self) -> Option<u8> {
        self.is.as_ref()?.compression()
    }

    fn web(&self) -> Option<WebFacts> {
        self.is.as_ref()?.web()
    }
}

/// Of the endpoint's own frames: the bytes as they are.
#[derive(Default)]
struct Bare {
    arrived: Slice,
    ended: bool,
}

impl Layer for Bare {
    fn state(&self) -> State {
        if self.ended { State::Done(Cause::Host) } else { State::Open }
    }

    fn handle_received(&mut self, wire: Slice, _now: Millis) {
        debug_assert!(self.arrived.is_empty(), "it is asked behind each");
        self.arrived = wire;
    }

    fn poll_plain(&mut self, _pool: &Pool, _now: Millis) -> Plain {
        match mem::take(&mut self.arrived) {
            arrived if arrived.is_empty() => Plain::Nothing,
            arrived => Plain::Bytes(arrived),
        }
    }

    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        _pool: &Pool,
        _now: Millis,
    ) -> Result<usize, Starved> {
        for slice in plain.slices() {
            wire.push(slice.clone());
        }
        Ok(plain.len())
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn poll_timeout(&self) -> Option<Millis> {
        None
    }

    fn handle_timeout(&mut self, _now: Millis) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn ends_with_stream(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::framer::FramingKind;

    #[test]
    fn first_bytes_say_it_as_soon_as_they_can() {
        for (bytes, told) in [
            (&b"\x16\x03\x01\x00"[..], Looks::Tls),
            (b"\x16\x03\x04", Looks::Tls),
            (b"\x16\x03\x00", Looks::Other),
            (b"\x16\x04", Looks::Other),
            (b"\x17", Looks::Other),
            (b"\0\0\0\x01", Looks::Other),
            (b"GET /", Looks::Web),
            (b"OPTIONS *", Looks::Web),
            (b"GETS", Looks::Other),
            (b"PRI * HTTP/2.0", Looks::Other),
        ] {
            assert_eq!(looks(bytes), told, "{bytes:?}");
            let early: Vec<Looks> = (0..bytes.len()).map(|len| looks(&bytes[..len])).collect();
            let first = early.iter().position(|it| *it != Looks::Unclear).unwrap_or(early.len());
            assert!(early[first..].iter().all(|it| *it == told), "{bytes:?}: {early:?}");
            assert!(LONGEST >= first, "{bytes:?}");
        }
    }

    /// Whatever framing is said to be none of the others is so for all beginnings.
    #[test]
    fn frames_that_cannot_look_like_others_do_not() {
        for bytes in 1..=4 {
            for little_endian in [false, true] {
                for max in [20, 100, 5_000, 20_000, 65_536, 1 << 20, 400 << 20, 1500 << 20] {
                    let framing = Framing {
                        kind: FramingKind::Length,
                        length_bytes: bytes,
                        little_endian,
                        frame_max_bytes: max,
                        ..Framing::default()
                    };
                    let tls = u32::from_be_bytes([0x16, 3, 1, 0]);
                    let starts = [*b"GET ", *b"PUT ", *b"HEAD", tls.to_be_bytes()];
                    let fits = |start: &[u8; 4]| {
                        let mut field = [0; 4];
                        let len = bytes as usize;
                        field[..len].copy_from_slice(&start[..len]);
                        if !little_endian {
                            field[..len].reverse();
                        }
                        u32::from_le_bytes(field) <= max
                    };
                    assert_eq!(looks_like(&framing).is_some(), starts.iter().any(fits));
                }
            }
        }
    }
}
