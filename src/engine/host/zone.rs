//! Zones of link-local IPv6 addresses, RFC 4007: `fe80::1%eth0`, `fe80::1%2`. In a URL the percent
//! sign may be written as RFC 6874 has it, `fe80::1%25eth0`.

use crate::io::os::sys;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Reads "127.0.0.1:7777", "[::1]:7777", "[fe80::1%eth0]:7777"; without a port, "127.0.0.1", "::1",
/// "[::1]", "fe80::1%eth0", with port 0. The words say what is wrong.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let not_one = || format!("\"{text}\" is no address (127.0.0.1:7777, [::1]:7777, ::1)");
    let (ip, port) = match text.strip_prefix('[') {
        None => (text, 0),
        Some(text) => {
            let (ip, rest) = text.split_once(']').ok_or_else(not_one)?;
            (ip, if rest.is_empty() { 0 } else { port(rest).ok_or_else(not_one)? })
        }
    };
    if let Some((ip, zone)) = ip.split_once('%') {
        let ip: Ipv6Addr = ip.parse().map_err(|_| not_one())?;
        let number = number(zone).or_else(|| number(zone.strip_prefix("25")?));
        let number = number.ok_or_else(|| unknown(ip, zone))?;
        return Ok(SocketAddrV6::new(ip, port, 0, number).into());
    }
    match ip.parse() {
        Ok(IpAddr::V4(_)) if text.starts_with('[') => Err(not_one()),
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => Err(not_one()),
    }
}

/// Reads ":7777" as the standard library does: digits alone, no sign.
fn port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Cuts the zone out of a URL's host, whose grammar has none: the URL without it, and the zone.
pub fn cut(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://[")?;
    let (inside, back) = rest.split_once(']')?;
    let (ip, zone) = inside.split_once('%')?;
    (!scheme.contains(['/', '?', '#'])).then(|| (format!("{scheme}://[{ip}]{back}"), zone))
}

/// The interface of a zone in a URL, which has to be one of this machine.
pub fn of_url(ip: Ipv6Addr, zone: &str) -> Result<u32, String> {
    let escaped = zone.strip_prefix("25").filter(|zone| !zone.is_empty());
    let forms = escaped.into_iter().chain([zone]);
    let found = forms.filter_map(number).find(|&number| sys::has_interface(number));
    found.ok_or_else(|| unknown(ip, zone))
}

fn unknown(ip: Ipv6Addr, zone: &str) -> String {
    format!("zone {zone} of {ip} is no interface of this machine")
}

/// A zone's number: as it is, or that of the interface with this name.
fn number(zone: &str) -> Option<u32> {
    if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) {
        return zone.parse().ok();
    }
    sys::interface(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interface that every machine has: its name, where names are known, and its number.
    fn loopback() -> (&'static str, u32) {
        let number = ["lo", "lo0"].iter().find_map(|&name| Some((name, sys::interface(name)?)));
        number.unwrap_or(("1", 1))
    }

    #[test]
    fn addresses_with_zones_are_read() {
        let (name, index) = loopback();
        let address = |port, zone| {
            let ip = "fe80::1".parse().expect("an address");
            Ok(SocketAddr::from(SocketAddrV6::new(ip, port, 0, zone)))
        };
        assert_eq!(parse_address(&format!("[fe80::1%{name}]:7")), address(7, index));
        assert_eq!(parse_address(&format!("[fe80::1%25{name}]:7")), address(7, index));
        // A number is a number, also one that no interface has now.
        assert_eq!(parse_address("[fe80::1%251]:7"), address(7, 251));
        assert_eq!(parse_address("[fe80::1%4294967295]:65535"), address(65535, u32::MAX));
        assert_eq!(parse_address("[fe80::1]:7"), address(7, 0));
        assert_eq!(parse_address("1.2.3.4:5"), Ok(([1, 2, 3, 4], 5).into()));
        // Without a port.
        assert_eq!(parse_address(&format!("fe80::1%{name}")), address(0, index));
        assert_eq!(parse_address(&format!("[fe80::1%25{name}]")), address(0, index));
        assert_eq!(parse_address("[fe80::1]"), address(0, 0));
        assert_eq!(parse_address("fe80::1"), address(0, 0));
        assert_eq!(parse_address("1.2.3.4"), Ok(([1, 2, 3, 4], 0).into()));
        for wrong in [
            "",
            "[",
            "[]",
            "fe80::1]",
            "[fe80::1",
            "[fe80::1]7",
            "[1.2.3.4]",
            "[1.2.3.4]:7",
            "1.2.3.4:",
            "1.2.3.4%lo",
            "localhost",
            "[fe80::1%]:7",
            "[fe80::1%lo]:",
            "[fe80::1%lo]:x",
            "[fe80::1%lo]:+7",
            "[fe80::1%lo]:65536",
            "[1.2.3.4%lo]:7",
            "[%lo]:7",
            "[fe80::1%4294967296]:7",
        ] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
        let words = parse_address("[fe80::1%nowhere]:7").expect_err("no such interface");
        assert_eq!(words, "zone nowhere of fe80::1 is no interface of this machine");
    }

    #[test]
    fn zones_of_urls_are_cut_and_found() {
        let (name, index) = loopback();
        let ip: Ipv6Addr = "fe80::1".parse().expect("an address");
        let url = "tcp://[fe80::1%25en0]:7?frame=u8";
        assert_eq!(cut(url), Some(("tcp://[fe80::1]:7?frame=u8".into(), "25en0")));
        assert_eq!(cut("udp://[fe80::1%en0]:7"), Some(("udp://[fe80::1]:7".into(), "en0")));
        for none in ["tcp://[::1]:7", "tcp://h:7?max=%25", "unix:/x?a=://[::1%2]", "x"] {
            assert_eq!(cut(none), None, "{none}");
        }
        for zone in [name.into(), format!("25{name}"), index.to_string(), format!("25{index}")] {
            assert_eq!(of_url(ip, &zone), Ok(index), "{zone}");
        }
        for zone in ["", "25", "nowhere", "25nowhere", "4000000000", "0"] {
            let words = of_url(ip, zone).expect_err("no interface");
            assert!(words.contains("fe80::1") && words.contains("no interface"), "{words}");
        }
    }
}
