//! The words of the boundary: panic, NULL, size, fork and last error. Used inside plain
//! `extern "C"` bodies, so that the header's generator sees every function.

use super::status::{sockeye_status, words_of};
use crate::engine::{Error, Refusal, uncancelled};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// URLs and names: bytes without the NUL.
const TEXT_MAX: usize = 1024;
/// A caller newer than the library may have structs up to this size, with a zero tail.
const STRUCT_MAX: usize = 4096;
/// What every answer struct had at least in the first release: its size and three numbers.
const OUT_MIN: usize = 16;

thread_local! {
    static LAST_ERROR: RefCell<Cow<'static, CStr>> = const { RefCell::new(Cow::Borrowed(c"")) };
    /// The call that runs has left its words there.
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// What a call has done, as C sees it: nothing to count, or a count.
pub trait Done {
    /// 0 or more.
    fn status(self) -> sockeye_status;
}

impl Done for () {
    #[inline]
    fn status(self) -> sockeye_status {
        0
    }
}

impl Done for sockeye_status {
    #[inline]
    fn status(self) -> sockeye_status {
        self
    }
}

/// Runs the body of an entry, whose `?` refuses; a panic stops here, and pthread_cancel waits.
#[inline]
pub fn guard<T: Done>(body: impl FnOnce() -> Result<T, Error>) -> sockeye_status {
    uncancelled(|| guard_send(body))
}

/// As `guard`, for the sends, whose only system call is that of a bell.
#[inline]
pub fn guard_send<T: Done>(body: impl FnOnce() -> Result<T, Error>) -> sockeye_status {
    status(caught(body).map_err(refused))
}

/// As `guard_send`, for what a signal handler may call: it leaves no words.
#[inline]
pub fn guard_mutely<T: Done>(body: impl FnOnce() -> Result<T, Error>) -> sockeye_status {
    status(caught(body))
}

#[inline]
fn caught<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::Panic))
}

/// A refusal that left no words of its own has those of its status: an older one's never stay.
#[cold]
fn refused(error: Error) -> Error {
    if LEFT.replace(false) {
        return error;
    }
    let error = fail_plainly(error, words_of(error as sockeye_status));
    LEFT.set(false);
    error
}

/// A result as C sees it.
#[inline]
pub fn status<T: Done>(result: Result<T, Error>) -> sockeye_status {
    result.map_or_else(|error| error as sockeye_status, T::status)
}

/// Leaves the words of a refusal for `sockeye_last_error`. An error alone has those of its kind.
pub fn in_words(refusal: impl Into<Refusal>) -> Error {
    let Refusal { error, words } = refusal.into();
    let mut bytes = words.into_bytes();
    bytes.retain(|&byte| byte != 0);
    leave(error, Cow::Owned(CString::new(bytes).unwrap_or_default()))
}

/// As `in_words`, without memory of its own.
pub fn fail_plainly(error: Error, words: &'static CStr) -> Error {
    leave(error, Cow::Borrowed(words))
}

fn leave(error: Error, words: Cow<'static, CStr>) -> Error {
    // A thread that is ending has lost its words; the status says enough.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = words);
    LEFT.set(true);
    error
}

/// A refusal with words for `sockeye_last_error`.
pub fn fail(error: Error, words: impl Into<String>) -> Error {
    in_words(Refusal::new(error, words))
}

/// This thread's last words.
pub fn last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// A text argument: not NULL, at most 1024 bytes, UTF-8.
///
/// # Safety
/// `text` is NULL or readable up to a NUL or to 1025 bytes, and stays for `'a`.
pub unsafe fn text_arg<'a>(text: *const c_char, name: &str) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(fail(Error::Invalid, format!("{name} is NULL")));
    }
    // SAFETY: as this function's own; the scan stops at the first NUL.
    let len = (0..=TEXT_MAX).find(|&at| unsafe { text.add(at).read() } == 0);
    let Some(len) = len else {
        return Err(fail(Error::Invalid, format!("{name} is over {TEXT_MAX} bytes")));
    };
    // SAFETY: `len` bytes and a NUL were just read.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len + 1) };
    CStr::from_bytes_with_nul(bytes)
        .ok()
        .and_then(|text| text.to_str().ok())
        .ok_or_else(|| fail(Error::Invalid, format!("{name} is not UTF-8")))
}

/// A bytes argument: NULL only with length 0.
///
/// # Safety
/// `data` is NULL or has `len` readable bytes for `'a`.
#[inline]
pub unsafe fn bytes_arg<'a>(data: *const c_void, len: usize) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len > isize::MAX as usize || (data as usize).checked_add(len).is_none() {
        return Err(Error::Invalid);
    }
    // SAFETY: not NULL, in range, and the caller's word for the bytes.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// Why a struct that begins with its own size cannot be read.
pub enum Unread {
    /// Of no size that a release had.
    Size(usize),
    /// With something set that this library does not know.
    Unknown,
}

/// A struct that begins with its own size. `T` is repr(C), plain numbers, without padding.
///
/// # Safety
/// `given` has as many readable bytes as its first field says.
pub unsafe fn copy_sized<T: Copy>(given: *const T, defaults: &T) -> Result<T, Unread> {
    // SAFETY: at least the size field is there.
    let size = unsafe { given.cast::<u32>().read() } as usize;
    let known = size_of::<T>();
    // The first release knows one size of each struct; later ones add theirs to this test.
    if size < known || size > STRUCT_MAX {
        return Err(Unread::Size(size));
    }
    // SAFETY: the caller gives `size` bytes.
    let tail = unsafe { std::slice::from_raw_parts(given.cast::<u8>().add(known), size - known) };
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Unread::Unknown);
    }
    let mut out = *defaults;
    // SAFETY: both have `known` bytes, and any bytes are a value of such a struct.
    unsafe { std::ptr::copy_nonoverlapping(given, &mut out, 1) };
    Ok(out)
}

/// As `copy_sized`, with words where it fails.
///
/// # Safety
/// As of `copy_sized`.
pub unsafe fn read_sized<T: Copy>(given: *const T, defaults: &T, name: &str) -> Result<T, Error> {
    let known = size_of::<T>();
    // SAFETY: as this function's own.
    unsafe { copy_sized(given, defaults) }.map_err(|unread| {
        let words = match unread {
            Unread::Size(size) => {
                format!("{name}.struct_size is {size}, this library knows {known}")
            }
            Unread::Unknown => format!("{name} has fields set that this library does not know"),
        };
        fail(Error::Invalid, words)
    })
}

/// Writes defaults to a struct of the caller's `size` and zeroes the tail.
///
/// # Safety
/// `out` is NULL or has `size` writable bytes.
pub unsafe fn init_sized<T: Copy>(out: *mut T, size: usize, defaults: T) -> Result<(), Error> {
    if out.is_null() || size < size_of::<T>() || size > STRUCT_MAX {
        return Err(Error::Invalid);
    }
    // SAFETY: the caller gives `size` bytes, and the struct's own are fewer.
    unsafe {
        out.cast::<u8>().write_bytes(0, size);
        out.write_unaligned(defaults);
        out.cast::<u32>().write_unaligned(size as u32);
    }
    Ok(())
}

/// Whether an answer's struct has this size in some release.
pub fn is_answer_size(size: usize) -> bool {
    (OUT_MIN..=STRUCT_MAX).contains(&size)
}

/// Writes an answer up to the caller's `size`. An answer begins with its own size.
///
/// # Safety
/// `out` is NULL or has `size` writable bytes.
pub unsafe fn write_sized<T: Copy>(out: *mut T, size: usize, value: &T) -> Result<(), Error> {
    if out.is_null() || !is_answer_size(size) {
        return Err(Error::Invalid);
    }
    let len = size.min(size_of::<T>());
    // SAFETY: the caller gives `size` bytes, and the value has `len`.
    unsafe {
        out.cast::<u8>().write_bytes(0, size);
        std::ptr::copy_nonoverlapping((value as *const T).cast::<u8>(), out.cast::<u8>(), len);
    }
    Ok(())
}

/// A struct of one side from one of the other: the fields that both have under one name, and those
/// that only the new one has.
macro_rules! same_fields {
    ($from:expr => $to:ident { $($field:ident,)+ } $(and { $($own:ident: $value:expr,)+ })?) => {
        $to { $($field: $from.$field,)+ $($($own: $value,)+)? }
    };
}
pub(super) use same_fields;

/// Cuts `text` into `field` with a NUL, at a character's border.
pub fn write_text(field: &mut [c_char], text: &str) {
    let mut len = text.len().min(field.len() - 1);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    field.fill(0);
    for (to, from) in field.iter_mut().zip(text[..len].bytes()) {
        *to = from as c_char;
    }
}
