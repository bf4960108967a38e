//! What a connection knows of itself, however little room it has for it.

use super::*;
use std::net::SocketAddrV6;

fn conn() -> Conn {
    Conn::new(Arc::default(), Stack::new(0, false), 0, 0)
}

#[test]
fn an_address_is_kept_to_the_last_bit() {
    let link = SocketAddrV6::new([0xfe80, 0, 0, 0, 1, 2, 3, 0xffff].into(), 65_535, 7, 3);
    let all = ["127.0.0.1:1", "255.254.0.1:65535", "[::]:0", "[::ffff:1.2.3.4]:80"];
    let all = all.iter().map(|text| text.parse().expect("an address"));
    let mut conn = conn();
    assert_eq!(conn.peer(), None);
    for address in all.chain([link.into()]) {
        conn.set_peer(Some(address));
        let shown = SocketAddr::new(address.ip().to_canonical(), address.port());
        assert!(conn.peer() == Some(address) || address.is_ipv6() && shown.is_ipv4());
        assert!(shown.is_ipv6() || conn.peer() == Some(shown), "IPv4 is shown as such");
        assert_eq!(conn.more.is_some(), address == link.into(), "only that needs more");
    }
    conn.begun();
    assert_eq!(conn.peer(), Some(link.into()), "it stays");
    conn.set_peer(None);
    conn.relax();
    assert!(conn.peer().is_none() && conn.more.is_none());
}

#[test]
fn what_it_began_with_goes_when_it_is_connected() {
    let mut conn = conn();
    conn.set_deadline(None);
    assert!(conn.more.is_none() && conn.next_address().is_none());
    let address = |text: &str| socket2::SockAddr::from(text.parse::<SocketAddr>().expect("one"));
    let [first, second] = ["1.2.3.4:5", "[::1]:6"].map(address);
    conn.set_deadline(Some((9, Cause::TimeoutConnect)));
    conn.set_addresses([first.clone(), second]);
    assert_eq!((conn.next_address(), conn.has_addresses()), (Some(first), true));
    assert_eq!(conn.deadline(), Some((9, Cause::TimeoutConnect)));
    conn.begun();
    assert!(conn.more.is_none() && conn.deadline().is_none());
}

#[test]
fn the_first_failure_counts_and_the_last_blame() {
    let mut conn = conn();
    conn.break_off(Cause::Reset, 104);
    conn.break_off(Cause::Unreachable, 113);
    assert_eq!((conn.broken(), conn.takes_sends()), (Some((Cause::Reset, 104)), false));
    conn.end_abruptly(Cause::Reset, 104);
    conn.end_abruptly(Cause::Host, 0);
    assert_eq!((conn.life.cause, conn.os_error()), (Cause::Reset, 104));
    conn.blame(Cause::Host, 0);
    assert_eq!((conn.life.cause, conn.os_error()), (Cause::Host, 0));
}

#[test]
fn a_carried_link_has_lanes_and_a_tie_and_no_socket() {
    let mut link = Link::carried(3, crate::transport::Stream(7));
    assert_eq!(link.carrier(), Some((3, crate::transport::Stream(7))));
    assert!(link.is_carried() && link.is_adopted() && link.is_idle());
    link.assert_valid();
    assert!(link.socket().is_none() && link.take_socket().is_none());
    link.begin(Lane::In);
    assert!(link.is_busy(Lane::In) && !link.is_busy(Lane::Out));
    link.end(Lane::In);
    assert!(link.release() && !link.release());
    assert!(!link.join() && link.join() && link.is_carried());
    assert!(Link::new(None).carrier().is_none());
}
