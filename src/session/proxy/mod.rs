//! The PROXY protocol, versions 1 and 2: the header with which a proxy begins a connection, to say
//! whom it speaks for. The section numbers are those of haproxy's `doc/proxy-protocol.txt`.

#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::net::SocketAddr;

/// The longest header that is read, of either version.
pub const HEADER_MAX: usize = v2::MAX;

/// What a header says of where its connection comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nothing, or nothing that is an address here: the connection is what it seems to be.
    Own,
    /// It was relayed for a peer at this address.
    Peer(SocketAddr),
}

/// What is wrong with a header, to complete "its header …".
pub type Wrong = &'static str;

/// A whole header, and how many bytes it has. None: more of it is to come, and nothing that was
/// seen of it is wrong.
type Read = Result<Option<(Source, usize)>, Wrong>;

/// Reads the header that a stream begins with. Whatever way the stream is split, the answer is the
/// same.
pub fn parse(bytes: &[u8]) -> Read {
    let begins = |with: &[u8]| bytes.starts_with(with) || with.starts_with(bytes);
    if begins(v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins(v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err("is not there: its first bytes are none of the PROXY protocol")
    }
}

/// Reads a header that may come in parts.
#[derive(Default, PartialEq, Debug)]
pub struct Reader {
    /// The parts that came.
    held: Vec<u8>,
}

impl Reader {
    /// More of the stream. Answers the header once it is whole, and how many of these bytes are of
    /// it; what follows them is not looked at.
    pub fn read(&mut self, bytes: &[u8]) -> Read {
        let before = self.held.len();
        if before == 0 {
            let read = parse(bytes)?;
            if read.is_none() {
                self.held = bytes.to_vec();
            }
            return Ok(read);
        }
        let more = bytes.len().min(HEADER_MAX - before);
        self.held.extend_from_slice(&bytes[..more]);
        Ok(parse(&self.held)?.map(|(source, len)| (source, len - before)))
    }
}
