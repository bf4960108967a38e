//! What a worker does when its net ends: in order first, then at once.

use crate::engine::shared::conn::{End, Moving, Phase};
use crate::engine::shared::core::Core;
use crate::engine::shared::groups::deliver::settle;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::Desk;
use crate::session::Cause;

impl Desk {
    /// Shutdown: in order first, then at once.
    pub fn stop(&mut self, core: &Core, abrupt: bool) {
        // A batch has one queue for one connection.
        self.publish(core);
        // Nobody may be there to ask the host any more: this refuses them.
        core.ask_all(self.home);
        for token in core.table.tokens() {
            let Some(mut held) = core.table.hold(token) else { continue };
            let conn = match held.resident() {
                Resident::Conn(conn) if usize::from(conn.home) == self.home => conn,
                Resident::Listener(listener) if usize::from(listener.home) == self.home => {
                    listener.closing.get_or_insert((Cause::Shutdown, 0));
                    self.tend_listener(core, token, listener);
                    continue;
                }
                Resident::Datagram(udp) => {
                    self.stop_datagram(core, token, udp, abrupt);
                    continue;
                }
                _ => continue,
            };
            settle(core, token, conn);
            conn.session.flush();
            if matches!(conn.moving.stage, Moving::Left | Moving::Due) {
                // The old queue may not be polled again before the end.
                self.stay(core, token, conn);
            }
            if abrupt || conn.life.phase != Phase::Open {
                // One that is about to end in order does.
                conn.life.reset |= abrupt && conn.life.end != End::Abrupt;
                conn.end_abruptly(Cause::Shutdown, 0);
            } else if conn.life.end == End::Not {
                conn.life.end = End::Graceful;
                conn.life.cause = Cause::Shutdown;
            }
            self.tend_conn(core, token, conn);
        }
    }
}
