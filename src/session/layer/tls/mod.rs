//! TLS as a layer, on rustls: RFC 8446 and RFC 5246. The only files that name that library are in
//! this folder, `configs.rs` of the host's side among them.
//!
//! What is received is decrypted where it stands, so it is copied here first; plaintext goes to a
//! chunk of the pool. What rustls has looked at and not used up is kept as rustls left it: given
//! again as it came, it could not be decrypted a second time.

mod cause;
mod facts;
#[cfg(test)]
pub(crate) mod tests;

use super::{Layer, Plain, Starved, State};
use crate::buf::{Chunk, Pool, Slice, Train};
use crate::session::event::Cause;
use crate::session::limits::Millis;
pub use facts::TlsFacts;
use rustls::client::{ClientConfig, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{Error, ProtocolVersion};
use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

/// The most plaintext that is sealed at once: the rest stays messages.
const SEAL_MAX: usize = 32 << 10;
/// Plaintext of one record: RFC 8446, section 5.1.
const RECORD_MAX: usize = 16 << 10;
/// What a record takes beside its plaintext, at most.
const OVERHEAD_MAX: usize = 64;
/// A record as rustls takes it at most, with its header.
const UNREAD_MAX: usize = 18_437 + 5;
/// What a peer may send of one handshake message before it has proven itself.
const STRANGER_MAX: usize = 8 << 10;
/// Bytes in front of a record.
const HEADER: usize = 5;
/// Types of records: RFC 8446, section 5.1.
const CHANGE_CIPHER: u8 = 20;
const HANDSHAKE: u8 = 22;
/// Records in front of an alert, and it.
const LAST_WORDS_MAX: usize = 16;
/// A handshake message with certificates.
const CERTIFICATES_MAX: usize = 64 << 10;

thread_local! {
    /// The name that the client asks for whose hello is looked at. rustls keeps it for connections
    /// with buffers alone.
    static ASKED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Whoever chooses the certificate of a connection says here what name was asked for.
pub fn note_name(name: Option<&str>) {
    ASKED.set(name.map(Box::from));
}

/// What TLS connections are made with.
#[derive(Clone)]
pub enum TlsEnd {
    /// Of accepted ones. `chains`: clients are asked for a certificate.
    Server {
        /// How.
        config: Arc<ServerConfig>,
        /// Whether clients are asked for a certificate.
        asks: bool,
    },
    /// Of one that connects to this name.
    Client(Arc<ClientConfig>, ServerName<'static>),
}

enum Conn {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// The TLS of one connection.
pub struct Tls {
    conn: Conn,
    state: State,
    /// Received, and not given to rustls.
    arrived: Vec<u8>,
    /// Given to rustls, and not used up.
    input: Vec<u8>,
    /// To be sent, and not of the outbox: handshakes, alerts, new keys.
    own: Vec<u8>,
    /// The longest input that makes no whole record or handshake message.
    input_max: usize,
    /// The client is asked for a certificate.
    asks: bool,
    failed: Option<Cause>,
    /// The alert that the peer sent.
    alert: u8,
    /// The peer has said that nothing follows.
    ended: bool,
    /// The name that the client asked for.
    name: Option<Box<str>>,
}

/// What is to be written as soon as that is possible.
enum Write<'a> {
    Nothing,
    /// Plaintext, until it is sealed.
    Plain(&'a [u8]),
    /// That nothing follows.
    Goodbye,
}

/// What one step came to.
enum Step {
    /// There may be more to do.
    Again,
    /// It waits for the peer, or is ready to write.
    Rests,
    Ended,
    Failed(Error),
}

/// Where a step puts what comes out of it.
struct Sink<'a> {
    /// Plaintext. It has room for all of the input.
    plain: Option<&'a mut Chunk>,
    wire: &'a mut Vec<u8>,
    write: Write<'a>,
}

impl Tls {
    /// One that has said nothing as yet.
    pub fn new(end: &TlsEnd) -> Result<Tls, Error> {
        let asks = matches!(end, TlsEnd::Server { asks: true, .. });
        let (conn, input_max) = match end {
            TlsEnd::Server { config, asks } => {
                let most = if *asks { CERTIFICATES_MAX } else { STRANGER_MAX };
                (Conn::Server(UnbufferedServerConnection::new(config.clone())?), most)
            }
            TlsEnd::Client(config, name) => {
                let conn = UnbufferedClientConnection::new(config.clone(), name.clone())?;
                (Conn::Client(conn), CERTIFICATES_MAX)
            }
        };
        Ok(Tls {
            conn,
            state: State::Opening,
            arrived: Vec::new(),
            input: Vec::new(),
            own: Vec::new(),
            input_max,
            asks,
            failed: None,
            alert: 0,
            ended: false,
            name: None,
        })
    }

    /// One call of rustls, with the input from `start` on. Answers how many bytes of it are used
    /// up.
    fn step(&mut self, start: usize, plain: Option<&mut Chunk>, write: Write<'_>) -> (usize, Step) {
        let mut sink = Sink { plain, wire: &mut self.own, write };
        let input = &mut self.input[start..];
        match &mut self.conn {
            Conn::Client(conn) => sink.take(conn.process_tls_records(input)),
            Conn::Server(conn) => sink.take(conn.process_tls_records(input)),
        }
    }

    /// Takes steps until there is nothing to do without the peer.
    fn work(&mut self, mut plain: Option<&mut Chunk>, write: Write<'_>) {
        let mut start = 0;
        let mut write = Some(write);
        loop {
            // An empty write is one that was made already.
            let now = write.take().unwrap_or(Write::Nothing);
            let again = match &now {
                Write::Nothing => Write::Nothing,
                Write::Plain(plain) => Write::Plain(plain),
                Write::Goodbye => Write::Goodbye,
            };
            let (used, step) = self.step(start, plain.as_deref_mut(), now);
            match step {
                Step::Again => {
                    start += used;
                    write = Some(again);
                }
                Step::Rests => {
                    start += used;
                    break;
                }
                Step::Ended => {
                    start += used;
                    self.ended = true;
                    write = Some(again);
                }
                Step::Failed(error) => {
                    self.fail(&error, start);
                    return;
                }
            }
        }
        self.use_up(start);
        if self.state == State::Opening {
            self.name = ASKED.take().or(self.name.take());
        }
        if self.state == State::Opening && !self.is_handshaking() {
            (self.state, self.input_max) = (State::Open, UNREAD_MAX);
        }
    }

    /// Drops what is used up, and the memory where nothing is left.
    fn use_up(&mut self, count: usize) {
        if self.ended || count == self.input.len() {
            // What stands behind the peer's end is of no use to anyone.
            self.input = Vec::new();
        } else {
            self.input.drain(..count);
        }
    }

    /// Takes what is to be said before the end, of which the alert is the last. rustls says an
    /// alert again where it is asked once more.
    fn fail(&mut self, error: &Error, start: usize) {
        if let Error::AlertReceived(alert) = error {
            self.alert = u8::from(*alert);
        }
        for _ in 0..LAST_WORDS_MAX {
            let before = self.own.len();
            let _ = self.step(start, None, Write::Nothing);
            // Of those in front of it the type can be read.
            if !matches!(self.own.get(before), Some(&(CHANGE_CIPHER | HANDSHAKE))) {
                break;
            }
        }
        self.broken(cause::of(error));
    }

    fn broken(&mut self, cause: Cause) {
        (self.arrived, self.input) = (Vec::new(), Vec::new());
        (self.failed, self.state) = (Some(cause), State::Done(cause));
    }

    /// Whether the next message of the peer is a hello, which has all that keys are made of.
    fn is_stranger(&self) -> bool {
        match &self.conn {
            Conn::Client(_) => false,
            Conn::Server(conn) => {
                let first = conn.protocol_version() != Some(ProtocolVersion::TLSv1_2);
                first && conn.negotiated_key_exchange_group().is_none()
            }
        }
    }

    /// Whether the first record of what came is whole.
    fn has_record(&self) -> bool {
        let mut bytes = self.input.iter().chain(&self.arrived).skip(3);
        let len = bytes.next().zip(bytes.next()).map(|(high, low)| [*high, *low]);
        let all = self.input.len() + self.arrived.len();
        len.is_some_and(|len| all >= HEADER + usize::from(u16::from_be_bytes(len)))
    }

    fn is_handshaking(&self) -> bool {
        match &self.conn {
            Conn::Client(conn) => conn.is_handshaking(),
            Conn::Server(conn) => conn.is_handshaking(),
        }
    }

    /// What is to be said before anything of the outbox.
    fn speak(&mut self) {
        match self.state {
            // The client begins.
            State::Opening if self.input.is_empty() && matches!(self.conn, Conn::Client(_)) => {
                self.work(None, Write::Nothing);
            }
            State::Ending => {
                self.work(None, Write::Goodbye);
                if self.failed.is_none() {
                    self.state = State::Done(Cause::Host);
                }
            }
            _ => {}
        }
    }

    /// Moves what is to be sent to a chunk of its own.
    fn hand_over(&mut self, mut chunk: Chunk, wire: &mut Train) {
        chunk.put(&self.own);
        wire.push(chunk.into_slice());
        self.own = Vec::new();
    }
}

impl Sink<'_> {
    fn take<D>(&mut self, status: UnbufferedStatus<'_, '_, D>) -> (usize, Step) {
        let UnbufferedStatus { mut discard, state } = status;
        let step = match state {
            Err(error) => Step::Failed(error),
            Ok(ConnectionState::ReadTraffic(mut read)) => loop {
                match read.next_record() {
                    None => break Step::Again,
                    Some(Err(error)) => break Step::Failed(error),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        if let Some(chunk) = &mut self.plain {
                            chunk.put(record.payload);
                        }
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                match append(self.wire, |room| data.encode(room)) {
                    true => Step::Again,
                    false => Step::Failed(Error::EncryptError),
                }
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Step::Again
            }
            Ok(ConnectionState::WriteTraffic(traffic)) => self.write(traffic),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => Step::Rests,
            Ok(ConnectionState::PeerClosed) => Step::Ended,
            // Early data is never asked for.
            Ok(_) => Step::Failed(Error::General("a state that was not asked for".into())),
        };
        (discard, step)
    }

    fn write<D>(&mut self, mut traffic: WriteTraffic<'_, D>) -> Step {
        let written = match mem::replace(&mut self.write, Write::Nothing) {
            Write::Nothing => true,
            Write::Plain(plain) => append(self.wire, |room| traffic.encrypt(plain, room)),
            Write::Goodbye => append(self.wire, |room| traffic.queue_close_notify(room)),
        };
        if written { Step::Rests } else { Step::Failed(Error::EncryptError) }
    }
}

/// An error that says how much room is missing.
trait Missing {
    fn missing(&self) -> Option<usize>;
}

impl Missing for EncodeError {
    fn missing(&self) -> Option<usize> {
        match self {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncodeError::AlreadyEncoded => None,
        }
    }
}

impl Missing for EncryptError {
    fn missing(&self) -> Option<usize> {
        match self {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncryptError::EncryptExhausted => None,
        }
    }
}

/// Has something written behind what there is. False: it cannot be.
fn append<E: Missing>(
    wire: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> bool {
    let before = wire.len();
    let mut room = 0;
    loop {
        wire.resize(before + room, 0);
        match write(&mut wire[before..]) {
            Ok(count) => {
                wire.truncate(before + count);
                return true;
            }
            Err(error) => match error.missing() {
                Some(missing) if missing > room => room = missing,
                _ => {
                    wire.truncate(before);
                    return false;
                }
            },
        }
    }
}

impl Layer for Tls {
    fn state(&self) -> State {
        self.state
    }

    fn handle_received(&mut self, wire: Slice, _now: Millis) {
        if self.failed.is_none() && !self.ended {
            self.arrived.extend_from_slice(&wire);
            if self.input.len() + self.arrived.len() > self.input_max && self.is_stranger() {
                // It may have to wait for its turn, and has nothing to say that is so long.
                self.broken(Cause::TlsProtocol);
            }
        }
    }

    fn poll_plain(&mut self, pool: &Pool, _now: Millis) -> Plain {
        if !self.arrived.is_empty() {
            // Memory first: what is decrypted cannot be refused.
            let most = self.input.len() + self.arrived.len();
            let Some(mut chunk) = pool.take(most) else { return Plain::Starved(most) };
            match self.input.is_empty() {
                true => self.input = mem::take(&mut self.arrived),
                false => self.input.append(&mut self.arrived),
            }
            self.work(Some(&mut chunk), Write::Nothing);
            if self.input.len() > self.input_max {
                self.broken(Cause::TlsProtocol);
            }
            if !chunk.is_empty() {
                return Plain::Bytes(chunk.into_slice());
            }
        }
        match self.failed {
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
        self.speak();
        let taken = plain.len().min(SEAL_MAX);
        if taken == 0 && self.own.is_empty() {
            return Ok(0);
        }
        // New keys may be announced in front of it.
        let records = if taken > 0 { taken.div_ceil(RECORD_MAX) + 2 } else { 0 };
        let bytes = self.own.len() + taken + records * OVERHEAD_MAX;
        let chunk = pool.take(bytes).ok_or(Starved(bytes))?;
        if taken > 0 {
            let mut slices = plain.slices();
            match slices.next() {
                Some(first) if first.len() >= taken => {
                    self.work(None, Write::Plain(&first[..taken]));
                }
                first => {
                    let mut all = Vec::with_capacity(taken);
                    for slice in first.into_iter().chain(slices) {
                        all.extend_from_slice(&slice[..slice.len().min(taken - all.len())]);
                    }
                    self.work(None, Write::Plain(&all));
                }
            }
        }
        self.hand_over(chunk, wire);
        Ok(taken)
    }

    fn end(&mut self) {
        match self.state {
            State::Opening => self.state = State::Done(Cause::Host),
            State::Open => self.state = State::Ending,
            State::Ending | State::Done(_) => {}
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        None
    }

    fn handle_timeout(&mut self, _now: Millis) {}

    fn is_costly(&self) -> bool {
        let costly = match &self.conn {
            // Certificates are looked at.
            Conn::Client(_) => true,
            Conn::Server(conn) => self.asks || conn.negotiated_key_exchange_group().is_none(),
        };
        costly && self.state == State::Opening && !self.arrived.is_empty() && self.has_record()
    }

    fn held_bytes(&self) -> usize {
        self.arrived.len() + self.input.len() + self.own.len()
    }

    fn has_last_word(&self) -> bool {
        self.failed.is_some() && !self.own.is_empty()
    }

    fn code(&self) -> u16 {
        self.alert.into()
    }

    fn tls(&self) -> Option<TlsFacts> {
        Some(match &self.conn {
            Conn::Client(conn) => TlsFacts::new(conn, None),
            Conn::Server(conn) => TlsFacts::new(conn, self.name.as_deref()),
        })
    }
}
