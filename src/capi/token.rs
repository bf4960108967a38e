//! Connect tokens: what a login backend gives to players, and a `game://` server asks for.

use super::address::sockeye_address;
use super::boundary::{bytes_arg, fail, guard, in_words, init_sized, read_sized};
use super::status::sockeye_status;
use crate::engine::{Error, TokenConfig, make_token};
use std::ffi::c_void;
use std::ptr;

/// Most addresses of a connect token.
pub const SOCKEYE_TOKEN_ADDRESSES_MAX: u32 = 32;
/// Most bytes of user data in a connect token.
pub const SOCKEYE_TOKEN_USER_DATA_MAX: u32 = 256;

/// What a connect token is made of. Fill it with `sockeye_token_config_init`, then change what you
/// need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_token_config {
    /// The size this program was built with; set by `sockeye_token_config_init`.
    pub struct_size: u32,
    /// For how many seconds from now on a connection can be opened with it, by the clock of this
    /// machine and that of the server. Default 30.
    pub expire_s: u32,
    /// The game, and its version, as the endpoint of the server has it. Default 0.
    pub protocol_id: u64,
    /// The player. A server has one connection of each at a time. Default 0.
    pub client_id: u64,
    /// The key that the servers have too (`lanes.token_key`). 32 zeros, the default, is the key of
    /// `?token=open`, which everybody has.
    pub key: [u8; 32],
    /// Where the servers are, in the order in which the player tries them.
    pub addresses: *const sockeye_address,
    /// For the server's program, which has it as the data of OPENED, with zeros behind it.
    pub user_data: *const c_void,
    /// How many addresses there are: 1 to SOCKEYE_TOKEN_ADDRESSES_MAX.
    pub addresses_count: u32,
    /// At most SOCKEYE_TOKEN_USER_DATA_MAX.
    pub user_data_len: u32,
    /// After how many seconds of silence each end takes the other for gone. 0 or less: never.
    /// Default 10.
    pub timeout_s: i32,
    /// Must be 0.
    pub reserved: [u32; 3],
}

const _: () = assert!(size_of::<sockeye_token_config>() == 80 + 2 * size_of::<usize>());

impl Default for sockeye_token_config {
    fn default() -> Self {
        sockeye_token_config {
            struct_size: size_of::<Self>() as u32,
            expire_s: 30,
            protocol_id: 0,
            client_id: 0,
            key: [0; 32],
            addresses: ptr::null(),
            user_data: ptr::null(),
            addresses_count: 0,
            user_data_len: 0,
            timeout_s: 10,
            reserved: [0; 3],
        }
    }
}

/// Fills `config` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows.
///
/// Ownership: `config` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_token_config_init(
    config: *mut sockeye_token_config,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(config, size, sockeye_token_config::default()) })
}

/// Makes a connect token: `SOCKEYE_TOKEN_BYTES` bytes, with which one player opens one connection.
/// It has the keys of that connection in it, so give it to the player alone, over HTTPS or the
/// like. It needs no net: a login backend links the library for this call. Any other implementation
/// of netcode 1.02 makes such tokens too.
///
/// Ownership: `config` and what it points to are borrowed until return. `out_token` has room for
///            `SOCKEYE_TOKEN_BYTES` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, a value out of its range: `sockeye_last_error` names the
///            field); ERR_OS (the system has no random bytes).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_token_make(
    config: *const sockeye_token_config,
    out_token: *mut u8,
) -> sockeye_status {
    guard(|| {
        if config.is_null() || out_token.is_null() {
            return Err(invalid("config or out_token is NULL"));
        }
        // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
        let given = unsafe { read_sized(config, &sockeye_token_config::default(), "token") }?;
        // SAFETY: the caller gives as many addresses and bytes as it says.
        let token = make_token(&unsafe { read(&given) }?).map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_token.copy_from_nonoverlapping(token.as_ptr(), token.len()) };
        Ok(())
    })
}

fn invalid(words: &str) -> Error {
    fail(Error::Invalid, words)
}

/// # Safety
/// `given` has as many addresses and bytes of user data as it says, for as long as it is used.
unsafe fn read(given: &sockeye_token_config) -> Result<TokenConfig<'_>, Error> {
    if given.reserved.iter().any(|&it| it != 0) {
        return Err(invalid("token.reserved must be 0"));
    }
    let count = given.addresses_count;
    if given.addresses.is_null() || !(1..=SOCKEYE_TOKEN_ADDRESSES_MAX).contains(&count) {
        return Err(invalid("token.addresses must be 1 to 32"));
    }
    if given.user_data_len > SOCKEYE_TOKEN_USER_DATA_MAX {
        return Err(invalid("token.user_data_len is over 256"));
    }
    // SAFETY: not NULL, and the caller gives so many.
    let addresses = unsafe { std::slice::from_raw_parts(given.addresses, count as usize) };
    // SAFETY: the caller gives so many bytes, or NULL, which is refused.
    let user_data = unsafe { bytes_arg(given.user_data, given.user_data_len as usize) }
        .map_err(|_| invalid("token.user_data is NULL"))?;
    Ok(TokenConfig {
        protocol_id: given.protocol_id,
        key: given.key,
        client_id: given.client_id,
        expire_s: given.expire_s,
        timeout_s: given.timeout_s,
        addresses: addresses.iter().map(sockeye_address::read).collect::<Result<_, _>>()?,
        user_data,
    })
}
