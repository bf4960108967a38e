//! The models by name, and the one match that picks one.

use super::os::sys;
use super::proactor::{Affinity, Proactor, Setup};
use super::tap::Tap;
use crate::buf::Pool;
use std::ffi::CStr;
use std::sync::Arc;

/// The input/output models. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_model` documents each")]
pub enum Model {
    Auto = 0,
    Blocking = 1,
    Select = 2,
    Poll = 3,
    Epoll = 4,
    Tokio = 5,
    IoUring = 6,
    EventSelect = 7,
    OverlappedEvent = 8,
    OverlappedRoutine = 9,
    Iocp = 10,
    Kqueue = 11,
}

const MODELS: [(Model, &CStr); 12] = [
    (Model::Auto, c"auto"),
    (Model::Blocking, c"blocking"),
    (Model::Select, c"select"),
    (Model::Poll, c"poll"),
    (Model::Epoll, c"epoll"),
    (Model::Tokio, c"tokio"),
    (Model::IoUring, c"io_uring"),
    (Model::EventSelect, c"event_select"),
    (Model::OverlappedEvent, c"overlapped_event"),
    (Model::OverlappedRoutine, c"overlapped_routine"),
    (Model::Iocp, c"iocp"),
    (Model::Kqueue, c"kqueue"),
];

impl Model {
    /// The model with this number.
    pub fn from_number(number: u32) -> Option<Model> {
        MODELS.get(number as usize).map(|(model, _)| *model)
    }

    /// The model with this lower-case name.
    pub fn from_name(name: &str) -> Option<Model> {
        MODELS.iter().find(|(_, known)| known.to_str() == Ok(name)).map(|(model, _)| *model)
    }

    /// The lower-case name.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The lower-case name for C.
    pub fn c_name(self) -> &'static CStr {
        MODELS[self as usize].1
    }

    /// What AUTO stands for on this platform; any other model stands for itself.
    pub fn resolve(self) -> Model {
        if self == Model::Auto { AUTO } else { self }
    }
}

#[cfg(target_os = "linux")]
const AUTO: Model = Model::Epoll;
#[cfg(windows)]
const AUTO: Model = Model::Iocp;
#[cfg(all(kqueue, not(target_os = "linux")))]
const AUTO: Model = Model::Kqueue;
#[cfg(not(any(target_os = "linux", windows, kqueue)))]
const AUTO: Model = Model::Tokio;

/// Why AUTO means what it means, for `sockeye_net_get_info`.
pub const AUTO_REASON: &str = "the fastest model of this platform that needs no special permission";

/// Work that wants the model as a type. The engine brings it, so that this room does not name it.
pub trait Visit {
    /// What the work gives.
    type Out;
    /// The model is in this build.
    fn visit<P: Proactor>(self) -> Self::Out;
    /// It is not, for the reason given.
    fn absent(self, reason: &'static str) -> Self::Out;
}

/// THE match.
pub fn pick<V: Visit>(model: Model, visitor: V) -> V::Out {
    match model.resolve() {
        #[cfg(target_os = "linux")]
        Model::Epoll => {
            visitor.visit::<super::emulated::Emulated<super::os::linux::epoll::Epoll>>()
        }
        #[cfg(target_os = "linux")]
        Model::IoUring => visitor.visit::<super::os::linux::io_uring::Uring>(),
        #[cfg(kqueue)]
        Model::Kqueue => {
            visitor.visit::<super::emulated::Emulated<super::os::bsd::kqueue::Kqueue>>()
        }
        Model::Blocking => visitor.visit::<super::blocking::Blocking>(),
        #[cfg(unix)]
        Model::Poll => visitor.visit::<super::emulated::Emulated<super::os::unix::poll::Poll>>(),
        #[cfg(unix)]
        Model::Select => {
            visitor.visit::<super::emulated::Emulated<super::os::unix::select::Select>>()
        }
        Model::Tokio => visitor.visit::<super::emulated::Emulated<super::tokio::Tokio>>(),
        #[cfg(windows)]
        Model::Select => {
            visitor.visit::<super::emulated::Emulated<super::os::windows::select::Select>>()
        }
        #[cfg(windows)]
        Model::Poll => visitor.visit::<super::emulated::Emulated<super::os::windows::poll::Poll>>(),
        #[cfg(windows)]
        Model::EventSelect => visitor
            .visit::<super::emulated::Emulated<super::os::windows::event_select::EventSelect>>(),
        #[cfg(windows)]
        Model::OverlappedEvent => visitor.visit::<super::os::windows::overlapped::Overlapped<
            super::os::windows::overlapped_event::OverlappedEvent,
        >>(),
        #[cfg(windows)]
        Model::OverlappedRoutine => visitor.visit::<super::os::windows::overlapped::Overlapped<
            super::os::windows::overlapped_routine::OverlappedRoutine,
        >>(),
        #[cfg(windows)]
        Model::Iocp => visitor
            .visit::<super::os::windows::overlapped::Overlapped<super::os::windows::iocp::Iocp>>(),
        #[cfg(not(windows))]
        Model::EventSelect | Model::OverlappedEvent | Model::OverlappedRoutine | Model::Iocp => {
            visitor.absent("this model exists on Windows only")
        }
        #[cfg(not(target_os = "linux"))]
        Model::Epoll | Model::IoUring => visitor.absent("this model exists on Linux only"),
        #[cfg(not(kqueue))]
        Model::Kqueue => visitor.absent("this system has no kqueue"),
        _ => visitor.absent("this model is not in this version"),
    }
}

/// As `pick`, with a tap around the model.
pub fn pick_tapped<V: Visit>(model: Model, visitor: V) -> V::Out {
    struct Tapped<V>(V);
    impl<V: Visit> Visit for Tapped<V> {
        type Out = V::Out;
        fn visit<P: Proactor>(self) -> V::Out {
            self.0.visit::<Tap<P>>()
        }
        fn absent(self, reason: &'static str) -> V::Out {
            self.0.absent(reason)
        }
    }
    pick(model, Tapped(visitor))
}

/// What `probe` found.
pub struct Probe {
    /// The model, never AUTO.
    pub model: Model,
    /// Sockets one worker can watch.
    pub sockets_max: Option<u32>,
    /// Why it cannot run; None when it can.
    pub refusal: Option<String>,
}

/// Which threads may turn a worker of this model; None where the model is absent.
pub fn affinity(model: Model) -> Option<Affinity> {
    struct Ask;
    impl Visit for Ask {
        type Out = Option<Affinity>;
        fn visit<P: Proactor>(self) -> Self::Out {
            Some(P::AFFINITY)
        }
        fn absent(self, _reason: &'static str) -> Self::Out {
            None
        }
    }
    pick(model, Ask)
}

/// Whether a thread of the host may turn a worker of this model.
pub fn hosted(model: Model) -> bool {
    struct Ask;
    impl Visit for Ask {
        type Out = bool;
        fn visit<P: Proactor>(self) -> bool {
            P::HOSTED
        }
        fn absent(self, _reason: &'static str) -> bool {
            true
        }
    }
    pick(model, Ask)
}

/// Whether a worker of this model can give a socket back that goes on.
pub fn lets_go(model: Model) -> bool {
    struct Ask;
    impl Visit for Ask {
        type Out = bool;
        fn visit<P: Proactor>(self) -> bool {
            P::LETS_GO
        }
        fn absent(self, _reason: &'static str) -> bool {
            false
        }
    }
    pick(model, Ask)
}

/// Whether a model can run here, by opening it.
pub fn probe(model: Model) -> Probe {
    struct Open(Model);
    impl Visit for Open {
        type Out = Probe;
        fn visit<P: Proactor>(self) -> Probe {
            let pool = Pool::new(0);
            let (threads, summon) = (Arc::default(), Arc::new(|| {}));
            let setup = Setup { pool, recv_max: 0, threads, summon };
            let opened = sys::start().and_then(|_running| {
                let shared = P::share(1)?;
                P::open(&setup, &shared).map(drop)
            });
            let refusal = opened.err().map(|error| error.to_string());
            Probe { model: self.0, sockets_max: P::SOCKETS_MAX, refusal }
        }
        fn absent(self, reason: &'static str) -> Probe {
            Probe { model: self.0, sockets_max: None, refusal: Some(reason.into()) }
        }
    }
    pick(model, Open(model.resolve()))
}
