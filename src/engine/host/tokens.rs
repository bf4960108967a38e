//! Connect tokens, which need no net.

use crate::engine::shared::error::{Error, Refusal};
use crate::transport::lanes::envelope::token::{self, Config, TOKEN};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a token is made of.
pub struct TokenConfig<'a> {
    /// The game, and its version.
    pub protocol_id: u64,
    /// What the servers have too.
    pub key: [u8; 32],
    /// The player.
    pub client_id: u64,
    /// For how long it is good; not 0.
    pub expire_s: u32,
    /// After how much silence a peer is gone. 0 or less: never.
    pub timeout_s: i32,
    /// The servers.
    pub addresses: Vec<SocketAddr>,
    /// For the server's program.
    pub user_data: &'a [u8],
}

/// Makes a connect token.
pub fn make_token(given: &TokenConfig) -> Result<[u8; TOKEN], Refusal> {
    let refuse = |words: &str| Refusal::new(Error::Invalid, words);
    if given.expire_s == 0 {
        return Err(refuse("token.expire_s is 0"));
    }
    if given.addresses.iter().any(|address| address.port() == 0) {
        return Err(refuse("token.addresses has one without a port"));
    }
    let config = Config {
        protocol_id: given.protocol_id,
        key: given.key,
        client_id: given.client_id,
        expire_s: given.expire_s.into(),
        timeout_s: given.timeout_s,
        public: &given.addresses,
        user_data: given.user_data,
        unix_s: unix_s(),
    };
    token::make(&config).map_err(|error| match error {
        token::Error::Addresses => refuse("token.addresses must be 1 to 32"),
        token::Error::UserData => refuse("token.user_data_len is over 256"),
        token::Error::Random => Refusal::new(Error::Os, "the system has no random bytes"),
    })
}

/// Seconds since 1970, by this machine's clock.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
