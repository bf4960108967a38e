//! Layers with costly work: one is served in each turn, in the order in which they came, behind
//! all else. How many may open at a time.

use super::cases::{causes, messages};
use super::stage::{Stage, plain};
use super::told::{Told, What};
use crate::buf::{Pool, Slice, Train};
use crate::engine::{CloseHow, layer_for_tests};
use crate::io::Token;
use crate::io::sim::Answer;
use crate::session::{Cause, Layer, Layering, Maker, Millis, Plain, Starved, State};
use std::net::SocketAddr;

/// More than any window.
const WIDE: usize = 1 << 20;
const CLIENTS: usize = 20;
const GREETER: Layering =
    Layering { maker: Maker::Test(|_| Box::<Greeter>::default()), handshake_timeout_ms: 5000 };

/// Is open when something came, which is costly, and changes nothing.
#[derive(Default)]
struct Greeter {
    open: bool,
    arrived: Option<Slice>,
}

impl Layer for Greeter {
    fn state(&self) -> State {
        if self.open { State::Open } else { State::Opening }
    }

    fn handle_received(&mut self, wire: Slice, _now: Millis) {
        assert!(self.arrived.replace(wire).is_none(), "more is received before that is served");
    }

    fn poll_plain(&mut self, _pool: &Pool, _now: Millis) -> Plain {
        self.open |= self.arrived.is_some();
        self.arrived.take().map_or(Plain::Nothing, Plain::Bytes)
    }

    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        pool: &Pool,
        _now: Millis,
    ) -> Result<usize, Starved> {
        let Some(first) = plain.slices().next() else { return Ok(0) };
        let mut chunk = pool.take(first.len()).ok_or(Starved(first.len()))?;
        chunk.put(first);
        wire.push(chunk.into_slice());
        Ok(first.len())
    }

    fn end(&mut self) {}

    fn poll_timeout(&self) -> Option<Millis> {
        None
    }

    fn handle_timeout(&mut self, _now: Millis) {}

    fn is_costly(&self) -> bool {
        !self.open && self.arrived.is_some()
    }

    fn held_bytes(&self) -> usize {
        0
    }
}

/// A listener with a layer, and the links of clients that have said nothing.
fn strangers(stage: &mut Stage) -> (Token, Vec<usize>) {
    layer_for_tests(Some(GREETER));
    let listener = stage.listen(plain());
    let links = (0..CLIENTS).map(|_| stage.client(listener, WIDE)).collect();
    assert_eq!(stage.soon().len(), 0, "none is open");
    (listener, links)
}

/// The links of those that opened.
fn opened(stage: &Stage, told: &[Told]) -> Vec<usize> {
    let opened = told.iter().filter(|told| matches!(told.what, What::Opened(_)));
    opened.map(|told| stage.world.link_of(told.token).expect("it has one")).collect()
}

#[test]
fn one_is_served_a_turn_behind_all_else() {
    let mut stage = Stage::plain();
    let (_, player) = stage.pair(plain(), WIDE);
    let (_, links) = strangers(&mut stage);
    let (early, late) = links.split_at(CLIENTS / 2);
    early.iter().for_each(|&link| stage.ledger.peers[link].send(100));
    let (begun, mut told, mut most) = (stage.net.stats().turns, Vec::new(), Vec::new());
    for round in 0..CLIENTS / 4 {
        if round == 1 {
            late.iter().for_each(|&link| stage.ledger.peers[link].send(100));
        }
        stage.ledger.peers[player].send(50);
        // So many are open at most when the turn begins that receives this.
        most.push(stage.net.stats().turns - begun + 1);
        told.extend(stage.polls(1, 1000));
    }
    told.extend(stage.soon());
    let order = opened(&stage, &told);
    assert_eq!(order.len(), CLIENTS, "none is lost");
    assert!(order[..early.len()].iter().all(|link| early.contains(link)), "not first come");
    let mut before = 0;
    for one in told {
        before += u64::from(matches!(one.what, What::Opened(_)));
        if stage.world.link_of(one.token) == Some(player) {
            assert!(before <= most.remove(0), "who is in waits for those who are not");
        }
    }
    assert!(most.is_empty());
}

#[test]
fn who_ends_in_line_leaves_it() {
    let mut stage = Stage::plain();
    let (_, links) = strangers(&mut stage);
    links.iter().for_each(|&link| stage.ledger.peers[link].send(100));
    layer_for_tests(Some(GREETER));
    stage.world.set_door(SocketAddr::from(([127, 0, 0, 1], 9)), Answer::Accept);
    let conn = stage.dial("tcp://127.0.0.1:9", plain());
    let mut told = stage.polls(3, 1000);
    let link = stage.meet(plain());
    stage.ledger.peers[link].send(100);
    told.extend(stage.polls(2, 1000));
    assert!(opened(&stage, &told).len() < CLIENTS, "some wait");
    stage.ledger.close(&stage.net, conn, CloseHow::Reset, None);
    told.extend(stage.soon());
    assert_eq!(causes(&told), [(conn, Cause::Host)]);
    assert_eq!((opened(&stage, &told).len(), messages(&told)), (CLIENTS, CLIENTS));
}

#[test]
fn so_many_open_at_a_time() {
    let accepted = |stage: &Stage, links: &[usize]| {
        links.iter().filter(|&&link| stage.world.token_of(link).is_some()).count()
    };
    let mut stage = Stage::plain();
    layer_for_tests(Some(GREETER));
    let listener = stage.listen_with(plain(), "&handshakes=3");
    let clients = |stage: &mut Stage, count| -> Vec<usize> {
        let links = (0..count).map(|_| stage.client(listener, WIDE)).collect();
        stage.soon();
        links
    };
    let first = clients(&mut stage, 3);
    let second = clients(&mut stage, CLIENTS);
    assert_eq!((accepted(&stage, &first), accepted(&stage, &second)), (3, 0));
    stage.ledger.peers[first[0]].send(100);
    let told = stage.soon();
    assert_eq!(opened(&stage, &told), first[..1]);
    assert_eq!(accepted(&stage, &second), CLIENTS, "one accept brings them all");
    let third = clients(&mut stage, 2);
    assert_eq!(accepted(&stage, &third), 0);
    stage.pass(6000);
    stage.soon();
    assert_eq!(stage.net.stats().accept_failures, 2 + CLIENTS as u64, "silent ones make room");
    assert_eq!(accepted(&stage, &third), 2);
    third.iter().for_each(|&link| stage.ledger.peers[link].send(100));
    let told = stage.soon();
    assert_eq!(opened(&stage, &told).len(), 2);
}
