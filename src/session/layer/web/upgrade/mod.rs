//! The handshake in HTTP: RFC 6455, section 4.

mod client;
mod server;

use super::extension::Deflating;
use crate::buf::Reader;
use data_encoding::BASE64;
use httparse::Header;
use memchr::memmem;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::sync::Arc;

pub use client::{ask, judge};
pub use server::{Verdict, answer, is_hopeless};

/// Headers of a request or response.
const HEADERS_MAX: usize = 64;
const END: &[u8] = b"\r\n\r\n";
/// What a key is hashed with: section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request or response that has begun.
#[derive(Default)]
pub struct Head {
    bytes: Vec<u8>,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Reach {
    Begun,
    Whole,
    TooLong,
}

impl Head {
    /// Takes what belongs to it and no more, up to `most` bytes in all.
    pub fn take(&mut self, input: &mut Reader, most: usize) -> Reach {
        let before = self.bytes.len();
        let more = input.rest().len().min(most - before);
        self.bytes.extend_from_slice(&input.rest()[..more]);
        let from = before.saturating_sub(END.len() - 1);
        match memmem::find(&self.bytes[from..], END) {
            Some(at) => {
                self.bytes.truncate(from + at + END.len());
                input.skip(self.bytes.len() - before);
                Reach::Whole
            }
            None => {
                input.skip(more);
                if self.bytes.len() < most { Reach::Begun } else { Reach::TooLong }
            }
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a handshake has come to.
#[derive(Debug)]
pub struct Agreed {
    pub path: Box<str>,
    /// Its place among ours.
    pub protocol: Option<u16>,
    pub deflating: Option<Deflating>,
}

/// The last that is said: an answer that is no upgrade.
#[derive(Debug)]
pub struct Reply {
    pub head: Vec<u8>,
    pub body: Option<Arc<[u8]>>,
    /// What was asked for is here: nothing is wrong.
    pub served: bool,
}

/// What proves that a key was read.
fn proof(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    BASE64.encode(hash.as_ref())
}

/// The values of the headers of this name. What is no text is none.
fn values<'a>(headers: &'a [Header<'_>], name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| std::str::from_utf8(header.value).unwrap_or("").trim())
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a [Header<'_>], name: &str) -> Option<&'a str> {
    let mut all = values(headers, name);
    all.next().filter(|_| all.next().is_none())
}

/// Whether a header with a list has such a word.
fn lists(headers: &[Header<'_>], name: &str, is_such: impl Fn(&str) -> bool) -> bool {
    values(headers, name).flat_map(|value| value.split(',')).any(|word| is_such(word.trim()))
}
