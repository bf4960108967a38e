//! What the host sends: to one connection, to many, and messages in parts.

use crate::buf::{Chunk, Purpose, Slice};
use crate::engine::host::net::Net;
use crate::engine::shared::config::Kind;
use crate::engine::shared::conn::End;
use crate::engine::shared::error::Error;
use crate::engine::shared::groups::deliver::settle;
use crate::engine::shared::home::Command;
use crate::engine::shared::rendering::{DEFLATE_MIN, Form, Rendering};
use crate::engine::shared::table::HeldConn;
use crate::io::Token;
use crate::session::{
    Cause, Framing, FramingKind, GATHER_MAX, Key, Limits, Memory, Outgoing, Overflow, Parts,
    SendError, Session, TAG_BYTES, Tag,
};
use std::sync::Arc;

/// Larger messages are copied outside of the connection's lock.
const LOCKED_COPY_MAX: usize = 4096;

/// A message in parts.
#[derive(Default)]
pub struct Message<'a> {
    /// They make the message, one behind the other.
    pub parts: &'a [&'a [u8]],
    /// What it is about: a newer message takes the place of an older one that waits.
    pub key: Key,
    /// To WebSockets it is text.
    pub text: bool,
    /// Where lanes are: which of them.
    pub lane: u8,
    /// Where lanes are: of no use after so many milliseconds; 0: always of use.
    pub deadline_ms: u32,
    /// Memory of the library's: parts in it need not be copied.
    pub buffer: Option<&'a Slice>,
}

/// A message in parts on its way to many.
struct Sending<'a> {
    parts: Parts<'a>,
    tag: Tag,
    text: bool,
    /// It is copied among the other messages of its connection.
    gathers: bool,
    /// As the one before was given it.
    rendering: Rendering,
}

impl<'a> Sending<'a> {
    /// Of a message to `count` connections.
    fn new(parts: Parts<'a>, tag: Tag, text: bool, count: usize) -> Sending<'a> {
        let gathers = count == 1 && tag.key.key == 0 && parts.is_small(GATHER_MAX);
        Sending { parts, tag, text, gathers, rendering: Rendering::default() }
    }
}

impl Net {
    /// Gives one message to a connection.
    #[inline]
    pub fn send(&self, token: Token, data: &[u8]) -> Result<(), Error> {
        self.check_running()?;
        let Ok(held) = self.hold_conn(token) else {
            return self.send_datagram(token, None, data, false);
        };
        if held.session.web().is_some_and(|bits| bits > 0) && data.len() >= DEFLATE_MIN {
            drop(held);
            return self.send_deflated(token, data);
        }
        if data.len() <= LOCKED_COPY_MAX {
            return self.take(token, held, Outgoing::Copy(data));
        }
        self.send_large(token, held, data)
    }

    /// As `send`, of a message that is copied outside of the connection's lock.
    fn send_large(&self, token: Token, mut held: HeldConn<'_>, data: &[u8]) -> Result<(), Error> {
        let conn = &mut *held;
        let (endpoint, framing) = (conn.endpoint.clone(), *conn.framing());
        let wire = Session::wire_bytes(&framing, data)?;
        if wire > endpoint.limits.outbox_max_bytes as usize {
            return Err(Error::TooBig);
        }
        let purpose = conn.session.outbox().purpose(wire);
        drop(held);
        let framed = Session::frame(&framing, &self.core.pool, data, purpose);
        let held = self.hold_conn(token)?;
        match framed {
            // The framing may have been changed meanwhile.
            _ if !Arc::ptr_eq(&held.endpoint, &endpoint) => {
                self.take(token, held, Outgoing::Copy(data))
            }
            Ok(framed) => self.take(token, held, Outgoing::Framed(framed.into_slice())),
            Err(SendError::Memory) => self.refuse_for_memory(token, held, wire),
            Err(error) => Err(error.into()),
        }
    }

    /// As `send`, where the messages of the connection are deflated.
    #[cold]
    fn send_deflated(&self, token: Token, data: &[u8]) -> Result<(), Error> {
        let parts = [data];
        let parts = Parts::new(&parts, None).ok_or(Error::Invalid)?;
        self.send_or_owe(token, &mut Sending::new(parts, Tag::default(), false, 1), 1)
    }

    /// As `send`, of a message in a lane. Connections without lanes have one, for all.
    pub fn send_in_lane(&self, token: Token, lane: u8, data: &[u8]) -> Result<(), Error> {
        self.check_running()?;
        let Ok(held) = self.hold_conn(token) else {
            return self.send_datagram(token, None, data, false);
        };
        if held.session.lanes().is_none() {
            drop(held);
            return self.send(token, data);
        }
        let tag = Tag { lane, ..Tag::default() };
        self.take_by(token, held, data.len(), tag, |session, framing, limits, memory| {
            session.send(framing, limits, memory, Outgoing::Copy(data), false)
        })
    }

    /// There is no memory for a message of `wire` bytes: a WRITABLE is owed when there is.
    fn refuse_for_memory(
        &self,
        token: Token,
        held: HeldConn<'_>,
        wire: usize,
    ) -> Result<(), Error> {
        self.take_by(token, held, wire, Tag::default(), |session, _, _, _| {
            Err(session.refuse_for_memory(wire))
        })
    }

    /// Where the sends of a worker's connections get their memory.
    pub fn memory(&self, home: usize) -> Memory<'_> {
        Memory { arena: &self.core.homes[home].arena, pool: &self.core.pool }
    }

    /// Gives a message to a locked connection, and has its worker look at it.
    #[inline]
    fn take(&self, token: Token, held: HeldConn<'_>, message: Outgoing<'_>) -> Result<(), Error> {
        let bytes = message.bytes();
        self.take_by(token, held, bytes, Tag::default(), |session, framing, limits, memory| {
            session.send(framing, limits, memory, message, false)
        })
    }

    /// As `take`, of a message of `bytes` that only `send` knows.
    #[inline]
    fn take_by(
        &self,
        token: Token,
        mut held: HeldConn<'_>,
        bytes: usize,
        tag: Tag,
        send: impl FnOnce(&mut Session, &Framing, &Limits, Memory<'_>) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let conn = &mut *held;
        settle(&self.core, token, conn);
        if !conn.takes_sends() {
            if let (Some((cause, os_error)), End::Not) = (conn.broken(), conn.life.end) {
                // A paused connection broke: the send that fails lets it be reported.
                conn.end_abruptly(cause, os_error);
                let home = usize::from(conn.home);
                self.core.summon(token, held, home);
            }
            return Err(Error::Closed);
        }
        let home = usize::from(conn.home);
        let framing = conn.endpoint.framing_of(conn.session.web().is_some());
        let limits = &conn.endpoint.limits;
        let tagged;
        let framing = match conn.session.lanes() {
            None => framing,
            Some(_) => {
                tagged = Framing { tag, ..*framing };
                &tagged
            }
        };
        let wire = bytes + TAG_BYTES;
        match conn.session.send_in_lane(limits, tag.lane, wire, |session| {
            send(session, framing, limits, self.memory(home))
        }) {
            Ok(()) => {
                self.core.note_send(token, None);
                if std::mem::replace(&mut conn.marks.dirty, true) {
                    return Ok(());
                }
                if self.core.is_manual() {
                    // Under the lock: who finds it dirty may rely on the next flush.
                    self.core.homes[self.core.stage_home(conn)].stage(token);
                } else {
                    drop(held);
                    self.core.homes[home].post(Command::Flush(token));
                }
                Ok(())
            }
            Err(SendError::Overflow) => {
                conn.end_abruptly(Cause::LimitOutbox, 0);
                self.core.summon(token, held, home);
                Err(Error::Closed)
            }
            Err(SendError::Memory) => {
                let purpose = conn.session.outbox().purpose(bytes);
                self.thirst(token, home, bytes, purpose);
                Err(Error::Again)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Has the worker look at a connection when there is memory again for what was refused.
    pub fn thirst(&self, token: Token, home: usize, bytes: usize, purpose: Purpose) {
        let pool = &self.core.pool;
        self.core.thirst_for(token, home, bytes, purpose);
        // It may have come back before the line above.
        if pool.would_take(bytes, purpose) {
            pool.poke();
            self.core.homes[home].wake();
        }
    }

    /// Gives the same message to many; copied once for neighbours of the same framing.
    pub fn send_many(
        &self,
        count: usize,
        conn: impl Fn(usize) -> u64,
        data: &[u8],
        mut tell: impl FnMut(usize, Result<(), Error>),
    ) -> Result<usize, Error> {
        self.check_running()?;
        let mut framed: Option<(Form, Result<Chunk, SendError>)> = None;
        let parts = [data];
        let parts = || Parts::new(&parts, None).ok_or(Error::Invalid);
        let mut deflated = None;
        let mut taken = 0;
        for at in 0..count {
            let answer = self.token(conn(at), Kind::Conn).and_then(|token| {
                let Ok(held) = self.hold_conn(token) else {
                    return self.send_datagram(token, None, data, false);
                };
                if held.session.web().is_some_and(|bits| bits > 0) {
                    drop(held);
                    let sending = match &mut deflated {
                        Some(sending) => sending,
                        none => none.insert(Sending::new(parts()?, Tag::default(), false, count)),
                    };
                    return self.send_or_owe(token, sending, count - at);
                }
                if !framed.as_ref().is_some_and(|(form, _)| form.is_of(&held)) {
                    let (form, pool) = (Form::of(&held), &self.core.pool);
                    let chunk = Session::frame(form.framing(), pool, data, Purpose::Send);
                    framed = Some((form, chunk));
                }
                match &mut framed.as_mut().ok_or(Error::Invalid)?.1 {
                    Ok(chunk) => self.take(token, held, Outgoing::Framed(chunk.share())),
                    Err(SendError::Memory) if taken > 0 => {
                        let wire = Session::wire_bytes(held.framing(), data)?;
                        if wire > held.endpoint.limits.outbox_max_bytes as usize {
                            return Err(Error::TooBig);
                        }
                        self.refuse_for_memory(token, held, wire)
                    }
                    Err(SendError::Memory) => Err(Error::NoMemory),
                    Err(error) => Err((*error).into()),
                }
            });
            if answer == Err(Error::NoMemory) && taken == 0 {
                return Err(Error::NoMemory);
            }
            taken += usize::from(answer.is_ok());
            tell(at, answer);
        }
        Ok(taken)
    }

    /// Gives the same message in parts to many; copied once for neighbours of the same framing.
    pub fn send_message(
        &self,
        count: usize,
        conn: impl Fn(usize) -> u64,
        message: &Message<'_>,
        mut tell: impl FnMut(usize, Result<(), Error>),
    ) -> Result<usize, Error> {
        self.check_running()?;
        let parts = Parts::new(message.parts, message.buffer).ok_or(Error::Invalid)?;
        let mut sending = Sending::new(parts, self.tag_of(message), message.text, count);
        let mut taken = 0;
        for at in 0..count {
            let answer = self.token(conn(at), Kind::Conn).and_then(|token| {
                match self.send_one(token, &mut sending, count - at) {
                    Err(Error::NoMemory) if count == 1 || taken > 0 => self.owe(token, &sending),
                    Err(Error::Stale) => self.send_datagram_of(token, message),
                    answer => answer,
                }
            });
            if answer == Err(Error::NoMemory) && taken == 0 {
                return Err(Error::NoMemory);
            }
            taken += usize::from(answer.is_ok());
            tell(at, answer);
        }
        Ok(taken)
    }

    /// Where a message goes that has lanes.
    pub fn tag_of(&self, message: &Message<'_>) -> Tag {
        let at = self.core.now().wrapping_add(message.deadline_ms.into()) as u32;
        let deadline = if message.deadline_ms == 0 { 0 } else { at.max(1) };
        Tag { lane: message.lane, deadline, key: message.key }
    }

    /// There is no memory for a message: a WRITABLE is owed when there is.
    fn owe(&self, token: Token, sending: &Sending) -> Result<(), Error> {
        let held = self.hold_conn(token)?;
        let wire = sending.parts.wire_bytes(held.framing())?;
        self.refuse_for_memory(token, held, wire)
    }

    /// As `send_one`; without memory a WRITABLE is owed.
    fn send_or_owe(&self, token: Token, sending: &mut Sending, left: usize) -> Result<(), Error> {
        match self.send_one(token, sending, left) {
            Err(Error::NoMemory) => self.owe(token, sending),
            answer => answer,
        }
    }

    /// Gives a message in parts to one connection; `left`: to how many, from this one on.
    fn send_one(&self, token: Token, sending: &mut Sending, left: usize) -> Result<(), Error> {
        let Sending { parts, tag, text, gathers, rendering } = sending;
        let key = tag.key;
        loop {
            let held = self.hold_conn(token)?;
            let (framing, limits) = (held.framing(), &held.endpoint.limits);
            let wire = parts.wire_bytes(framing)?;
            if key.key != 0 && (framing.kind == FramingKind::Raw || wire == 0) {
                return Err(Error::Invalid);
            }
            if wire > limits.outbox_max_bytes as usize {
                return Err(Error::TooBig);
            }
            let web = framing.kind == FramingKind::Web;
            // Where lanes are, a key is the transport's.
            let key = if held.session.lanes().is_some() { Key::default() } else { key };
            if *gathers && !web && limits.overflow != Overflow::DropOldest {
                return self.take_by(
                    token,
                    held,
                    wire,
                    *tag,
                    |session, framing, limits, memory| {
                        session.send_parts(framing, limits, memory, parts)
                    },
                );
            }
            if let Some(framed) = rendering.for_conn(&held) {
                return self.take_by(
                    token,
                    held,
                    wire,
                    *tag,
                    |session, framing, limits, memory| {
                        session.send_framed(framing, limits, memory, framed, key)
                    },
                );
            }
            // Copied without the lock: the connection may have another framing afterwards.
            let form = Form::of(&held);
            drop(held);
            let made = rendering.make(form, parts, *tag, *text, &self.core.pool, left);
            made.map_err(|error| match error {
                SendError::Memory => Error::NoMemory,
                error => error.into(),
            })?;
        }
    }
}
