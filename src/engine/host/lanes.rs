//! Lanes of endpoints and connections, as the host's calls know them.

use crate::engine::host::net::Net;
use crate::engine::host::url::{HostName, Place};
use crate::engine::shared::config::{Endpoint, Scheme};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::lanes::LanesGiven;
use crate::io::Token;
use crate::session::{FACTS_MS, LaneFacts, Overflow};
use crate::transport::lanes::envelope::token;
use crate::transport::lanes::{Control, Micros, Options};
use crate::transport::{Carrying, Maker};
use std::sync::Arc;

/// The largest message that may be asked for.
const MESSAGE_MAX: u32 = 16 << 20;
/// A peer is given so long, and is asked so often, at least.
const PEER_TIMEOUT_MIN: Micros = 100_000;
const PING_MIN: Micros = 10_000;
/// What a listener's socket asks the system for: all its players may send in the same millisecond.
const RECV_BUFFER: u32 = 4 << 20;
/// Datagrams, and payloads without lanes.
const MTU: (u32, u32) = (1_200, 65_000);
const PLAIN_MAX: u32 = 1_200;

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

impl Endpoint {
    /// The lanes of `game://`, which are made when they are first asked for.
    pub fn lanes_given(&mut self) -> &mut LanesGiven {
        self.lanes.get_or_insert_default()
    }

    /// What is to be carried, and the address that a connect token says. None: this is not
    /// `game://`.
    pub fn lanes_of(
        &mut self,
        place: &mut Place,
        listens: bool,
    ) -> Result<Option<Carrying>, Refusal> {
        if self.scheme != Scheme::Game {
            return match self.lanes {
                None => Ok(None),
                Some(_) => Err(invalid("endpoint.lanes is for game://")),
            };
        }
        let LanesGiven { mut options, token, keyed } = *self.lanes.take().unwrap_or_default();
        check(&options)?;
        if self.limits.overflow == Overflow::DropOldest {
            let words =
                "endpoint.overflow DROP_OLDEST: in lanes a deadline or a key drops messages";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        if self.limits.half_open {
            return Err(invalid("endpoint.half_open: game:// ends in both directions at once"));
        }
        if options.open && (keyed || token.is_some()) {
            return Err(invalid("token=open has neither a key nor a token"));
        }
        if listens && !options.open && !keyed {
            return Err(invalid(
                "game:// needs the key of its tokens (key=, lanes.token_key), or token=open",
            ));
        }
        if !listens {
            self.aim(place, &mut options, token)?;
        }
        let message_max_bytes = match options.lanes.is_empty() {
            true => options.message_max_bytes.min(PLAIN_MAX),
            false => options.message_max_bytes,
        };
        options.message_max_bytes = message_max_bytes;
        self.framing.frame_max_bytes = message_max_bytes;
        self.socket.unfragmented = true;
        if listens && self.socket.recv_buffer_bytes == 0 {
            self.socket.recv_buffer_bytes = RECV_BUFFER;
        }
        let maker = Maker::Lanes(Arc::new(options));
        Ok(Some(Carrying { maker, message_max_bytes, shares: false }))
    }

    /// Of a connect: where it goes, by its token or by its URL.
    fn aim(
        &mut self,
        place: &mut Place,
        options: &mut Options,
        token: Option<Arc<[u8]>>,
    ) -> Result<(), Refusal> {
        let nowhere = matches!(place, Place::Datagrams(HostName::Name(name), _) if name.is_empty());
        let Some(token) = token else {
            return match (options.open, nowhere) {
                (true, false) => Ok(()),
                (true, true) => Err(invalid("game:// with token=open needs a host and a port")),
                (false, _) => {
                    Err(invalid("game:// needs a connect token (lanes.token), or token=open"))
                }
            };
        };
        if !nowhere {
            return Err(invalid("game:// with a token has no host: the token says where"));
        }
        let (protocol_id, servers) = token::servers(&token)
            .ok_or_else(|| invalid("lanes.token is no connect token of netcode 1.02"))?;
        options.protocol_id = protocol_id;
        *place = Place::Datagrams(HostName::Address(servers[0].ip()), servers[0].port());
        self.connect_token = Some(token);
        Ok(())
    }
}

fn check(options: &Options) -> Result<(), Refusal> {
    if !(1..=MESSAGE_MAX).contains(&options.message_max_bytes) {
        return Err(invalid("lanes.message_max_bytes must be 1 to 16777216"));
    }
    if !(MTU.0..=MTU.1).contains(&options.mtu_max_bytes) {
        return Err(invalid("lanes.mtu_max_bytes must be 1200 to 65000"));
    }
    if options.peer_timeout < PEER_TIMEOUT_MIN {
        return Err(invalid("lanes.peer_timeout_ms must be 100 or more"));
    }
    if options.ping < PING_MIN || options.ping >= options.peer_timeout {
        return Err(invalid("lanes.ping_ms must be 10 or more, and less than peer_timeout_ms"));
    }
    if options.rate_max_bytes > 0 && options.rate_min_bytes > options.rate_max_bytes {
        return Err(invalid("lanes.rate_min_bytes is more than rate_max_bytes"));
    }
    if options.control == Control::Fixed && options.rate_max_bytes == 0 {
        return Err(invalid("lanes.rate_control FIXED needs rate_max_bytes"));
    }
    Ok(())
}

impl Net {
    /// What was last known of the path of a connection. None: it has no lanes. Who asks for it has
    /// its worker look again where that is long ago.
    pub fn lane_facts(&self, token: Token) -> Result<Option<LaneFacts>, Error> {
        let held = self.hold_conn(token)?;
        let Some(lanes) = held.session.lanes() else { return Ok(None) };
        let facts = *lanes.facts();
        if lanes.wants_facts(self.core.now(), FACTS_MS) && self.check_running().is_ok() {
            let home = usize::from(held.home);
            self.core.summon(token, held, home);
        }
        Ok(Some(facts))
    }
}
