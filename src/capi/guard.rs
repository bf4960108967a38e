//! Guard: who may come in, by rules, bans, numbers and rates.

use super::address::sockeye_address;
use super::boundary::{fail, guard, in_words, init_sized, read_sized, same_fields, write_sized};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, GuardLimits, Prefix, Proxies, Rule};
use std::sync::Arc;
use std::{ptr, slice};

/// What a rule does with a peer.
#[repr(C)]
pub enum sockeye_guard_action {
    /// It may come in.
    SOCKEYE_GUARD_ALLOW = 0,
    /// It is refused.
    SOCKEYE_GUARD_DENY = 1,
}

/// A rule for all addresses that begin with the same bits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_guard_rule {
    /// The address. Its port and what is behind the prefix do not count.
    pub address: sockeye_address,
    /// How many bits: up to 32 for IPv4, up to 128 for IPv6. 0: all addresses of the family.
    pub prefix_bits: u32,
    /// A `sockeye_guard_action`.
    pub action: u32,
}

/// All addresses that begin with the same bits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_prefix {
    /// The address. Its port and what is behind the prefix do not count.
    pub address: sockeye_address,
    /// How many bits: up to 32 for IPv4, up to 128 for IPv6. 0: all addresses of the family.
    pub prefix_bits: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// How much a listener lets in, and which proxies it believes. A source is an IPv4 address, or the
/// /64 of an IPv6 one, of which a single host has all. Each listener counts for itself; local
/// sockets count only for `accepts_per_s`. The first three are for streams, and must be 0 for
/// `udp://`. Fill it with `sockeye_guard_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_guard {
    /// The size this program was built with; set by `sockeye_guard_init`.
    pub struct_size: u32,
    /// Connections of one source at the same time; one counts until the batch with its CLOSED ends.
    /// 0: no bound. Default 0.
    pub per_address_max: u32,
    /// Connections of one source in a second, at most 1,000,000: a bucket of so many tokens, filled
    /// within a second. 0: no bound. Default 0.
    pub per_address_per_s: u32,
    /// Connections in a second, of all sources together, in the same way. 0: no bound. Default 0.
    pub accepts_per_s: u32,
    /// `tcp://` and `tls://` listeners: a peer with one of these addresses is a proxy, and begins
    /// with a header of the PROXY protocol, version 1 or 2. The header names the real peer: the
    /// library reports that one, and asks rules, bans and bounds about it before OPENED. It resets
    /// a proxy whose header is missing or wrong, without an event, and reads no header of other
    /// peers. The prefixes are copied. Default NULL: no proxies.
    pub proxy_from: *const sockeye_prefix,
    /// How many prefixes. Default 0.
    pub proxy_from_count: u32,
    /// Time for a proxy's header, in milliseconds; 0: any. Default 5000.
    pub proxy_timeout_ms: u32,
    /// `udp://` only: datagrams of one source in a second, in the same way; more are dropped. 0: no
    /// bound. Default 0.
    pub datagrams_per_address_per_s: u32,
    /// Must be 0.
    pub reserved: [u32; 7],
}

/// What the guard of a net has refused since `sockeye_init`, and what it keeps. Those that were
/// refused are counted neither as `accepted` nor as `accept_failures`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_guard_stats {
    /// `sizeof(sockeye_guard_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Must be ignored.
    pub reserved: u32,
    /// Connections, and datagrams, that a rule denied.
    pub rule: u64,
    /// Connections, and datagrams, of a banned address.
    pub ban: u64,
    /// Connections over `per_address_max`.
    pub per_address: u64,
    /// Connections over `accepts_per_s`.
    pub rate: u64,
    /// Connections over `per_address_per_s`, and datagrams over `datagrams_per_address_per_s`.
    pub address_rate: u64,
    /// Rules now.
    pub rules: u64,
    /// Bans now; one that is over may still count.
    pub bans: u64,
    /// Sources in the tables of all listeners now: those with connections, and up to 65,536 for
    /// each listener that are remembered for their rate.
    pub addresses: u64,
    /// Connections that the function of `sockeye_set_admit` refused.
    pub admit: u64,
}

const _: () = assert!(size_of::<sockeye_guard_rule>() == 48);
const _: () = assert!(size_of::<sockeye_prefix>() == 48);
const _: () = assert!(size_of::<sockeye_guard>() == 64);
const _: () = assert!(size_of::<sockeye_guard_stats>() == 80);

impl Default for sockeye_guard {
    fn default() -> Self {
        sockeye_guard {
            struct_size: size_of::<Self>() as u32,
            per_address_max: 0,
            per_address_per_s: 0,
            accepts_per_s: 0,
            proxy_from: ptr::null(),
            proxy_from_count: 0,
            proxy_timeout_ms: 5000,
            datagrams_per_address_per_s: 0,
            reserved: Default::default(),
        }
    }
}

impl sockeye_guard_rule {
    fn parse(&self) -> Result<Rule, String> {
        let prefix = parse_prefix(&self.address, self.prefix_bits)?;
        match self.action {
            0 => Ok(Rule { prefix, deny: false }),
            1 => Ok(Rule { prefix, deny: true }),
            action => Err(format!("action: {action} is unknown")),
        }
    }
}

fn parse_prefix(address: &sockeye_address, bits: u32) -> Result<Prefix, String> {
    let family = address.family;
    let unknown = || format!("address.family is {family}, must be 4 or 6");
    let ip = address.parse().ok_or_else(unknown)?.ip();
    Prefix::new(ip, bits).ok_or_else(|| format!("prefix_bits: {ip} has no prefix of {bits} bits"))
}

/// The guard of an endpoint.
pub(super) type Guard = (GuardLimits, Option<Arc<Proxies>>);

/// Reads the guard of an endpoint. None: there is none.
///
/// # Safety
/// `guard` is NULL or has as many readable bytes as its `struct_size` says, and `proxy_from_count`
/// proxies.
pub(super) unsafe fn read_guard(guard: *const sockeye_guard) -> Result<Option<Guard>, Error> {
    if guard.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
    let given = unsafe { read_sized(guard, &sockeye_guard::default(), "guard") }?;
    if given.reserved.iter().any(|&it| it != 0) {
        return Err(fail(Error::Invalid, "guard.reserved must be 0"));
    }
    // SAFETY: the caller gives so many proxies.
    let proxies = unsafe { read_proxies(&given) }?;
    let limits = same_fields!(given => GuardLimits {
        per_address_max,
        per_address_per_s,
        accepts_per_s,
        datagrams_per_address_per_s,
    });
    Ok(Some((limits, proxies)))
}

/// Reads the proxies of a guard.
///
/// # Safety
/// `proxy_from` is NULL or has `proxy_from_count` prefixes.
unsafe fn read_proxies(guard: &sockeye_guard) -> Result<Option<Arc<Proxies>>, Error> {
    if guard.proxy_from_count == 0 {
        return Ok(None);
    }
    if guard.proxy_from.is_null() {
        return Err(fail(Error::Invalid, "guard.proxy_from is NULL"));
    }
    // SAFETY: not NULL, and the caller gives so many prefixes, which fit in half of memory.
    let given = unsafe { slice::from_raw_parts(guard.proxy_from, guard.proxy_from_count as usize) };
    let parse = |(at, prefix): (usize, &sockeye_prefix)| {
        let parsed = match prefix.reserved {
            0 => parse_prefix(&prefix.address, prefix.prefix_bits),
            _ => Err("reserved must be 0".into()),
        };
        parsed.map_err(|words| fail(Error::Invalid, format!("guard.proxy_from[{at}].{words}")))
    };
    let from: Vec<Prefix> = given.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(Some(Arc::new(Proxies::new(from, guard.proxy_timeout_ms))))
}

/// Fills `guard` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows. The defaults bound nothing.
///
/// Ownership: `guard` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_guard_init(
    guard: *mut sockeye_guard,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    super::boundary::guard(|| unsafe { init_sized(guard, size, sockeye_guard::default()) })
}

/// Replaces all rules of a net at once: each peer meets the old rules or the new ones. The longest
/// prefix of an address counts, and of the same prefix twice the later one. An address that no
/// rule is about may come in; so a net that lets in a few alone has rules that deny 0.0.0.0/0 and
/// ::/0 beside theirs. A v4-mapped IPv6 address is one of IPv4, with 96 bits more.
///
/// A peer that is refused is reset before anything is allocated for it, and there is no event of
/// it. A datagram to a `udp://` listener is dropped. Connections that are there stay, and connects
/// of the host are not looked at.
///
/// Ownership: `rules` are copied.
/// NULL:      `rules` may be NULL with `count` 0: no rules.
/// Threads:   any thread, any number of times. It sorts: 100,000 rules take some milliseconds.
/// Returns:   OK; ERR_INVALID (NULL, a value out of its range: `sockeye_last_error` names the
///            rule), and then the old rules stay; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_guard_set(
    net: *mut sockeye_net,
    rules: *const sockeye_guard_rule,
    count: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let bytes = count.checked_mul(size_of::<sockeye_guard_rule>());
        if count > 0 && (rules.is_null() || bytes.is_none_or(|it| it > isize::MAX as usize)) {
            return Err(fail(Error::Invalid, "rules is NULL, or count too large"));
        }
        let given = match count {
            0 => &[],
            // SAFETY: not NULL, and the caller gives `count` rules.
            _ => unsafe { std::slice::from_raw_parts(rules, count) },
        };
        let parse = |(at, rule): (usize, &sockeye_guard_rule)| {
            rule.parse().map_err(|words| fail(Error::Invalid, format!("rules[{at}].{words}")))
        };
        let parsed: Vec<Rule> = given.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        net.set_guard(&parsed).map_err(in_words)
    })
}

/// Bans all addresses that begin with the first `prefix_bits` bits of `address` for `ms`
/// milliseconds, in place of what was said of this prefix before. 0 lifts the ban of this prefix,
/// if there is one. What it means for a peer is said at `sockeye_guard_set`; a ban counts before
/// every rule. Connections that are there stay: close them.
///
/// Ownership: `address` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, family unknown, more bits than it has: in words); ERR_LIMIT
///            (65,536 bans); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_guard_ban(
    net: *mut sockeye_net,
    address: *const sockeye_address,
    prefix_bits: u32,
    ms: u64,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        if address.is_null() {
            return Err(fail(Error::Invalid, "address is NULL"));
        }
        // SAFETY: not NULL, so an address.
        let prefix = parse_prefix(&unsafe { address.read() }, prefix_bits)
            .map_err(|words| fail(Error::Invalid, words))?;
        net.ban(prefix, ms).map_err(in_words)
    })
}

/// What the guard of a net has refused, and what it keeps. Each number is exact, but they are not
/// taken at one instant.
///
/// Ownership: `out_stats` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_guard_get_stats(
    net: *mut sockeye_net,
    out_stats: *mut sockeye_guard_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let facts = unsafe { enter(net) }?.guard_stats();
        let stats = same_fields!(facts => sockeye_guard_stats {
            rule,
            ban,
            per_address,
            rate,
            address_rate,
            admit,
            rules,
            bans,
            addresses,
        } and {
            struct_size: size.min(size_of::<sockeye_guard_stats>()) as u32,
            reserved: 0,
        });
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}
