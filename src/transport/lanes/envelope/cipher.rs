//! The ciphers: ChaCha20-Poly1305 (RFC 8439) for packets and challenges, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha) for connect tokens. Of the latter only the key is made by HChaCha20,
//! and all else is the former: ring is thrice as fast as what has the whole.

use super::Key;
use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// Bytes of what proves that something was sealed with a key.
pub const TAG: usize = 16;

/// Was not sealed with this key, nonce and additional data.
#[derive(PartialEq, Eq, Debug)]
pub struct Forged;

/// Seals all of `data` but its last `TAG` bytes, which the tag is put to.
pub fn seal(key: &Key, nonce: [u8; 12], additional: &[u8], data: &mut [u8]) {
    let (plain, place) = data.split_at_mut(data.len() - TAG);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key)
        .seal_in_place_separate_tag(nonce, Aad::from(additional), plain)
        .expect("a packet is shorter than 256 GiB");
    place.copy_from_slice(tag.as_ref());
}

/// Opens what `seal` made; the plaintext is all but the last `TAG` bytes then. On failure `data`
/// may have been written to.
pub fn open(key: &Key, nonce: [u8; 12], additional: &[u8], data: &mut [u8]) -> Result<(), Forged> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key).open_in_place(nonce, Aad::from(additional), data).map(|_| ()).map_err(|_| Forged)
}

/// As `seal`, with a nonce that is long enough to be drawn at random.
pub fn seal_long(key: &Key, nonce: &[u8; 24], additional: &[u8], data: &mut [u8]) {
    let (key, nonce) = shorten(key, nonce);
    seal(&key, nonce, additional, data);
}

/// Opens what `seal_long` made.
pub fn open_long(
    key: &Key,
    nonce: &[u8; 24],
    additional: &[u8],
    data: &mut [u8],
) -> Result<(), Forged> {
    let (key, nonce) = shorten(key, nonce);
    open(&key, nonce, additional, data)
}

/// The nonce of a sequence number.
pub fn nonce(sequence: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_le_bytes());
    nonce
}

/// One of many keys that come of a secret.
pub fn derive(secret: &Key, which: u8) -> Key {
    hchacha::<R20>(&(*secret).into(), &[which; 16].into()).into()
}

/// ring's form of a key has 544 bytes, and making it costs next to nothing.
fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key has 32 bytes"))
}

/// The key and nonce of ChaCha20-Poly1305 in the place of these of XChaCha20-Poly1305.
fn shorten(key: &Key, nonce: &[u8; 24]) -> (Key, [u8; 12]) {
    let [front @ .., _, _, _, _, _, _, _, _] = *nonce;
    let [.., a, b, c, d, e, f, g, h] = *nonce;
    let key = hchacha::<R20>(&(*key).into(), &front.into()).into();
    (key, [0, 0, 0, 0, a, b, c, d, e, f, g, h])
}
