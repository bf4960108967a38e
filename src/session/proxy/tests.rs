//! Headers whole, cut and wrong; and beside another reader of them, the crate `proxy-header`. That
//! one is no substitute: it takes a version 1 header without the space behind PROXY, with ports
//! like +080 and of any length if it comes at once, has no bound for version 2, checks no checksum,
//! and waits for ever for a LOCAL header that names a family without addresses.

use super::*;
use proxy_header::{ParseConfig, Protocol, ProxiedAddress, ProxyHeader, Tlv};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::session::tests::Random;

const V4: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.254 56324 443\r\n";

/// A header of version 2: the fixed part, and behind it `rest`.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = (rest.len() as u16).to_be_bytes();
    [v2::SIGNATURE, &[command, family], &len, rest].concat()
}

fn v4_block() -> Vec<u8> {
    [[192, 0, 2, 1], [192, 0, 2, 254], [0xDC, 0x04, 0x01, 0xBB]].concat()
}

fn is(source: &str) -> Source {
    Source::Peer(source.parse().expect("an address"))
}

/// What is read of a stream that comes in these pieces, and how many of its bytes are the header.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut reader, mut before) = (Reader::default(), 0);
    for piece in pieces {
        if let Some((source, len)) = reader.read(piece)? {
            return Ok(Some((source, before + len)));
        }
        before += piece.len();
    }
    Ok(None)
}

#[test]
fn headers_that_are_right() {
    let mut padded = v4_block();
    padded.extend([4, 0, 2, 9, 9, 0xE0, 0, 0]);
    let mut v6 = [0; 36];
    (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 7, 80);
    for (header, source) in [
        (V4.to_vec(), is("192.0.2.1:56324")),
        (b"PROXY TCP6 2001:DB8::1 ::1 0 65535\r\n".to_vec(), is("[2001:db8::1]:0")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Source::Own),
        (b"PROXY UNKNOWN \xFF any  thing\r\n".to_vec(), Source::Own),
        (v2(0x21, 0x11, &v4_block()), is("192.0.2.1:56324")),
        (v2(0x21, 0x11, &padded), is("192.0.2.1:56324")),
        (v2(0x21, 0x21, &v6), is("[2001::7]:80")),
        (v2(0x21, 0x31, &[1; 216]), Source::Own),
        (v2(0x21, 0x12, &v4_block()), Source::Own),
        (v2(0x21, 0x00, &[0xFF; 9]), Source::Own),
        (v2(0x20, 0x00, &[]), Source::Own),
        // A LOCAL header's rest is skipped, whatever it is.
        (v2(0x20, 0x11, &[]), Source::Own),
        (v2(0x20, 0xFF, &[0xFF; 9]), Source::Own),
        (v2(0x20, 0x00, &[0; HEADER_MAX - 16]), Source::Own),
    ] {
        let len = header.len();
        assert_eq!(parse(&header), Ok(Some((source, len))), "{header:?}");
        for cut in 0..len {
            assert_eq!(parse(&header[..cut]), Ok(None), "{header:?} up to {cut}");
        }
        let stream = [&header[..], b"PROXY and more"].concat();
        assert_eq!(in_pieces([&stream[..]]), Ok(Some((source, len))));
        assert_eq!(in_pieces(stream.chunks(1)), Ok(Some((source, len))));
    }
}

/// Each is found to be wrong however it is cut, and the first ones by their first byte that is.
#[test]
fn headers_that_are_wrong() {
    let crc = |sum: u8| [v4_block(), vec![3, 0, 4, 0, 0, 0, sum]].concat();
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 92], b"\r\n".to_vec()].concat();
    assert_eq!(long.len(), 108);
    let at_once: [&[u8]; 5] = [b"G", b"\0", b"PROXYT", b"\r\n\r\n\0\r\nQUIT\r", b"PR\r"];
    for wrong in at_once {
        assert_eq!(parse(&wrong[..wrong.len() - 1]), Ok(None), "{wrong:?}");
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
    for wrong in [
        b"PROXY TCP4 192.0.2.1 192.0.2.254 56324 443\rx".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.254 56324 443 \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.254 56324\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.1 192.0.2.254 56324 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.01 192.0.2.254 56324 443\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 56324 443\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.1 192.0.2.254 56324 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.254 65536 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.254 056 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.254 +56 443\r\n".to_vec(),
        b"PROXY TCP5 192.0.2.1 192.0.2.254 56324 443\r\n".to_vec(),
        b"PROXY UNKNOWNS\r\n".to_vec(),
        b"PROXY \r\n".to_vec(),
        long,
        v2(0x22, 0x11, &v4_block()),
        v2(0x31, 0x11, &v4_block()),
        v2(0x21, 0x41, &v4_block()),
        v2(0x21, 0x13, &v4_block()),
        v2(0x21, 0x03, &v4_block()),
        v2(0x21, 0x11, &v4_block()[1..]),
        v2(0x21, 0x21, &v4_block()),
        v2(0x21, 0x31, &[1; 215]),
        // What stands behind the addresses ends behind the header.
        v2(0x21, 0x11, &[v4_block(), vec![4, 0]].concat()),
        v2(0x21, 0x11, &[v4_block(), vec![4, 0, 1]].concat()),
        v2(0x21, 0x11, &[v4_block(), vec![3, 0, 3, 0, 0, 0]].concat()),
        v2(0x21, 0x11, &crc(1)),
        v2(0x20, 0x00, &[0; HEADER_MAX - 15]),
    ] {
        assert!(in_pieces([&wrong[..]]).is_err(), "{wrong:?}");
        assert_eq!(in_pieces(wrong.chunks(1)), parse(&wrong), "{wrong:?}");
    }
}

/// From RFC 3720, B.4, and a header of haproxy's that has a checksum.
#[test]
fn checksums() {
    assert_eq!(v2::crc32c([0; 32].into_iter()), 0x8A91_36AA);
    assert_eq!(v2::crc32c([0xFF; 32].into_iter()), 0x62A8_AB43);
    assert_eq!(v2::crc32c(0..32), 0x46DD_794E);
    for noise in 0..4 {
        let mut header = summed(&[0xE0, 0, 1, noise]);
        let len = header.len();
        assert_eq!(parse(&header), Ok(Some((is("192.0.2.1:56324"), len))));
        header[len - 1] ^= 1;
        assert_eq!(parse(&header), Err("of version 2 has a wrong checksum"));
    }
}

/// A header with a checksum, and `more` behind that.
fn summed(more: &[u8]) -> Vec<u8> {
    let mut header = v2(0x21, 0x11, &[&v4_block()[..], &[3, 0, 4, 0, 0, 0, 0], more].concat());
    let sum = v2::crc32c(header.iter().copied());
    header[31..35].copy_from_slice(&sum.to_be_bytes());
    header
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

fn address(random: &mut Random, v6: bool) -> SocketAddr {
    let ip: IpAddr = match v6 {
        true => Ipv6Addr::from_bits(u128::from(random.next()) << random.below(65)).into(),
        false => Ipv4Addr::from_bits(random.next() as u32).into(),
    };
    SocketAddr::new(ip, random.next() as u16)
}

/// A header as the other reader's author writes it.
fn theirs(random: &mut Random) -> (Vec<u8>, Source) {
    let v6 = random.below(2) == 0;
    let (source, destination) = (address(random, v6), address(random, v6));
    let mut header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
    let mut bytes = Vec::new();
    if random.below(2) == 0 {
        header.encode_v1(&mut bytes).expect("a stream has addresses");
        return (bytes, Source::Peer(source));
    }
    for _ in 0..random.below(4) {
        let len = random.below(100);
        header.append_tlv(Tlv::UniqueId(noise(random, len).into()));
        header.append_tlv(Tlv::Noop(len));
    }
    header.encode_v2(&mut bytes).expect("there is room");
    (bytes, Source::Peer(source))
}

/// Pieces of one to some bytes.
fn cut<'a>(random: &mut Random, mut stream: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(1 + random.below(stream.len().min(40)));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

#[test]
fn what_another_writes_is_read_in_any_pieces() {
    let mut random = Random(15);
    for _ in 0..20_000 {
        let (header, source) = theirs(&mut random);
        let more = random.below(60);
        let stream = [header.clone(), noise(&mut random, more)].concat();
        let pieces = cut(&mut random, &stream);
        assert_eq!(in_pieces(pieces), Ok(Some((source, header.len()))), "{header:?}");
    }
}

/// What is changed somewhere reads the same in any pieces; and what is taken is taken by the other
/// reader too, as the same.
#[test]
fn what_is_damaged_is_read_as_another_reads_it() {
    let mut random = Random(51);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let (mut stream, _) = theirs(&mut random);
        for _ in 0..=random.below(2) {
            let at = random.below(stream.len());
            match random.below(4) {
                0 => stream[at] ^= 1 << random.below(8),
                1 => stream[at] = b"0 :.\r\n1f"[random.below(8)],
                2 => stream.insert(at, stream[random.below(stream.len())]),
                _ => drop(stream.remove(at)),
            }
        }
        stream.extend([b'x'; 3]);
        let read = parse(&stream);
        assert_eq!(in_pieces(cut(&mut random, &stream)), read, "{stream:?}");
        let Ok(Some((source, len))) = read else {
            refused += 1;
            continue;
        };
        taken += 1;
        // The other one takes no protocol that is not specified, and looks at what LOCAL is not to.
        let unspecified = stream[12] == 0x20 || stream[13] >> 4 == 0 || stream[13] & 15 == 0;
        if stream.starts_with(v2::SIGNATURE) && unspecified {
            continue;
        }
        let (other, other_len) = ProxyHeader::parse(&stream, ParseConfig::default())
            .unwrap_or_else(|error| panic!("{error}: {stream:?}"));
        let other = other.proxied_address().filter(|it| it.protocol == Protocol::Stream);
        let other = other.map_or(Source::Own, |it| Source::Peer(it.source));
        assert_eq!((other, other_len), (source, len), "{stream:?}");
    }
    assert!(taken > 5000 && refused > 5000, "{taken} taken, {refused} refused");
}
