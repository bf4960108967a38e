//! The fault dial as the host sets it: which connections, listeners and datagram sockets have what
//! done to their bytes by the taps (`io/tap`).
//!
//! The nearest one counts: a connection's own, else that of the listener it came from, else the
//! net's. Each is looked up when a socket is lent, and again when one is set.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Kind;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::home::Command;
use crate::io::{Token, Weather};
use std::sync::Arc;

impl Net {
    /// Has taps do something to the bytes of a connection, of a listener and what it accepted, or
    /// of the whole net (0). None: nothing of its own.
    pub fn set_weather(&self, id: u64, weather: Option<Weather>) -> Result<(), Refusal> {
        self.check_running()?;
        if !self.core.config.taps {
            let words = "this net has no taps: set config.taps to 1 before sockeye_init";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        let weather = weather.map(Arc::new);
        if id == 0 {
            *self.core.weather.lock() = weather;
            self.dial_all();
        } else if let Ok(token) = self.token(id, Kind::Conn) {
            self.set_conn_weather(token, weather)?;
        } else {
            self.set_listener_weather(self.token(id, Kind::Listener)?, weather)?;
        }
        Ok(())
    }

    fn set_conn_weather(&self, token: Token, weather: Option<Arc<Weather>>) -> Result<(), Refusal> {
        let Ok(mut held) = self.hold_conn(token) else {
            return Ok(self.set_datagram_weather(token, true, weather)?);
        };
        if held.endpoint.carrying.is_some() {
            let words = "the weather of a carried connection is that of its socket";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        held.set_weather(weather);
        let home = usize::from(held.home);
        drop(held);
        self.core.homes[home].post(Command::Dial(Some(token)));
        Ok(())
    }

    fn set_listener_weather(
        &self,
        token: Token,
        weather: Option<Arc<Weather>>,
    ) -> Result<(), Error> {
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        let Some(listener) = held.listener() else {
            drop(held);
            return self.set_datagram_weather(token, false, weather);
        };
        *listener.endpoint.weather().lock() = weather;
        drop(held);
        self.dial_all();
        Ok(())
    }

    fn set_datagram_weather(
        &self,
        token: Token,
        connected: bool,
        weather: Option<Arc<Weather>>,
    ) -> Result<(), Error> {
        let mut held = self.hold_datagram(token, connected)?;
        let udp = held.datagram().ok_or(Error::Stale)?;
        udp.weather = weather;
        let home = udp.home;
        drop(held);
        self.core.homes[home].post(Command::Dial(Some(token)));
        Ok(())
    }

    fn dial_all(&self) {
        for home in self.core.workers() {
            self.core.homes[home].post(Command::Dial(None));
        }
    }
}
