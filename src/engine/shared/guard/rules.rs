//! Prefixes of addresses that are allowed or denied, made for being asked often.

use std::cmp::Reverse;
use std::net::IpAddr;

/// The addresses of one family that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Prefix {
    v6: bool,
    len: u8,
    /// From the highest bit on; those behind the prefix are 0.
    bits: u128,
}

/// Family and bits, from the highest bit on. An IPv4 address is one in whichever form it comes.
fn place(ip: IpAddr) -> (bool, u128) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (false, u128::from(ip.to_bits()) << 96),
        IpAddr::V6(ip) => (true, ip.to_bits()),
    }
}

/// The bits behind a prefix of this length.
fn behind(len: u8) -> u128 {
    u128::MAX.checked_shr(len.into()).unwrap_or(0)
}

impl Prefix {
    /// The first `len` bits of an address; what is behind them does not count. None: it has not so
    /// many, or the prefix would be of both families.
    pub fn new(ip: IpAddr, len: u32) -> Option<Prefix> {
        let mapped = ip.is_ipv6() && ip.to_canonical().is_ipv4();
        let len = u8::try_from(len).ok()?.checked_sub(if mapped { 96 } else { 0 })?;
        let most = if ip.to_canonical().is_ipv4() { 32 } else { 128 };
        (len <= most).then(|| Prefix::of(ip, len))
    }

    /// The first `len` bits of an address, no more than its family has.
    pub fn of(ip: IpAddr, len: u8) -> Prefix {
        let (v6, bits) = place(ip);
        Prefix { v6, len, bits: bits & !behind(len) }
    }

    /// Where a peer comes from, for what is counted: its IPv4 address, or the /64 of an IPv6 one,
    /// of which one host has all.
    pub fn source(ip: IpAddr) -> Prefix {
        Prefix::of(ip, if ip.to_canonical().is_ipv4() { 32 } else { 64 })
    }

    /// Bits that are the same.
    pub fn length(self) -> u8 {
        self.len
    }

    /// Whether it is of IPv6.
    pub fn is_v6(self) -> bool {
        self.v6
    }

    /// Its borders.
    #[cfg(test)]
    pub fn first_and_last(self) -> (IpAddr, IpAddr) {
        let ip = |bits: u128| match self.v6 {
            true => IpAddr::V6(bits.into()),
            false => IpAddr::V4(((bits >> 96) as u32).into()),
        };
        (ip(self.bits), ip(self.last()))
    }

    /// The last of its addresses.
    fn last(self) -> u128 {
        self.bits | behind(self.len)
    }
}

/// A prefix, and what becomes of those in it. The longest prefix of an address counts.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Whom it is about.
    pub prefix: Prefix,
    /// They are refused.
    pub deny: bool,
}

/// Rules. Nested prefixes are laid flat: what is kept are the addresses at which the answer
/// changes, in order, from allowed to denied and back. So a look-up is one binary search.
#[derive(Default, Debug)]
pub struct Rules {
    v4: Vec<u32>,
    v6: Vec<u128>,
    count: usize,
}

impl Rules {
    /// Of the same prefix twice, the later one counts.
    pub fn new(rules: &[Rule]) -> Rules {
        let of = |v6| changes(rules.iter().copied().filter(|rule| rule.prefix.v6 == v6).collect());
        Rules {
            v4: of(false).into_iter().map(|at| (at >> 96) as u32).collect(),
            v6: of(true),
            count: rules.len(),
        }
    }

    /// So many were given.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether an address is denied. One that no rule is about is allowed.
    pub fn deny(&self, ip: IpAddr) -> bool {
        let (v6, bits) = place(ip);
        let before = match v6 {
            true => self.v6.partition_point(|&at| at <= bits),
            false => self.v4.partition_point(|&at| u128::from(at) << 96 <= bits),
        };
        before % 2 == 1
    }
}

/// Where the answer changes, for rules of one family.
fn changes(mut rules: Vec<Rule>) -> Vec<u128> {
    // The outer ones first; the sort keeps the order of those that are the same.
    rules.sort_by_key(|rule| (rule.prefix.bits, Reverse(rule.prefix.last())));
    let mut all = Changes(Vec::new());
    let mut open: Vec<Rule> = Vec::new();
    for rule in rules {
        all.leave(&mut open, |last| last < rule.prefix.bits);
        all.put(rule.prefix.bits, rule.deny);
        open.push(rule);
    }
    all.leave(&mut open, |_| true);
    all.0
}

struct Changes(Vec<u128>);

impl Changes {
    /// From `at` on the answer is this one. `at` is not before any that was put.
    fn put(&mut self, at: u128, deny: bool) {
        if (self.0.len() % 2 == 1) == deny {
            return;
        }
        if self.0.pop_if(|last| *last == at).is_none() {
            self.0.push(at);
        }
    }

    /// Ends the innermost rules while it is so: what is around them counts again.
    fn leave(&mut self, open: &mut Vec<Rule>, over: impl Fn(u128) -> bool) {
        while let Some(inner) = open.pop_if(|rule| over(rule.prefix.last())) {
            let around = open.last().is_some_and(|rule| rule.deny);
            if let Some(at) = inner.prefix.last().checked_add(1) {
                self.put(at, around);
            }
        }
    }
}
