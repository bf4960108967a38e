//! Text that comes in pieces.

/// Checks that pieces put together are UTF-8, and finds the first byte that cannot be.
#[derive(Default)]
pub struct Utf8 {
    /// A character that has begun.
    begun: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Whether the text can go on with `bytes`.
    pub fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while self.len > 0
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.begun[usize::from(self.len)] = first;
            self.len += 1;
            bytes = rest;
            match std::str::from_utf8(&self.begun[..usize::from(self.len)]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(bytes) else { return true };
        let rest = &bytes[error.valid_up_to()..];
        if error.error_len().is_some() {
            return false;
        }
        self.begun[..rest.len()].copy_from_slice(rest);
        self.len = rest.len() as u8;
        true
    }

    /// Whether the text may end here.
    pub fn is_whole(&self) -> bool {
        self.len == 0
    }
}
