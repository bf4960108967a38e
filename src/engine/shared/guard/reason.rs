//! Why a peer is refused.

/// Why a peer is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A rule denies its address.
    Rule,
    /// Its address is banned.
    Ban,
    /// Its address has as many connections as it may.
    PerAddress,
    /// Too many come at once.
    Rate,
    /// Too many come from its address at once.
    AddressRate,
    /// The host's own function says so.
    Admit,
}

impl Reason {
    /// So many there are.
    pub const COUNT: usize = 6;

    /// To complete "was refused: …".
    pub fn words(self) -> &'static str {
        match self {
            Reason::Rule => "a rule denies its address",
            Reason::Ban => "its address is banned",
            Reason::PerAddress => "its address has per_address_max connections",
            Reason::Rate => "accepts_per_s is reached",
            Reason::AddressRate => "its address has reached per_address_per_s",
            Reason::Admit => "the host does not admit it",
        }
    }
}
