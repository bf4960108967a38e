//! Events as values: owned copies, and batches that keep the library's own bytes in reach.

use super::net::Net;
use super::words::OK;
use sockeye::capi::address::sockeye_address;
use sockeye::capi::buffer::{sockeye_buffer, sockeye_buffer_release};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::datagram::sockeye_event_address;
use sockeye::capi::event::{SOCKEYE_EVENT_HOST, sockeye_event, sockeye_event_kind};
use sockeye::capi::listener::sockeye_listener;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Opened,
    /// A message, or bytes of a connection without framing: the rules check which of the two.
    Message,
    Datagram,
    Writable,
    Moved,
    Closed,
    ListenerClosed,
    Posted,
    Ended,
    Timer,
    Resolved,
    Migrated,
    /// Of a kind of the host's own.
    Host,
}

impl Kind {
    fn from_number(number: u32) -> Kind {
        use sockeye_event_kind as kind;
        const TABLE: [(sockeye_event_kind, Kind); 13] = [
            (kind::SOCKEYE_EVENT_OPENED, Kind::Opened),
            (kind::SOCKEYE_EVENT_MESSAGE, Kind::Message),
            (kind::SOCKEYE_EVENT_BYTES, Kind::Message),
            (kind::SOCKEYE_EVENT_DATAGRAM, Kind::Datagram),
            (kind::SOCKEYE_EVENT_WRITABLE, Kind::Writable),
            (kind::SOCKEYE_EVENT_MOVED, Kind::Moved),
            (kind::SOCKEYE_EVENT_CLOSED, Kind::Closed),
            (kind::SOCKEYE_EVENT_LISTENER_CLOSED, Kind::ListenerClosed),
            (kind::SOCKEYE_EVENT_POSTED, Kind::Posted),
            (kind::SOCKEYE_EVENT_ENDED, Kind::Ended),
            (kind::SOCKEYE_EVENT_TIMER, Kind::Timer),
            (kind::SOCKEYE_EVENT_RESOLVED, Kind::Resolved),
            (kind::SOCKEYE_EVENT_MIGRATED, Kind::Migrated),
        ];
        if number >= SOCKEYE_EVENT_HOST {
            return Kind::Host;
        }
        TABLE
            .into_iter()
            .find_map(|(known, kind)| (known as u32 == number).then_some(kind))
            .unwrap_or_else(|| panic!("an event of unknown kind {number}"))
    }
}

/// An event with its payload copied, to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub kind: Kind,
    /// Whether it is a whole message, which a connection with framing has.
    pub is_whole: bool,
    pub queue: u32,
    pub cause: i32,
    pub os_error: i32,
    pub conn: sockeye_conn,
    pub listener: sockeye_listener,
    pub user_data: u64,
    pub detail: u64,
    pub flags: u32,
    /// Of the events that have one; of a message its lane.
    pub code: u32,
    /// Of a datagram.
    pub sender: Option<SocketAddr>,
    /// Of a datagram: `local` of its sender's address.
    pub asked: [u8; 16],
    pub data: Vec<u8>,
}

impl Event {
    /// A copy of an event of a batch that lives.
    ///
    /// # Safety
    /// The event is of the library, and its payload is there.
    pub unsafe fn copy(raw: &sockeye_event, queue: u32) -> Event {
        let data = if raw.data.is_null() {
            assert_eq!(raw.data_len, 0, "a length without a payload");
            Vec::new()
        } else {
            // SAFETY: as this function's own.
            unsafe { std::slice::from_raw_parts(raw.data, raw.data_len as usize) }.to_vec()
        };
        Event {
            kind: Kind::from_number(raw.kind),
            is_whole: raw.kind == sockeye_event_kind::SOCKEYE_EVENT_MESSAGE as u32,
            queue,
            cause: raw.cause,
            os_error: raw.os_error,
            conn: raw.conn,
            listener: raw.listener,
            user_data: raw.user_data,
            detail: raw.detail,
            flags: raw.flags,
            code: raw.code,
            sender: sender(raw).as_ref().map(socket_address),
            asked: sender(raw).map_or([0; 16], |address| address.local),
            data,
        }
    }
}

/// The sender of a datagram, which has to be none for every other event.
fn sender(event: &sockeye_event) -> Option<sockeye_address> {
    // SAFETY: the batch lives, and with it the address.
    let address = unsafe { sockeye_event_address(event).as_ref() };
    let is_one = event.kind == sockeye_event_kind::SOCKEYE_EVENT_DATAGRAM as u32;
    assert_eq!(address.is_some(), is_one, "a datagram has a sender, nothing else has");
    address.copied()
}

/// An address of the ABI as a Rust value.
pub fn socket_address(address: &sockeye_address) -> SocketAddr {
    match address.family {
        4 => {
            let [a, b, c, d, ..] = address.bytes;
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), address.port)
        }
        6 => {
            let ip = Ipv6Addr::from(address.bytes);
            SocketAddrV6::new(ip, address.port, 0, address.scope_id).into()
        }
        family => panic!("an address of family {family}"),
    }
}

/// The events of one poll. Holds its borrow, so that no other poll can end the batch meanwhile.
pub struct Batch<'a> {
    pub net: &'a Net,
    pub raw: Vec<sockeye_event>,
    pub queue: u32,
}

impl Batch<'_> {
    /// The payload where the library put it.
    pub fn payload(&self, at: usize) -> &[u8] {
        let event = &self.raw[at];
        if event.data.is_null() {
            assert_eq!(event.data_len, 0, "a length without a payload");
            return &[];
        }
        // SAFETY: the batch lives as long as `self`, and the library keeps its payloads as long.
        unsafe { std::slice::from_raw_parts(event.data, event.data_len as usize) }
    }

    pub fn kind(&self, at: usize) -> Kind {
        Kind::from_number(self.raw[at].kind)
    }

    pub fn events(&self) -> Vec<Event> {
        // SAFETY: the batch lives as long as `self`.
        self.raw.iter().map(|raw| unsafe { Event::copy(raw, self.queue) }).collect()
    }

    /// `sockeye_event_hold` of one event.
    pub fn hold(&self, at: usize) -> Result<Buffer, i32> {
        self.net.hold(&self.raw[at])
    }
}

/// A buffer that is released when it is dropped.
pub struct Buffer(pub(super) sockeye_buffer);

impl Buffer {
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the library keeps `data_len` bytes until the release.
        unsafe { std::slice::from_raw_parts(self.0.data, self.0.data_len as usize) }
    }

    /// The room of an acquired buffer once it is written.
    pub fn written(&self) -> &[u8] {
        // SAFETY: an acquired buffer has `capacity` bytes, zeros or what the host wrote.
        unsafe { std::slice::from_raw_parts(self.0.data, self.0.capacity as usize) }
    }

    /// The room of an acquired buffer.
    pub fn room(&mut self) -> &mut [u8] {
        // SAFETY: an acquired buffer has `capacity` bytes that are this value's alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.data, self.0.capacity as usize) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: made by the library, unchanged, released once.
        assert_eq!(unsafe { sockeye_buffer_release(&mut self.0) }, OK);
    }
}
