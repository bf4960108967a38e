//! What a system knows of the way to a peer.

#[cfg(unix)]
pub use super::unix::tcp::info;
#[cfg(windows)]
pub use super::windows::tcp::info;

/// What the system has measured of one TCP connection. What it does not measure is 0.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TcpInfo {
    /// The smoothed time from a segment to its acknowledgement, in microseconds.
    pub rtt_us: u32,
    /// How much that varies, in microseconds.
    pub rtt_var_us: u32,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
}
