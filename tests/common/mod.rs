//! What every conformance test stands on: a net as a safe Rust value, a host that polls it and
//! checks the rules of every event, raw peers, child processes, and the list of models.

#[cfg_attr(windows, allow(dead_code, reason = "only tests of Unix talk with their child"))]
pub mod child;
pub mod event;
pub mod freight;
pub mod groups;
pub mod host;
pub mod lanes;
pub mod message;
pub mod metrics;
pub mod net;
pub mod pad;
pub mod peer;
#[cfg_attr(windows, path = "process_windows.rs")]
pub mod process;
pub mod random;
pub mod rules;
pub mod tls;
pub mod udp;
pub mod veil;
pub mod web;
pub mod words;

use host::Host;
use net::Net;
use sockeye::capi::config::{sockeye_config, sockeye_config_init};
use sockeye::capi::endpoint::{sockeye_endpoint, sockeye_endpoint_init};
use sockeye::capi::model::sockeye_model as models;
use sockeye::capi::model::{sockeye_model_info, sockeye_model_probe};
use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// How long a test waits for something that has to come. Generous: a sanitizer or a tracer may
/// slow the process down by ten, and a test that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The models under test: a new one is one line here, with its module's name and its number.
#[cfg(not(windows))]
macro_rules! for_models {
    ($make:ident! $given:tt) => {
        $make! { @model epoll SOCKEYE_MODEL_EPOLL $given }
        $make! { @model blocking SOCKEYE_MODEL_BLOCKING $given }
        $make! { @model poll SOCKEYE_MODEL_POLL $given }
        $make! { @model select SOCKEYE_MODEL_SELECT $given }
        $make! { @model tokio SOCKEYE_MODEL_TOKIO $given }
        $make! { @model io_uring SOCKEYE_MODEL_IO_URING $given }
        // On Linux with the feature `kqueue-shim`.
        #[cfg(kqueue)]
        $make! { @model kqueue SOCKEYE_MODEL_KQUEUE $given }
    };
}
#[cfg(windows)]
macro_rules! for_models {
    ($make:ident! $given:tt) => {
        $make! { @model blocking SOCKEYE_MODEL_BLOCKING $given }
        $make! { @model select SOCKEYE_MODEL_SELECT $given }
        $make! { @model poll SOCKEYE_MODEL_POLL $given }
        $make! { @model tokio SOCKEYE_MODEL_TOKIO $given }
        $make! { @model event_select SOCKEYE_MODEL_EVENT_SELECT $given }
        $make! { @model iocp SOCKEYE_MODEL_IOCP $given }
        $make! { @model overlapped_event SOCKEYE_MODEL_OVERLAPPED_EVENT $given }
        $make! { @model overlapped_routine SOCKEYE_MODEL_OVERLAPPED_ROUTINE $given }
    };
}
pub(crate) use for_models;

/// Makes the tests of one theme for each model and driving mode, named
/// `theme::model::drive::test`:
///
/// - `each`: in `pool`, `lend`, `host` (both with a thread as the backstop) and `host0` (no thread
///   at all);
/// - `threaded`: in `pool`, `lend` and `host`;
/// - `pool`: in `pool` alone;
/// - `pool2`: in `pool2`, two queues with a worker each;
/// - `queues2`: two queues with a worker each in `pool2`, `lend2` and `host2`.
macro_rules! suite {
    (@model $model:ident $number:ident $given:tt) => {
        mod $model {
            $crate::common::drives! { $number $given }
        }
    };
    ($($group:tt)+) => {
        $crate::common::for_models! { suite! { $($group)+ } }
    };
}
pub(crate) use suite;

/// As `suite`, and makes the tests of `each` and `queues2` once more with a layer below every
/// connection (`pad.rs`), in modules named `layered_` and the driving mode: on EPOLL and IO_URING
/// in each mode, on every other model in one, so that a test meets each model and each mode.
macro_rules! layered_suite {
    (@model $model:ident $number:ident $given:tt) => {
        mod $model {
            $crate::common::drives! { $number $given }
            $crate::common::layered! { $model $number $given }
        }
    };
    ($($group:tt)+) => {
        $crate::common::for_models! { layered_suite! { $($group)+ } }
    };
}
pub(crate) use layered_suite;

/// The modules of one model.
macro_rules! drives {
    ($number:ident {
        $(each: $($each:ident),+;)?
        $(threaded: $($threaded:ident),+;)?
        $(pool: $($pool:ident),+;)?
        $(pool2: $($pool2:ident),+;)?
        $(queues2: $($queues2:ident),+;)?
    }) => {
        mod pool {
            $crate::common::tests! {
                $number pool $($($each)+)? $($($threaded)+)? $($($pool)+)?
            }
        }
        mod lend {
            $crate::common::tests! { $number lend $($($each)+)? $($($threaded)+)? }
        }
        mod host {
            $crate::common::tests! { $number host $($($each)+)? $($($threaded)+)? }
        }
        mod host0 {
            $crate::common::tests! { $number host0 $($($each)+)? }
        }
        mod pool2 {
            $crate::common::tests! { $number pool2 $($($pool2)+)? $($($queues2)+)? }
        }
        mod lend2 {
            $crate::common::tests! { $number lend2 $($($queues2)+)? }
        }
        mod host2 {
            $crate::common::tests! { $number host2 $($($queues2)+)? }
        }
    };
}
pub(crate) use drives;

/// The modules of one model with a layer.
macro_rules! layered {
    (epoll $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_pool pool pool2 $number $given }
        $crate::common::layered! { @in layered_lend lend lend2 $number $given }
        $crate::common::layered! { @in layered_host host host2 $number $given }
        $crate::common::layered! { @in layered_host0 host0 pool2 $number $given }
    };
    (io_uring $number:ident $given:tt) => {
        $crate::common::layered! { epoll $number $given }
    };
    (blocking $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_lend lend lend2 $number $given }
    };
    (select $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_host host host2 $number $given }
    };
    (poll $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_host0 host0 host2 $number $given }
    };
    (event_select $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_host0 host0 lend2 $number $given }
    };
    ($model:ident $number:ident $given:tt) => {
        $crate::common::layered! { @in layered_pool pool pool2 $number $given }
    };
    (@in $module:ident $drive:ident $drive2:ident $number:ident {
        $(each: $($each:ident),+;)?
        $(threaded: $($threaded:ident),+;)?
        $(pool: $($pool:ident),+;)?
        $(pool2: $($pool2:ident),+;)?
        $(queues2: $($queues2:ident),+;)?
    }) => {
        mod $module {
            $crate::common::tests! { @layered $number $drive $($($each)+)? }
            $crate::common::tests! { @layered $number $drive2 $($($queues2)+)? }
        }
    };
}
pub(crate) use layered;

/// The test functions of one module: each calls its namesake two modules up.
macro_rules! tests {
    (@layered $($rest:tt)*) => {
        $crate::common::tests! { @with true $($rest)* }
    };
    (@with $layered:literal $number:ident $drive:ident $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                let setup = $crate::common::Setup {
                    name: concat!(module_path!(), "::", stringify!($test)),
                    model: sockeye::capi::model::sockeye_model::$number as u32,
                    drive: $crate::common::Drive::$drive(),
                    layered: $layered,
                };
                if setup.available() {
                    super::super::$test(setup);
                }
            }
        )*
    };
    ($number:ident $($rest:tt)*) => {
        $crate::common::tests! { @with false $number $($rest)* }
    };
}
pub(crate) use tests;

/// Who turns the workers in a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drive {
    number: u32,
    pub workers: u32,
    pub queues: u32,
    /// The test is about lending itself: not for a model that is bound to a thread.
    lends: bool,
}

impl Drive {
    const fn new(number: u32, workers: u32, queues: u32) -> Drive {
        Drive { number, workers, queues, lends: false }
    }

    pub fn pool() -> Drive {
        Drive::new(words::DRIVE_POOL, 1, 1)
    }

    pub fn pool2() -> Drive {
        Drive::new(words::DRIVE_POOL, 2, 2)
    }

    pub fn lend2() -> Drive {
        Drive::new(words::DRIVE_LEND, 2, 2)
    }

    pub fn host2() -> Drive {
        Drive::new(words::DRIVE_HOST, 2, 2)
    }

    pub fn lend() -> Drive {
        Drive::new(words::DRIVE_LEND, 1, 1)
    }

    pub fn lending() -> Drive {
        Drive { lends: true, ..Drive::lend() }
    }

    pub fn host() -> Drive {
        Drive::new(words::DRIVE_HOST, 1, 1)
    }

    pub fn host0() -> Drive {
        Drive::new(words::DRIVE_HOST, 0, 1)
    }

    fn is_host_beside_threads(self) -> bool {
        self.number == words::DRIVE_HOST && self.has_threads()
    }

    /// Whether something moves while the host does not poll.
    pub fn has_threads(self) -> bool {
        self.workers > 0
    }
}

/// What a test is run with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The test's path, crate first.
    pub name: &'static str,
    pub model: u32,
    pub drive: Drive,
    /// With a layer below every connection.
    pub layered: bool,
}

impl Setup {
    fn probe(self) -> sockeye_model_info {
        let mut info = MaybeUninit::<sockeye_model_info>::zeroed();
        // SAFETY: the struct is plain numbers, writable, and its size is given.
        unsafe {
            let size = size_of::<sockeye_model_info>();
            assert_eq!(sockeye_model_probe(self.model, info.as_mut_ptr(), size), words::OK);
            info.assume_init()
        }
    }

    /// Whether the model can run here; if not, says why. The endpoints that this thread opens from
    /// here on are those of the test.
    pub fn available(self) -> bool {
        // Where calls are counted, the layer makes none of its own.
        let counted = self.name.contains("::gather::");
        let pad = if counted { pad::QUIET_PAD } else { pad::PAD };
        sockeye::engine::layer_for_tests(self.layered.then_some(pad));
        let info = self.probe();
        if info.available == 0 {
            println!("skipped: {}", text_of(&info.reason));
            return false;
        }
        if self.is_bound() && (self.drive.lends || self.drive.is_host_beside_threads()) {
            println!("left out: a model that is bound to one thread is lent to no other");
            return false;
        }
        let routines = self.model == models::SOCKEYE_MODEL_OVERLAPPED_ROUTINE as u32;
        if routines && !self.drive.has_threads() {
            println!("left out: the model takes a thread of its own");
            return false;
        }
        true
    }

    /// Whether a worker of the model is turned by one thread for ever: with LEND it runs as with
    /// POOL, and HOST takes no worker threads beside it.
    pub fn is_bound(self) -> bool {
        [
            models::SOCKEYE_MODEL_IO_URING,
            models::SOCKEYE_MODEL_OVERLAPPED_EVENT,
            models::SOCKEYE_MODEL_OVERLAPPED_ROUTINE,
        ]
        .into_iter()
        .any(|model| self.model == model as u32)
    }

    /// Whether several threads may poll in turns. A bound model without worker threads belongs to
    /// the first that does.
    pub fn polls_anywhere(self) -> bool {
        let anywhere = !self.is_bound();
        if !anywhere {
            println!("left out: the model is bound to the thread that polled first");
        }
        anywhere
    }

    /// Whether a thread may write to the socket of a peer as it is: there is no layer. If not, says
    /// so.
    pub fn writes_beside(self) -> bool {
        if self.layered {
            println!("left out: what the peer writes in a thread of its own has no layer");
        }
        !self.layered
    }

    /// The number of the drive that runs.
    pub fn runs(self) -> u32 {
        match self.drive.number {
            words::DRIVE_LEND if self.is_bound() => words::DRIVE_POOL,
            number => number,
        }
    }

    /// Sockets that one worker of the model can watch; 0 is no limit.
    pub fn sockets_max(self) -> u32 {
        self.probe().sockets_max
    }

    /// Whether one worker of the model can watch so many sockets; if not, says so.
    pub fn holds(self, sockets: u32) -> bool {
        let max = self.sockets_max();
        let holds = max == 0 || sockets <= max || self.drive.has_threads();
        if !holds {
            println!("skipped: a worker of this model watches {max} sockets, not {sockets}");
        }
        holds
    }

    /// Whether the system resets a connection when it should; if not, says so.
    pub fn resets(self) -> bool {
        if !process::resets() {
            println!("skipped: this system ends a connection that it should reset");
        }
        process::resets()
    }

    pub fn config(self, change: impl FnOnce(&mut sockeye_config)) -> sockeye_config {
        let mut config = MaybeUninit::<sockeye_config>::zeroed();
        // SAFETY: the struct is plain numbers, writable, and its size is given.
        let mut config = unsafe {
            let size = size_of::<sockeye_config>();
            assert_eq!(sockeye_config_init(config.as_mut_ptr(), size), words::OK);
            config.assume_init()
        };
        config.model = self.model;
        config.drive = self.drive.number;
        config.workers = self.drive.workers;
        config.queues = self.drive.queues;
        change(&mut config);
        config
    }

    pub fn net_with(self, change: impl FnOnce(&mut sockeye_config)) -> Net {
        Net::open(&self.config(change)).expect("a net opens")
    }

    pub fn net(self) -> Net {
        self.net_with(|_| {})
    }

    pub fn host_with(self, change: impl FnOnce(&mut sockeye_config)) -> Host {
        Host::new(self.net_with(change))
    }

    pub fn host(self) -> Host {
        self.host_with(|_| {})
    }
}

/// The text in a field of a struct, up to its NUL.
pub fn text_of(field: &[c_char]) -> String {
    let bytes = field.iter().map(|&char| char.to_ne_bytes()[0]);
    let bytes: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
    String::from_utf8(bytes).expect("texts are UTF-8")
}

/// The defaults of an endpoint, with changes.
pub fn endpoint(change: impl FnOnce(&mut sockeye_endpoint)) -> sockeye_endpoint {
    let mut endpoint = MaybeUninit::<sockeye_endpoint>::zeroed();
    // SAFETY: the struct is plain numbers, writable, and its size is given.
    let mut endpoint = unsafe {
        let size = size_of::<sockeye_endpoint>();
        assert_eq!(sockeye_endpoint_init(endpoint.as_mut_ptr(), size), words::OK);
        endpoint.assume_init()
    };
    change(&mut endpoint);
    endpoint
}

/// A frame of `?frame=u32be`, the framing of most tests.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// The payloads in a stream of `?frame=u32be`, which has to end with a frame's end.
pub fn unframe(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while !stream.is_empty() {
        let (header, rest) = stream.split_at_checked(4).expect("a whole header");
        let len = u32::from_be_bytes(header.try_into().expect("four bytes")) as usize;
        let (payload, rest) = rest.split_at_checked(len).expect("a whole frame");
        payloads.push(payload);
        stream = rest;
    }
    payloads
}

/// Waits for something that other threads bring about, without touching a net.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Waits until nothing is left of the nets before. libkqueue closes what a kqueue had a moment
/// later, in a thread that ends with the last.
pub fn settle() {
    wait_for("the end of libkqueue's thread", || !process::has_thread("libkqueue_mon"));
}

/// Watches that something stays true for a while: for what must *not* happen.
pub fn stays(what: &str, span: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        assert!(holds(), "did not stay: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
