//! Random messages in random pieces.

use super::*;

/// As good as random, and the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn message(&mut self) -> (Vec<u8>, bool) {
        let text = self.roll(2) == 0;
        let len = [0, 1, 125, 126, 127, 3000, 65535, 65536, 70_000][self.roll(9)];
        let letters = ['a', 'b', ' ', '\u{e9}', '\u{20ac}', '\u{1f600}'];
        let data = match text {
            true => {
                let all: String = (0..len / 2).map(|_| letters[self.roll(6)]).collect();
                all.into_bytes()
            }
            false => (0..len).map(|_| self.roll(256) as u8).collect(),
        };
        (data, text)
    }

    /// Frames of a client with this message, and pings between them.
    fn frames(&mut self, data: &[u8], text: bool, deflated: bool) -> Vec<u8> {
        let pool = Pool::new(1 << 20);
        let small = if deflated { deflate(&[data], 15, &pool) } else { None };
        let mut lead = if text { TEXT } else { BINARY };
        lead |= if small.is_some() { RSV1 } else { 0 };
        let mut rest = small.as_deref().unwrap_or(data);
        let mut wire = Vec::new();
        for _ in 0..self.roll(5) {
            let (piece, more) = rest.split_at(self.roll(rest.len() + 1));
            wire.extend(masked(lead, piece));
            if self.roll(3) == 0 {
                wire.extend(masked(FIN | PING, b"?"));
            }
            (rest, lead) = (more, 0);
        }
        wire.extend(masked(FIN | lead, rest));
        wire
    }
}

#[test]
fn messages_however_they_are_cut() {
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let deflated = dice.roll(2) == 0;
        let mut headers = UPGRADE.to_vec();
        headers.push("Sec-WebSocket-Extensions: permessage-deflate");
        let mut wire = request("GET / HTTP/1.1", &headers).into_bytes();
        let mut sent = Vec::new();
        for _ in 0..dice.roll(12) {
            let (data, text) = dice.message();
            wire.extend(dice.frames(&data, text, deflated));
            sent.push((data, text));
        }
        wire.extend(masked(FIN | CLOSE, &4321u16.to_be_bytes()));
        let mut end = End::server(WebServer { compress: deflated, ..WebServer::default() });
        let most = [2, 100, 2000, 70_000][dice.roll(4)];
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(dice.roll(most).min(rest.len()));
            end.receive(piece);
            rest = more;
        }
        assert!(end.messages == sent, "seed {seed}: {} of {}", end.messages.len(), sent.len());
        assert_eq!((end.ended, end.broken, end.web.code()), (true, None, 4321), "seed {seed}");
        end.messages.clear();
        end.say();
        assert_eq!(end.pool.bytes(), 0, "seed {seed}");
    }
}

#[test]
fn what_one_end_sends_the_other_gets() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let compress = dice.roll(2) == 0;
        let (mut client, mut server) = pair(
            WebClient { compress, ..WebClient::default() },
            WebServer { compress, ..WebServer::default() },
        );
        for _ in 0..dice.roll(20) {
            let (from, to) = match dice.roll(2) {
                0 => (&mut client, &mut server),
                _ => (&mut server, &mut client),
            };
            let (data, text) = dice.message();
            let lead = FIN | if text { TEXT } else { BINARY };
            let small = if compress { deflate(&[&data], 15, &from.pool) } else { None };
            let frame = match &small {
                Some(small) => bare(lead | RSV1, small),
                None => bare(lead, &data),
            };
            to.receive(&from.send(&frame));
            assert!(to.messages.pop() == Some((data, text)) && to.broken.is_none(), "seed {seed}");
        }
    }
}

/// Bytes that are anything end in messages, a Close or a fault, and in nothing else.
#[test]
fn noise_never_panics() {
    for seed in 0..3000 {
        let mut dice = Dice(seed);
        let mut wire: Vec<u8> = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect();
        if let Some(first) = wire.first_mut() {
            *first = [0x81, 0x82, 0xc1, 0x01, 0x89, 0x88][dice.roll(6)];
        }
        if let Some(second) = wire.get_mut(1) {
            *second |= 0x80;
        }
        let mut end = End::open(WebServer { message_max: 1000, ..WebServer::default() });
        for piece in wire.chunks(1 + dice.roll(50)) {
            end.receive(piece);
        }
        let done = matches!(end.web.state(), State::Done(_));
        assert_eq!(done, end.broken.is_some(), "seed {seed}");
        end.say();
    }
}
