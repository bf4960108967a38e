//! Words and names: every known number has its own, unknown ones are said to be unknown.

use super::{ERR_INVALID, OK};
use sockeye::capi::address::{sockeye_address, sockeye_address_format, sockeye_address_parse};
use sockeye::capi::model::{
    sockeye_model_from_name, sockeye_model_info, sockeye_model_name, sockeye_model_probe,
};
use sockeye::capi::words::*;
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

fn text(words: *const c_char) -> String {
    assert!(!words.is_null());
    // SAFETY: the library's texts are NUL-terminated and live for ever; those in structs as well,
    // for as long as the struct.
    unsafe { CStr::from_ptr(words) }.to_str().expect("UTF-8").to_owned()
}

/// What this system calls a refused connection.
#[cfg(not(windows))]
const REFUSED: i32 = libc::ECONNREFUSED;
#[cfg(windows)]
const REFUSED: i32 = windows_sys::Win32::Networking::WinSock::WSAECONNREFUSED;

#[test]
fn of_statuses() {
    let known: HashSet<String> = (-15..=0).map(|at| text(sockeye_status_text(at))).collect();
    assert_eq!(known.len(), 16, "each has its own");
    assert!(!known.contains("unknown"));
    for count in [1, 7, i32::MAX] {
        assert_eq!(text(sockeye_status_text(count)), text(sockeye_status_text(OK)));
    }
    for status in [-16, -1000, i32::MIN] {
        assert_eq!(text(sockeye_status_text(status)), "unknown");
    }
}

#[test]
fn of_causes() {
    // 15 was never reported, and is no cause any more.
    let known = (0..=35).filter(|&at| at != 15).map(|at| text(sockeye_cause_text(at)));
    assert_eq!(known.collect::<HashSet<String>>().len(), 35, "each has its own");
    for cause in [-1, 15, 36, i32::MAX, i32::MIN] {
        assert_eq!(text(sockeye_cause_text(cause)), "unknown");
    }
}

#[test]
fn of_the_system() {
    let ask = |code, cap: usize| {
        let mut buffer = vec![0x55u8; 256];
        // SAFETY: the buffer has at least `cap` bytes.
        let len = unsafe { sockeye_os_error_text(code, buffer.as_mut_ptr().cast(), cap) };
        assert!(buffer[cap..].iter().all(|&byte| byte == 0x55), "not a byte more");
        (len, buffer)
    };
    let (len, buffer) = ask(REFUSED, 256);
    let words = std::str::from_utf8(&buffer[..len as usize]).expect("UTF-8");
    assert!(words.contains("refused"), "{words}");
    assert_eq!(buffer[len as usize], 0);
    let (len, buffer) = ask(REFUSED, 5);
    assert_eq!(
        (len, &buffer[..5]),
        (4, [words.as_bytes()[..4].to_vec(), vec![0]].concat().as_slice())
    );
    assert_eq!(ask(REFUSED, 1).0, 0);
    assert_eq!(ask(REFUSED, 0).0, ERR_INVALID);
    for code in [0, -1, 99_999, i32::MIN] {
        assert!(ask(code, 256).0 > 0, "words for {code} too");
    }
}

#[test]
fn of_models() {
    for model in 0..=11 {
        let name = text(sockeye_model_name(model));
        assert_eq!(number(&name), Ok(model), "{name}");
    }
    for model in [12, u32::MAX] {
        assert_eq!(text(sockeye_model_name(model)), "unknown");
        let mut info = MaybeUninit::<sockeye_model_info>::zeroed();
        let size = size_of::<sockeye_model_info>();
        // SAFETY: plain numbers, writable, with their size.
        assert_eq!(unsafe { sockeye_model_probe(model, info.as_mut_ptr(), size) }, ERR_INVALID);
    }
    for name in ["", "unknown", "EPOLL", "epoll ", "kqueues", &"e".repeat(5000)] {
        assert_eq!(number(name), Err(ERR_INVALID), "{name}");
    }
    let mut out = 77;
    // SAFETY: a text and room for the answer.
    let status = unsafe { sockeye_model_from_name(c"\xFF\xFE".as_ptr(), &mut out) };
    assert_eq!((status, out), (ERR_INVALID, 77), "nothing is written");
}

fn number(name: &str) -> Result<u32, i32> {
    let name = CString::new(name).expect("no NUL");
    let mut out = 77;
    // SAFETY: a text and room for the answer.
    let status = unsafe { sockeye_model_from_name(name.as_ptr(), &mut out) };
    if status == OK { Ok(out) } else { Err(status) }
}

/// Every model tells whether it can run; AUTO is answered with what it stands for.
#[test]
fn of_probes() {
    for model in 0..=11 {
        let mut info = MaybeUninit::<sockeye_model_info>::zeroed();
        let size = size_of::<sockeye_model_info>();
        // SAFETY: plain numbers, writable, with their size.
        let info = unsafe {
            assert_eq!(sockeye_model_probe(model, info.as_mut_ptr(), size), OK);
            info.assume_init()
        };
        let reason = text(info.reason.as_ptr());
        assert!(info.available <= 1 && !reason.is_empty());
        assert_eq!(info.available == 1, reason == "available", "{model}: {reason}");
        assert_eq!(info.model == model, model != 0, "AUTO is never itself");
        assert_eq!(text(info.name.as_ptr()), text(sockeye_model_name(info.model)));
    }
}

#[test]
fn of_the_library() {
    assert_eq!(text(sockeye_version()), env!("CARGO_PKG_VERSION"));
    assert!(sockeye_abi_version() >= 1);
}

#[test]
fn of_addresses() {
    for good in ["127.0.0.1:7777", "[::1]:7777", "255.255.255.255:65535", "[fe80::1%3]:1"] {
        let mut address = sockeye_address::default();
        let given = CString::new(good).expect("no NUL");
        // SAFETY: a text and room for the answer.
        assert_eq!(unsafe { sockeye_address_parse(given.as_ptr(), &mut address) }, OK, "{good}");
        assert_eq!(format(&address, 64), Ok(good.to_owned()));
        assert_eq!(format(&address, good.len() + 1), Ok(good.to_owned()));
        assert_eq!(format(&address, good.len()), Err(ERR_INVALID), "no room for the NUL");
    }
    for bad in ["", "127.0.0", "localhost:1", "127.0.0.1:65536", "[::1", "1.2.3:4", "x:y"] {
        let mut address = sockeye_address { port: 7, ..Default::default() };
        let given = CString::new(bad).expect("no NUL");
        // SAFETY: a text and room for the answer.
        let status = unsafe { sockeye_address_parse(given.as_ptr(), &mut address) };
        assert_eq!((status, address.port), (ERR_INVALID, 7), "{bad}");
    }
    for family in [0, 1, 5, u16::MAX] {
        let address = sockeye_address { family, ..Default::default() };
        assert_eq!(format(&address, 64), Err(ERR_INVALID), "family {family}");
    }
}

fn format(address: &sockeye_address, cap: usize) -> Result<String, i32> {
    let mut buffer = vec![0x55u8; 128];
    // SAFETY: an address, and a buffer of at least `cap` bytes.
    let len = unsafe { sockeye_address_format(address, buffer.as_mut_ptr().cast(), cap) };
    assert!(buffer[cap..].iter().all(|&byte| byte == 0x55), "not a byte more");
    let len = usize::try_from(len).map_err(|_| len)?;
    assert_eq!(buffer[len], 0);
    Ok(String::from_utf8(buffer[..len].to_vec()).expect("UTF-8"))
}
