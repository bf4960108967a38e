//! Connect tokens, which are made without a net.

use super::{ERR_INVALID, OK, last_error};
use sockeye::capi::address::sockeye_address;
use sockeye::capi::lanes::SOCKEYE_TOKEN_BYTES;
use sockeye::capi::token::*;
use std::ptr;

const BYTES: usize = SOCKEYE_TOKEN_BYTES as usize;

fn address() -> sockeye_address {
    Some("192.0.2.1:7777".parse().expect("an address")).into()
}

/// What becomes of a token that is right but for a change.
fn make(change: impl FnOnce(&mut sockeye_token_config)) -> Result<[u8; BYTES], String> {
    let servers = [address(); 33];
    let data = [7_u8; 256];
    let mut config = sockeye_token_config {
        protocol_id: 0x0102_0304_0506_0708,
        client_id: 9,
        addresses: servers.as_ptr(),
        addresses_count: 1,
        user_data: data.as_ptr().cast(),
        user_data_len: 256,
        ..Default::default()
    };
    change(&mut config);
    let mut out = [0xAA; BYTES];
    // SAFETY: a config with its size, with what it points to, and room for the answer.
    let status = unsafe { sockeye_token_make(&config, out.as_mut_ptr()) };
    if status == OK {
        return Ok(out);
    }
    assert_eq!(status, ERR_INVALID);
    assert!(out.iter().all(|&byte| byte == 0xAA), "nothing is written");
    Err(last_error())
}

#[test]
fn what_a_token_can_be_made_of() {
    let token = make(|_| {}).expect("it is right");
    assert!(token.starts_with(b"NETCODE 1.02\0\x08\x07\x06\x05\x04\x03\x02\x01"));
    let number = |at: usize| u64::from_le_bytes(token[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!(number(29) - number(21), 30, "the default");
    assert_ne!(make(|_| {}).expect("it is right"), token);
    make(|config| config.addresses_count = 32).expect("the most");
    make(|config| config.timeout_s = -1).expect("without an end");
    make(|config| config.expire_s = u32::MAX).expect("for long");
    let none = |config: &mut sockeye_token_config| {
        (config.user_data, config.user_data_len) = (ptr::null(), 0);
    };
    make(none).expect("without data");
}

#[test]
fn what_no_token_can_be_made_of() {
    type Change = fn(&mut sockeye_token_config);
    let changes: [(&str, Change); 9] = [
        ("struct_size", |config| config.struct_size -= 1),
        ("struct_size", |config| config.struct_size = 5000),
        ("reserved", |config| config.reserved[2] = 1),
        ("addresses", |config| config.addresses_count = 0),
        ("addresses", |config| config.addresses_count = 33),
        ("addresses", |config| config.addresses = ptr::null()),
        ("user_data_len", |config| config.user_data_len = 257),
        ("user_data", |config| config.user_data = ptr::null()),
        ("expire_s", |config| config.expire_s = 0),
    ];
    for (word, change) in changes {
        let words = make(change).expect_err(word);
        assert!(words.contains(word), "{word}: {words}");
    }
    for (wrong, word) in [
        (sockeye_address::default(), "family"),
        (sockeye_address { family: 5, ..address() }, "family"),
        (sockeye_address { port: 0, ..address() }, "port"),
    ] {
        let words = make(|config| config.addresses = &wrong).expect_err(word);
        assert!(words.contains(word), "{word}: {words}");
    }
}
