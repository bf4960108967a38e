//! Memory that unfinished frames hold: how fast connections are closed for it, and which are not.

use super::cases::causes;
use super::stage::{Stage, plain};
use super::threadless;
use crate::engine::Config;
use crate::io::Token;
use crate::io::sim::Faults;
use crate::session::Cause;

const PEERS: usize = 30;
/// Of these, they hold a little less than half of what unfinished frames may have.
const STRANGERS: usize = 20;
const MEMORY: u64 = 16 << 20;
/// What each has written of its frame, and what its frame lacks then.
const PIECE: usize = 150_000;
const LACKS: u32 = 1000;

/// Peers that have each written a part of a frame. Most did so more than a second ago, and there
/// was enough memory; the others did just now.
fn standing() -> (Stage, Vec<usize>) {
    let config = Config { memory_max_bytes: MEMORY, ..threadless() };
    let mut stage = Stage::new(config, Faults { lavish: true, ..Faults::default() });
    let mut style = plain();
    style.frame_max = 1 << 20;
    let listener = stage.listen(style);
    let links: Vec<usize> = (0..PEERS).map(|_| stage.client(listener, 1)).collect();
    stage.soon();
    let mut piece = (PIECE as u32 + LACKS).to_be_bytes().to_vec();
    piece.resize(4 + PIECE, 1);
    let write = |stage: &mut Stage, links: &[usize]| {
        for &link in links {
            assert_eq!(stage.ledger.peers[link].peer.write(&piece), piece.len());
        }
        stage.soon();
    };
    let half = stage.net.core.pool.share_max() / 2;
    write(&mut stage, &links[..STRANGERS]);
    let few = stage.net.stats().frame_bytes;
    assert!(few <= half, "{few} bytes of {half}: no pressure yet");
    stage.pass(1100);
    write(&mut stage, &links[STRANGERS..]);
    (stage, links)
}

/// Which are closed for their memory in each of so many milliseconds.
fn closes(stage: &mut Stage, times: usize) -> Vec<Vec<Token>> {
    let mut all = Vec::new();
    for _ in 0..times {
        stage.pass(1);
        let told = causes(&stage.polls(2, 64));
        assert!(told.iter().all(|told| told.1 == Cause::LimitMemory), "{told:?}");
        all.push(told.into_iter().map(|told| told.0).collect());
    }
    all
}

/// The others are served between two closes.
#[test]
fn one_is_closed_in_two_milliseconds() {
    let (mut stage, _) = standing();
    let all = closes(&mut stage, 100);
    let count = all.iter().flatten().count();
    assert!((4..STRANGERS).contains(&count), "{count} are closed: until half a share is free");
    assert!(all.windows(2).all(|two| two[0].len() + two[1].len() <= 1), "{all:?}");
}

/// They stood still when those to be closed were chosen, and go on before their turn comes.
#[test]
fn who_goes_on_is_spared() {
    let (mut stage, links) = standing();
    let closed = closes(&mut stage, 4).concat();
    assert!((1..4).contains(&closed.len()), "{closed:?}");
    for link in links {
        stage.ledger.peers[link].peer.write(&[1; LACKS as usize / 2]);
    }
    let before = stage.net.stats().frame_bytes;
    assert_eq!(closes(&mut stage, 500).concat(), []);
    assert!(stage.net.stats().frame_bytes >= before, "they still hold as much");
}
