//! What a peer costs.

use super::network::*;
use crate::transport::lanes::peer::Peer;

#[test]
fn an_idle_peer_is_small() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(2_000 * MS);
    for end in &net.ends {
        let heap = end.peer.heap_bytes();
        assert!(size_of::<Peer>() + heap <= 1_200, "{} and {heap}", size_of::<Peer>());
    }
}
