//! Connect tokens, which a login backend makes and a client hands to a server; and challenge
//! tokens, by which a server knows again whom it has challenged.
//!
//! A connect token has a private part, which only the server can open, and in front of it and
//! behind it what the client needs: where the servers are, and the keys of the connection.

use super::bytes::{ADDRESSES_MAX, Reader, put_addresses};
use super::{Key, Keys, TAG, USER_DATA, VERSION, cipher};
use ring::rand::{SecureRandom, SystemRandom};
use std::net::SocketAddr;

/// Bytes of a connect token.
pub const TOKEN: usize = 2048;
/// Bytes of its private part.
pub const PRIVATE: usize = 1024;
/// Bytes of a sealed challenge token.
pub const CHALLENGE: usize = 300;

/// What proves that a private part was made with the server's key; no two tokens have the same.
pub type Mac = [u8; TAG];

/// What a connect token is made of.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    /// The game, and its version.
    pub protocol_id: u64,
    /// What backend and servers share.
    pub key: Key,
    /// The client. Only one connection of it stands at a time.
    pub client_id: u64,
    /// For how many seconds a connection can be opened with it.
    pub expire_s: u64,
    /// After how many seconds of silence a peer is gone. Negative: never.
    pub timeout_s: i32,
    /// The servers, 1 to 32, in the order in which they are tried.
    pub public: &'a [SocketAddr],
    /// For the server's program: at most 256 bytes, the rest is zeros.
    pub user_data: &'a [u8],
    /// The time, in seconds since 1970.
    pub unix_s: u64,
}

/// Why there is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Not 1 to 32 addresses.
    Addresses,
    /// Over 256 bytes.
    UserData,
    /// The system has no random bytes.
    Random,
}

/// Why a client can do nothing with a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenError {
    /// Of another version of netcode.
    Version,
    /// It is broken.
    Invalid,
}

/// What is drawn at random for each token.
pub(super) struct Secrets {
    pub nonce: [u8; 24],
    pub to_server: Key,
    pub to_client: Key,
}

/// Makes a connect token.
pub fn make(config: &Config) -> Result<[u8; TOKEN], Error> {
    let mut secrets = Secrets { nonce: [0; 24], to_server: [0; 32], to_client: [0; 32] };
    let random = SystemRandom::new();
    for bytes in [&mut secrets.nonce[..], &mut secrets.to_server, &mut secrets.to_client] {
        random.fill(bytes).map_err(|_| Error::Random)?;
    }
    make_with(config, &secrets)
}

/// Makes it with these secrets.
pub(super) fn make_with(config: &Config, secrets: &Secrets) -> Result<[u8; TOKEN], Error> {
    if !(1..=ADDRESSES_MAX).contains(&config.public.len()) {
        return Err(Error::Addresses);
    }
    if config.user_data.len() > USER_DATA {
        return Err(Error::UserData);
    }
    let expire_s = config.unix_s.saturating_add(config.expire_s);
    let mut private = Vec::with_capacity(PRIVATE);
    private.extend(config.client_id.to_le_bytes());
    private.extend(config.timeout_s.to_le_bytes());
    put_addresses(&mut private, config.public);
    private.extend(secrets.to_server);
    private.extend(secrets.to_client);
    private.extend(config.user_data);
    private.resize(PRIVATE, 0);
    let additional = additional(config.protocol_id, expire_s);
    cipher::seal_long(&config.key, &secrets.nonce, &additional, &mut private);

    let mut token = Vec::with_capacity(TOKEN);
    token.extend(VERSION);
    token.extend(config.protocol_id.to_le_bytes());
    token.extend(config.unix_s.to_le_bytes());
    token.extend(expire_s.to_le_bytes());
    token.extend(secrets.nonce);
    token.extend(private);
    token.extend(config.timeout_s.to_le_bytes());
    put_addresses(&mut token, config.public);
    token.extend(secrets.to_server);
    token.extend(secrets.to_client);
    token.resize(TOKEN, 0);
    Ok(token.try_into().expect("resized to it"))
}

/// The protocol and the servers, of which there is one at least, that a connect token is for.
pub fn servers(token: &[u8]) -> Option<(u64, Vec<SocketAddr>)> {
    let public = Public::read(token.try_into().ok()?).ok()?;
    Some((public.protocol_id, public.servers))
}

/// What a client reads of a connect token.
pub(super) struct Public {
    pub protocol_id: u64,
    pub create_s: u64,
    pub expire_s: u64,
    pub nonce: [u8; 24],
    pub private: [u8; PRIVATE],
    pub timeout_s: i32,
    pub servers: Vec<SocketAddr>,
    /// The client's.
    pub keys: Keys,
}

impl Public {
    pub fn read(token: &[u8; TOKEN]) -> Result<Public, TokenError> {
        let rest = token.strip_prefix(VERSION).ok_or(TokenError::Version)?;
        let public = Public::parse(Reader(rest)).ok_or(TokenError::Invalid)?;
        if public.create_s > public.expire_s {
            return Err(TokenError::Invalid);
        }
        Ok(public)
    }

    fn parse(mut from: Reader) -> Option<Public> {
        // In the order of the wire, as fields are evaluated in the order in which they stand.
        Some(Public {
            protocol_id: from.u64()?,
            create_s: from.u64()?,
            expire_s: from.u64()?,
            nonce: from.array()?,
            private: from.array()?,
            timeout_s: from.u32()? as i32,
            servers: from.addresses()?,
            keys: Keys { send: from.array()?, receive: from.array()? },
        })
    }
}

/// What a server reads of the private part of a connect token.
pub(super) struct Private {
    pub client_id: u64,
    pub timeout_s: i32,
    pub servers: Vec<SocketAddr>,
    /// The server's.
    pub keys: Keys,
    pub user_data: [u8; USER_DATA],
}

impl Private {
    /// Opens it in place. None: it was not made with this key for this protocol and expiry, or
    /// makes no sense.
    pub fn open(
        key: &Key,
        protocol_id: u64,
        expire_s: u64,
        nonce: &[u8; 24],
        private: &mut [u8; PRIVATE],
    ) -> Option<Private> {
        let additional = additional(protocol_id, expire_s);
        cipher::open_long(key, nonce, &additional, private).ok()?;
        let mut from = Reader(&private[..PRIVATE - TAG]);
        Some(Private {
            client_id: from.u64()?,
            timeout_s: from.u32()? as i32,
            servers: from.addresses()?,
            keys: Keys { receive: from.array()?, send: from.array()? },
            user_data: from.array()?,
        })
    }
}

fn additional(protocol_id: u64, expire_s: u64) -> [u8; 29] {
    let mut bytes = [0; 29];
    bytes[..13].copy_from_slice(VERSION);
    bytes[13..21].copy_from_slice(&protocol_id.to_le_bytes());
    bytes[21..].copy_from_slice(&expire_s.to_le_bytes());
    bytes
}

/// Whom a server has challenged.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Challenge {
    pub client_id: u64,
    pub user_data: [u8; USER_DATA],
}

impl Challenge {
    /// Its plaintext, with room for a tag.
    pub fn to_bytes(&self) -> [u8; CHALLENGE] {
        let mut bytes = [0; CHALLENGE];
        bytes[..8].copy_from_slice(&self.client_id.to_le_bytes());
        bytes[8..8 + USER_DATA].copy_from_slice(&self.user_data);
        bytes
    }

    pub fn seal(&self, key: &Key, sequence: u64) -> [u8; CHALLENGE] {
        let mut bytes = self.to_bytes();
        cipher::seal(key, cipher::nonce(sequence), &[], &mut bytes);
        bytes
    }

    pub fn open(key: &Key, sequence: u64, mut sealed: [u8; CHALLENGE]) -> Option<Challenge> {
        cipher::open(key, cipher::nonce(sequence), &[], &mut sealed).ok()?;
        let mut from = Reader(&sealed);
        Some(Challenge { client_id: from.u64()?, user_data: from.array()? })
    }
}
