//! How a connection begins that a proxy makes: with a header that says for whom. Until that is
//! whole the host knows nothing of it, and no rule, ban or bound has been asked about it.

use crate::buf::Slice;
use crate::engine::shared::conn::{End, Phase};
use crate::engine::shared::core::Core;
use crate::engine::shared::table::Held;
use crate::engine::worker::desk::Desk;
use crate::io::Token;
use crate::session::Cause;
use crate::session::proxy::Source;

impl Desk {
    /// Bytes came of a connection whose header is awaited.
    #[cold]
    pub fn header_came(&mut self, core: &Core, token: Token, mut held: Held<'_>, mut slice: Slice) {
        let Some(conn) = held.conn() else { return };
        self.touch(core, token, conn);
        let (source, len) = match conn.read_header(&slice) {
            Ok(Some(read)) => read,
            Ok(None) => return self.tend_conn(core, token, conn),
            Err(wrong) => {
                let proxy = conn.peer().map_or(String::new(), |proxy| proxy.to_string());
                self.turned_away(core, &format!("the header of the proxy {proxy} {wrong}"));
                conn.keep_out();
                conn.end_abruptly(Cause::Protocol, 0);
                return self.tend_conn(core, token, conn);
            }
        };
        slice.advance(len);
        let origin = conn.endpoint.clone();
        let peer = match source {
            Source::Own => conn.peer(),
            Source::Peer(peer) => Some(peer),
        };
        // As for those that are accepted: no slot is locked while it is decided.
        drop(held);
        let lets_in = self.lets_in(core, &origin, peer);
        let mut held = core.table.hold(token);
        let conn = held.as_mut().and_then(Held::conn);
        let Some(conn) = conn.filter(|it| it.awaits_header() && it.life.end == End::Not) else {
            if lets_in {
                origin.left(peer);
            }
            return;
        };
        if lets_in {
            conn.let_in(source);
            conn.life.phase = Phase::Open;
            conn.set_deadline(None);
            self.begin_layer(conn);
            if conn.life.phase == Phase::Open {
                self.opened(core, token, conn);
            }
            if !slice.is_empty() {
                self.parse(core, token, conn, Some((slice, None)));
            }
        } else {
            conn.keep_out();
            conn.end_abruptly(Cause::Refused, 0);
        }
        self.tend_conn(core, token, conn);
    }
}
