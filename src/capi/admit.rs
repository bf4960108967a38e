//! Admit: the host's own word about each peer.

use super::address::sockeye_address;
use super::boundary::guard;
use super::listener::sockeye_listener;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{self, Ask};
use std::ffi::c_void;
use std::sync::Arc;

/// What the host says of a peer.
#[repr(C)]
pub enum sockeye_admit_answer {
    /// The peer is reset.
    SOCKEYE_REFUSE = 0,
    /// It may come in.
    SOCKEYE_ADMIT = 1,
}

const _: () = assert!(sockeye_admit_answer::SOCKEYE_REFUSE as u32 == engine::REFUSE);
const _: () = assert!(sockeye_admit_answer::SOCKEYE_ADMIT as u32 == engine::ADMIT);

/// The host's function for peers: it receives `user` as given, the listener, and the peer's
/// address, of which `family` is 0 for a local socket (`unix:`). It must not throw.
///
/// Ownership: `peer` is borrowed until return.
/// NULL:      `user` is as it was given; `peer` is never NULL.
/// Threads:   called on threads of the net's workers, and inside polls where these turn a worker;
///            several at a time, but one for each listener.
/// Returns:   a `sockeye_admit_answer`. Any other number is taken for REFUSE, and the first one
///            such is logged.
/// Since:     0.1
pub type sockeye_admit_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        listener: sockeye_listener,
        peer: *const sockeye_address,
    ) -> u32,
>;

/// The host's pointer, given back to it on other threads as it was.
struct User(*mut c_void);

// SAFETY: the library never looks behind it; the host says in `sockeye_set_admit` that it may come
// on any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// Asks `admit` once about each accepted peer that rules, bans and bounds let in, before anything
/// is allocated for it, with no lock of the library held. Who is refused is reset, has no event,
/// and counts as `admit` in `sockeye_guard_stats`. Datagrams and connects of the host are not asked
/// about. In a shutdown the peers that are not asked about yet are refused. Where a proxy speaks
/// for peers (`proxy_from`) it is asked about the proxy: who it brings is not known as yet.
///
/// While the function runs its worker does nothing else, and the listener accepts nothing more: it
/// answers from what the host has at hand. It may call everything except what would wait for its
/// own worker: polls, shutdown, free and the releases of this net answer ERR_WOULD_DEADLOCK.
///
/// When this returns, the previous function does not run and is never called again; if it makes
/// this call itself, that is so when it returns.
///
/// Ownership: `user` is borrowed until another function, or NULL, is set.
/// NULL:      `admit` may be NULL, which removes the function. `user` may be NULL.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL net); ERR_WOULD_DEADLOCK (the previous function waits, itself
///            or through others, for the one that this thread runs).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_set_admit(
    net: *mut sockeye_net,
    admit: sockeye_admit_fn,
    user: *mut c_void,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let user = User(user);
        let ask = admit.map(|admit| -> Arc<Ask> {
            Arc::new(move |id, peer| {
                let (user, peer) = (&user, sockeye_address::from(peer));
                // SAFETY: the host's function with the pointer that it was given for, and an
                // address.
                unsafe { admit(user.0, sockeye_listener { id }, &peer) }
            })
        });
        net.set_admit(ask)
    })
}
