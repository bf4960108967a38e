//! Names: the addresses of a host, and the names of an address.

use super::address::sockeye_address;
use super::boundary::{fail, guard, in_words, text_arg};
use super::event::sockeye_event_kind;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Question, RESOLVED, Service};
use std::ffi::c_char;

const _: () = assert!(RESOLVED == sockeye_event_kind::SOCKEYE_EVENT_RESOLVED as u32);

/// Looks up the addresses of a host by the system's resolver (getaddrinfo(3): hosts file, DNS and
/// what else the system is set to), on a thread of the library. An event RESOLVED of this queue has
/// the answer: in `data` at least one `sockeye_address`, in the resolver's order, each with the
/// port of `service`: none (0), a number, or a name as in /etc/services. An address as `name`
/// answers itself.
///
/// Each question has exactly one answer, in no order, unless a shutdown comes first: that ends
/// questions without one. At most 16 look-ups run at a time; the same question asked meanwhile
/// shares its look-up. At most 512 questions are pending. An answer for which there is no memory
/// (`memory_max_bytes`) is RESOLVE with the resolver's code for that, EAI_MEMORY.
///
/// Ownership: `name` and `service` are copied.
/// NULL:      `service` may be NULL: port 0.
/// Threads:   any thread, callbacks included.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue, an empty or overlong text, a port above 65535);
///            ERR_LIMIT (512 questions, or 1024 names with those of connects, are pending);
///            ERR_AGAIN (half of `queue_max_bytes` is pending in the queue); ERR_OS (no thread can
///            be started); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_resolve(
    net: *mut sockeye_net,
    queue: u32,
    name: *const c_char,
    service: *const c_char,
    user_data: u64,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: the caller gives a NUL-terminated text or NULL.
        let name = unsafe { text_arg(name, "name") }?;
        if name.is_empty() {
            return Err(fail(Error::Invalid, "name is empty"));
        }
        let service = if service.is_null() {
            Service::Port(0)
        } else {
            // SAFETY: the caller gives a NUL-terminated text.
            read_service(unsafe { text_arg(service, "service") }?)?
        };
        let question = Question::Host(name.to_owned(), service);
        net.resolve(queue, question, user_data).map_err(in_words)
    })
}

/// A number is a port, whatever the system makes of it.
fn read_service(text: &str) -> Result<Service, Error> {
    if text.is_empty() {
        return Err(fail(Error::Invalid, "service is empty"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Service::Named(text.to_owned()));
    }
    let port = text.parse().map(Service::Port);
    port.map_err(|_| fail(Error::Invalid, format!("service {text} is not 0 to 65535")))
}

/// Looks up the name of an address and of its port's service by the system's resolver
/// (getnameinfo(3)). An event RESOLVED of this queue has the answer, as that of `sockeye_resolve`:
/// in `data` two texts, each with its NUL, the host's name and behind it the service's. What has no
/// name is answered as its number: "10.1.2.3", "7777".
///
/// Ownership: `address` is copied.
/// NULL:      not allowed.
/// Threads:   any thread, callbacks included.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue, family unknown); ERR_LIMIT, ERR_AGAIN, ERR_OS,
///            ERR_SHUTDOWN as of `sockeye_resolve`.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_resolve_address(
    net: *mut sockeye_net,
    queue: u32,
    address: *const sockeye_address,
    user_data: u64,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        if address.is_null() {
            return Err(fail(Error::Invalid, "address is NULL"));
        }
        // SAFETY: not NULL, so an address.
        let address = unsafe { address.read() }.read()?;
        net.resolve(queue, Question::Address(address), user_data).map_err(in_words)
    })
}
