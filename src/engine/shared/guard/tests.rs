use super::bans::{BANS_MAX, Bans};
use super::reason::Reason;
use super::rules::{Prefix, Rule, Rules};
use super::table::{IDLE_MAX, Limits, RATE_MAX, Table};
use super::{Door, Guard};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn prefix(text: &str) -> Prefix {
    let (ip, len) = text.split_once('/').expect("an address and a length");
    Prefix::new(ip.parse().expect("an address"), len.parse().expect("a number")).expect("a prefix")
}

fn deny(text: &str) -> Rule {
    Rule { prefix: prefix(text), deny: true }
}

fn allow(text: &str) -> Rule {
    Rule { prefix: prefix(text), deny: false }
}

/// Numbers that are alike in each run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An address; few of them differ in more than `bits` bits.
    fn ip(&mut self, v6: bool, bits: u32) -> IpAddr {
        if v6 {
            let wide = u128::from(self.next()) << 64 | u128::from(self.next());
            Ipv6Addr::from_bits(0x2001 << 112 | wide >> 16 & (u128::MAX << (112 - bits) >> 16))
                .into()
        } else {
            Ipv4Addr::from_bits(self.next() as u32 & (u32::MAX << (32 - bits))).into()
        }
    }
}

#[test]
fn the_longest_prefix_counts() {
    let rules = Rules::new(&[
        allow("10.1.2.3/32"),
        deny("10.0.0.0/8"),
        allow("10.1.0.0/16"),
        deny("10.1.2.0/24"),
        deny("255.255.255.255/32"),
        deny("2001:db8::/32"),
        allow("2001:db8:1::/48"),
        deny("ffff::/16"),
    ]);
    for (text, denied) in [
        ("9.255.255.255", false),
        ("10.0.0.0", true),
        ("10.0.255.255", true),
        ("10.1.0.0", false),
        ("10.1.2.2", true),
        ("10.1.2.3", false),
        ("10.1.2.4", true),
        ("10.1.3.0", false),
        ("10.2.0.0", true),
        ("10.255.255.255", true),
        ("11.0.0.0", false),
        ("255.255.255.254", false),
        ("255.255.255.255", true),
        ("::ffff:10.2.0.0", true),
        ("::10.2.0.0", false),
        ("2001:db7:ffff::", false),
        ("2001:db8::1", true),
        ("2001:db8:1::1", false),
        ("2001:db8:2::1", true),
        ("2001:db9::", false),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
    ] {
        assert_eq!(rules.deny(ip(text)), denied, "{text}");
    }
    assert!(!Rules::default().deny(ip("10.0.0.1")), "without rules all may come in");
}

#[test]
fn each_family_has_its_own_all() {
    let rules = Rules::new(&[deny("0.0.0.0/0"), allow("192.0.2.0/24")]);
    assert!(rules.deny(ip("1.1.1.1")) && !rules.deny(ip("192.0.2.9")));
    assert!(!rules.deny(ip("::")) && !rules.deny(ip("2001:db8::1")));
    let rules = Rules::new(&[deny("::/0")]);
    assert!(!rules.deny(ip("1.1.1.1")) && rules.deny(ip("::1")));
}

#[test]
fn the_later_of_two_alike_counts() {
    assert!(!Rules::new(&[deny("10.0.0.0/8"), allow("10.9.9.9/8")]).deny(ip("10.1.1.1")));
    assert!(Rules::new(&[allow("10.0.0.0/8"), deny("10.9.9.9/8")]).deny(ip("10.1.1.1")));
}

#[test]
fn prefixes_are_no_longer_than_their_address() {
    assert!(Prefix::new(ip("10.0.0.0"), 32).is_some());
    assert_eq!(Prefix::new(ip("10.0.0.0"), 33), None);
    assert_eq!(Prefix::new(ip("::"), 129), None);
    assert_eq!(Prefix::new(ip("::"), 256), None);
    assert_eq!(Prefix::new(ip("::ffff:10.0.0.1"), 104), Some(prefix("10.0.0.0/8")));
    assert_eq!(Prefix::new(ip("::ffff:10.0.0.1"), 95), None, "of both families");
    assert_eq!(Prefix::new(ip("::ffff:10.0.0.1"), 129), None);
}

/// As many rules as `count`, nested at random.
fn many(count: usize, v6: bool, numbers: &mut Numbers) -> Vec<Rule> {
    (0..count)
        .map(|_| {
            let span = if v6 { 20 + numbers.next() % 45 } else { 4 + numbers.next() % 29 } as u32;
            let ip = numbers.ip(v6, if v6 { 48 } else { 32 });
            let prefix = Prefix::new(ip, span).expect("no longer than it");
            Rule { prefix, deny: numbers.next().is_multiple_of(2) }
        })
        .collect()
}

/// What a scan of all rules answers.
fn scan(rules: &[Rule], ip: IpAddr) -> bool {
    let about = |rule: &&Rule| {
        let same = rule.prefix.is_v6() == ip.is_ipv6();
        same && Prefix::of(ip, rule.prefix.length()) == rule.prefix
    };
    // Of those that are equally long, the last.
    let best = rules.iter().filter(about).max_by_key(|rule| rule.prefix.length());
    best.is_some_and(|rule| rule.deny)
}

#[test]
fn many_rules_answer_as_a_scan_of_them_does() {
    let mut numbers = Numbers(7);
    for v6 in [false, true] {
        let given = many(100_000, v6, &mut numbers);
        let rules = Rules::new(&given);
        assert_eq!(rules.count(), given.len());
        let mut denied = 0;
        for round in 0..600 {
            let ip = match round % 3 {
                // Around a border.
                0 => given[numbers.next() as usize % given.len()].prefix.first_and_last().0,
                1 => given[numbers.next() as usize % given.len()].prefix.first_and_last().1,
                _ => numbers.ip(v6, if v6 { 48 } else { 32 }),
            };
            let expected = scan(&given, ip);
            assert_eq!(rules.deny(ip), expected, "{ip}");
            denied += usize::from(expected);
        }
        assert!((100..500).contains(&denied), "{denied} of 600 are denied");
    }
}

#[test]
fn a_ban_has_an_end() {
    let mut bans = Bans::default();
    assert!(!bans.hit(ip("10.0.0.1"), 1));
    assert!(bans.ban(prefix("10.0.0.1/32"), 100, 1) && bans.ban(prefix("2001:db8::/64"), 50, 1));
    assert!(bans.hit(ip("10.0.0.1"), 99) && bans.hit(ip("::ffff:10.0.0.1"), 99));
    assert!(!bans.hit(ip("10.0.0.2"), 99));
    assert!(bans.hit(ip("2001:db8::5"), 49) && !bans.hit(ip("2001:db8::5"), 50));
    assert!(bans.ban(prefix("10.0.0.1/32"), 60, 50), "a ban takes the place of another");
    assert!(bans.hit(ip("10.0.0.1"), 59) && !bans.hit(ip("10.0.0.1"), 60));
    assert!(!bans.hit(ip("10.0.0.1"), 100));
    assert_eq!(bans.count(), 0, "all are over");
}

#[test]
fn a_ban_is_lifted() {
    let mut bans = Bans::default();
    bans.ban(prefix("10.0.0.0/8"), 100, 1);
    bans.ban(prefix("10.1.0.0/16"), 100, 1);
    bans.lift(prefix("10.0.0.0/8"));
    bans.lift(prefix("10.0.0.0/8"));
    assert!(bans.hit(ip("10.1.0.1"), 2) && !bans.hit(ip("10.2.0.1"), 2));
}

#[test]
fn bans_are_bounded() {
    let mut bans = Bans::default();
    let one = |at: usize| Prefix::of(Ipv4Addr::from_bits(at as u32).into(), 32);
    for at in 0..BANS_MAX {
        assert!(bans.ban(one(at), if at == 7 { 10 } else { 100 }, 1));
    }
    assert!(!bans.ban(one(BANS_MAX), 100, 9), "one too many");
    assert!(bans.ban(one(8), 200, 9), "in place of its own");
    assert!(bans.ban(one(BANS_MAX), 100, 10), "one is over");
    assert!(!bans.hit(Ipv4Addr::from_bits(7).into(), 11));
    assert!(bans.hit(Ipv4Addr::from_bits(6).into(), 11));
}

fn source(text: &str) -> Option<Prefix> {
    Some(Prefix::source(ip(text)))
}

#[test]
fn so_many_of_an_address() {
    let mut table = Table::new(Limits { per_address_max: 2, ..Limits::default() });
    let (one, other) = (source("10.0.0.1"), source("10.0.0.2"));
    assert_eq!((table.admit(one, 1), table.admit(one, 1)), (Ok(()), Ok(())));
    assert_eq!(table.admit(one, 1), Err(Reason::PerAddress));
    assert_eq!((table.admit(other, 1), table.admit(None, 1)), (Ok(()), Ok(())));
    table.leave(one.expect("one"));
    assert_eq!((table.admit(one, 1), table.admit(one, 1)), (Ok(()), Err(Reason::PerAddress)));
    assert_eq!(table.len(), 2);
    for gone in [one, one, other] {
        table.leave(gone.expect("one"));
    }
    assert_eq!(table.len(), 0);
}

#[test]
fn an_ipv6_network_is_one_source() {
    let mut table = Table::new(Limits { per_address_max: 1, ..Limits::default() });
    assert_eq!(table.admit(source("2001:db8::1"), 1), Ok(()));
    assert_eq!(table.admit(source("2001:db8::2"), 1), Err(Reason::PerAddress));
    assert_eq!(table.admit(source("2001:db8:0:1::2"), 1), Ok(()));
    assert_eq!(table.admit(source("::1"), 1), Ok(()));
    assert_eq!(table.admit(source("::ffff:10.0.0.1"), 1), Ok(()));
    assert_eq!(table.admit(source("10.0.0.1"), 1), Err(Reason::PerAddress), "the same address");
    assert_eq!(table.admit(source("10.0.0.2"), 1), Ok(()));
}

#[test]
fn so_many_in_a_second() {
    let mut table = Table::new(Limits { accepts_per_s: 10, ..Limits::default() });
    let mut admit = |now| table.admit(source("10.0.0.1"), now);
    for _ in 0..10 {
        assert_eq!(admit(5000), Ok(()));
    }
    assert_eq!((admit(5000), admit(5099)), (Err(Reason::Rate), Err(Reason::Rate)));
    assert_eq!((admit(5100), admit(5199)), (Ok(()), Err(Reason::Rate)));
    assert_eq!((0..20).filter(|_| admit(60_000).is_ok()).count(), 10, "no more is saved up");
    for rate in [1, 3, 7, 1000, RATE_MAX] {
        let mut table = Table::new(Limits { accepts_per_s: rate, ..Limits::default() });
        let taken = (0..=rate).take_while(|_| table.admit(None, 1).is_ok()).count();
        assert_eq!(taken, rate as usize);
    }
}

#[test]
fn so_many_of_an_address_in_a_second() {
    let limits = Limits { per_address_per_s: 2, accepts_per_s: 5, ..Limits::default() };
    let mut table = Table::new(limits);
    let (one, other) = (source("10.0.0.1"), source("10.0.0.2"));
    assert_eq!((table.admit(one, 1), table.admit(one, 1)), (Ok(()), Ok(())));
    for _ in 0..100 {
        assert_eq!(table.admit(one, 1), Err(Reason::AddressRate), "and takes no one else's place");
    }
    table.leave(one.expect("one"));
    table.leave(one.expect("one"));
    assert_eq!(table.admit(one, 1), Err(Reason::AddressRate), "it is remembered");
    assert_eq!((table.admit(other, 1), table.admit(other, 1)), (Ok(()), Ok(())));
    assert_eq!((table.admit(None, 1), table.admit(None, 1)), (Ok(()), Err(Reason::Rate)));
    assert_eq!(table.admit(one, 501), Ok(()));
}

#[test]
fn so_many_datagrams_of_an_address() {
    let limits = Limits { datagrams_per_address_per_s: 2, ..Limits::default() };
    let mut table = Table::new(limits);
    let nth = |at: usize| Some(Prefix::source(Ipv4Addr::from_bits(at as u32).into()));
    assert_eq!((table.admit(nth(1), 1), table.admit(nth(1), 1)), (Ok(()), Ok(())));
    assert_eq!(table.admit(nth(1), 1), Err(Reason::AddressRate));
    assert_eq!((table.admit(nth(2), 1), table.admit(None, 1)), (Ok(()), Ok(())));
    assert_eq!((table.admit(nth(1), 501), table.len()), (Ok(()), 2));
    assert_eq!(table.admit(nth(1), 501), Err(Reason::AddressRate));
    for at in 3..=IDLE_MAX {
        assert_eq!(table.admit(nth(at), 501), Ok(()));
    }
    // One that is refused was heard, too: the other one is the oldest.
    assert_eq!(table.admit(nth(1), 501), Err(Reason::AddressRate));
    assert_eq!((table.admit(nth(IDLE_MAX + 1), 501), table.len()), (Ok(()), IDLE_MAX));
    assert_eq!(table.admit(nth(1), 501), Err(Reason::AddressRate), "remembered");
}

#[test]
fn the_oldest_address_is_forgotten() {
    let mut table = Table::new(Limits { per_address_per_s: 1, ..Limits::default() });
    let nth = |at: usize| Prefix::source(Ipv4Addr::from_bits(at as u32).into());
    assert_eq!(table.admit(Some(nth(0)), 1), Ok(()), "this one stays connected");
    for at in 1..=IDLE_MAX + 1 {
        assert_eq!(table.admit(Some(nth(at)), 1), Ok(()));
        table.leave(nth(at));
    }
    assert_eq!(table.len(), IDLE_MAX + 1);
    assert_eq!(table.admit(Some(nth(1)), 1), Ok(()), "forgotten");
    assert_eq!(table.admit(Some(nth(2)), 1), Err(Reason::AddressRate), "remembered");
    assert_eq!(table.admit(Some(nth(0)), 1), Err(Reason::AddressRate), "connected");
}

#[test]
fn a_guard_counts_what_it_refuses() {
    let guard = Guard::default();
    let peer = |text: &str| Some(SocketAddr::new(ip(text), 1));
    assert!(!guard.is_on());
    guard.set_rules(Rules::new(&[deny("10.0.0.0/8")]));
    assert!(guard.ban(prefix("11.0.0.0/8"), Some(100), 1) && guard.is_on());
    let door = Door::new(Limits { per_address_max: 1, ..Limits::default() }, &guard);
    let admit = |text, now| guard.decide(Some(&door), peer(text), now);
    assert_eq!(admit("10.0.0.1", 1), Err(Reason::Rule));
    assert_eq!(admit("11.0.0.1", 1), Err(Reason::Ban));
    assert_eq!((admit("12.0.0.1", 1), admit("12.0.0.1", 1)), (Ok(()), Err(Reason::PerAddress)));
    assert_eq!(admit("11.0.0.1", 100), Ok(()));
    assert_eq!(guard.decide(None, None, 1), Ok(()), "a local socket");
    let stats = guard.stats();
    assert_eq!((stats.rule, stats.ban, stats.per_address, stats.rate), (1, 1, 1, 0));
    assert_eq!((stats.rules, stats.addresses), (1, 2));
    door.leave(peer("12.0.0.1"));
    assert_eq!(guard.stats().addresses, 1);
    drop(door);
    assert_eq!(guard.stats().addresses, 0);
    guard.set_rules(Rules::default());
    assert!(!guard.is_on(), "the ban is over, and there are no rules");
    let says = |now| guard.line(None, Reason::Rule, now).is_some();
    assert!(says(5) && !says(1004) && says(1005));
}
