//! What a host can give that is wrong, straight over the C ABI: each is answered with its status,
//! in words where words are promised, and nothing is written or begun.

mod buffers;
mod fields;
mod message;
mod null;
mod sizes;
mod texts;
mod tokens;
mod urls;

use sockeye::capi::config::{sockeye_config, sockeye_config_init};
use sockeye::capi::endpoint::{sockeye_endpoint, sockeye_endpoint_init};
use sockeye::capi::net::{sockeye_free, sockeye_init, sockeye_net};
use sockeye::capi::status::sockeye_status_code;
use sockeye::capi::words::sockeye_last_error;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

const OK: i32 = sockeye_status_code::SOCKEYE_OK as i32;
const ERR_INVALID: i32 = sockeye_status_code::SOCKEYE_ERR_INVALID as i32;
const ERR_BUSY: i32 = sockeye_status_code::SOCKEYE_ERR_BUSY as i32;
const ERR_UNSUPPORTED: i32 = sockeye_status_code::SOCKEYE_ERR_UNSUPPORTED as i32;
#[cfg(unix)]
const ERR_DENIED: i32 = sockeye_status_code::SOCKEYE_ERR_DENIED as i32;
const ERR_OS: i32 = sockeye_status_code::SOCKEYE_ERR_OS as i32;

/// A net with the defaults; freed when dropped.
struct Net(*mut sockeye_net);

impl Net {
    fn new() -> Net {
        let mut net = ptr::null_mut();
        // SAFETY: NULL for the defaults, and room for the answer.
        assert_eq!(unsafe { sockeye_init(ptr::null(), &mut net) }, OK, "{}", last_error());
        Net(net)
    }

    fn with(change: impl FnOnce(&mut sockeye_config)) -> Net {
        let (mut config, mut net) = (config(), ptr::null_mut());
        change(&mut config);
        // SAFETY: a config with its size, and room for the answer.
        assert_eq!(unsafe { sockeye_init(&config, &mut net) }, OK, "{}", last_error());
        Net(net)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // SAFETY: a live net that nobody else uses.
        assert_eq!(unsafe { sockeye_free(self.0) }, OK);
    }
}

fn config() -> sockeye_config {
    let mut config = MaybeUninit::<sockeye_config>::zeroed();
    // SAFETY: plain numbers, writable, with their size.
    unsafe {
        assert_eq!(sockeye_config_init(config.as_mut_ptr(), size_of::<sockeye_config>()), OK);
        config.assume_init()
    }
}

fn endpoint() -> sockeye_endpoint {
    let mut endpoint = MaybeUninit::<sockeye_endpoint>::zeroed();
    // SAFETY: plain numbers, writable, with their size.
    unsafe {
        let size = size_of::<sockeye_endpoint>();
        assert_eq!(sockeye_endpoint_init(endpoint.as_mut_ptr(), size), OK);
        endpoint.assume_init()
    }
}

/// The words of this thread's last refusal.
fn last_error() -> String {
    // SAFETY: never NULL, NUL-terminated, and no call of this thread comes between.
    unsafe { CStr::from_ptr(sockeye_last_error()) }.to_str().expect("words are UTF-8").to_owned()
}
