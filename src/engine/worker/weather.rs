//! What the desk owes a tap (`io/tap`): it ends no stream and closes no socket while the tap may
//! still hold some of its bytes.

use crate::buf::Train;
use crate::engine::shared::conn::{Conn, Phase, Tie};
use crate::engine::shared::datagrams::DatagramSocket;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::{Lane, Op, Token};
use std::mem;

impl Desk {
    /// Has an empty send complete when the connection's tap holds nothing any more.
    pub fn await_tap(&mut self, token: Token, conn: &mut Conn) {
        conn.link.begin(Lane::Out);
        self.orders.push(Order::Submit(token, Op::Send(Train::default())));
    }

    /// Whether the tap of a connection that ends may still hold some of its bytes, or have a
    /// receive of its own: it is cancelled, and the send that completes last says what was lost.
    pub fn is_tapped(&mut self, token: Token, conn: &mut Conn) -> bool {
        if conn.life.phase != Phase::Open || !conn.link.is_adopted() {
            return false;
        }
        let idle = !conn.link.is_busy(Lane::Out);
        if conn.link.cancel() {
            conn.life.reset |= conn.unsent() > 0 || conn.session.outbox().bytes() > 0;
            if conn.life.reset && !idle {
                conn.reset_now();
            }
            self.orders.push(Order::Cancel(token));
        }
        // Behind the cancel: what completes before it says nothing of the tap.
        if idle && conn.quiet() {
            self.await_tap(token, conn);
        }
        !conn.link.is_idle()
    }

    /// As `is_tapped`, of a datagram socket: one that closes in order waits until all has left.
    pub fn is_datagram_tapped(&mut self, token: Token, udp: &mut DatagramSocket) -> bool {
        if !udp.link.is_adopted() {
            return false;
        }
        let idle = !udp.link.is_busy(Lane::Out);
        let awaits = idle && !udp.abrupt && !mem::replace(&mut udp.awaits_tap, true);
        if !awaits && (idle || udp.abrupt) && udp.link.cancel() {
            self.orders.push(Order::Cancel(token));
        }
        let cancelled = udp.link.tie() == Tie::Cancelled;
        let quiets = idle && cancelled && !mem::replace(&mut udp.quieted, true);
        if awaits || quiets {
            udp.link.begin(Lane::Out);
            self.orders.push(Order::Submit(token, Op::SendTo(Vec::new())));
        }
        !udp.link.is_idle()
    }
}
