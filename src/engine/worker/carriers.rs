//! The transports of a worker, and which connections each of them carries.

use crate::engine::shared::conn::Origin;
use crate::engine::shared::reminder::Timer;
use crate::io::Token;
use crate::session::{Cause, Millis, Side};
use crate::transport::lanes::Seed;
use crate::transport::{Carrying, Endpoint, Stream};
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module. A transport's number is used again when it is gone.
#[derive(Default)]
pub struct Carriers {
    all: Vec<Option<Box<Carrier>>>,
    /// Those that something was done with: what they have to say is asked for.
    touched: Vec<u32>,
    /// Connections for whose transport a socket is to be made.
    pub wanted: Vec<Token>,
    /// Those whose socket the model refused, and why.
    pub wrecked: Vec<(u32, Cause, i32)>,
}

/// A transport and its datagram socket.
pub struct Carrier {
    pub endpoint: Box<dyn Endpoint>,
    /// The socket's slot.
    pub socket: Token,
    pub local: Option<SocketAddr>,
    /// What accepted connections begin with; None: it has only those that connect.
    pub origin: Option<Arc<Origin>>,
    /// What it was made with, and whether for IPv6, where others that connect may join it.
    shared: Option<(Carrying, bool)>,
    /// Each stream's connection.
    riders: Vec<Option<Token>>,
    /// Numbers of streams that are vacant, but for those that were never used.
    vacant: Vec<u32>,
    /// Its entry in the worker's timers, and when that is due.
    pub timer: Option<(Timer, Millis)>,
    /// How many lanes its connections have; None: they know of none.
    pub lanes: Option<usize>,
    /// All that had come by then was received.
    pub caught_up: Millis,
    /// When it was told the time of day.
    pub clocked: Millis,
    /// No peer opens a stream any more.
    pub shut: bool,
    touched: bool,
    /// Connections that have no queue of their endpoint's are spread over all.
    next_queue: usize,
}

/// What a transport begins with that is not its endpoint's.
#[derive(Clone, Copy, Default)]
pub struct Clock {
    /// Random bytes.
    pub seed: Seed,
    /// The time of day at 0 of its clock, in seconds since 1970.
    pub unix_s: u64,
}

impl Carriers {
    /// Whether there is nothing to do for any of them.
    pub fn at_rest(&self) -> bool {
        self.touched.is_empty() && self.wanted.is_empty() && self.wrecked.is_empty()
    }

    /// A new one, by its number.
    pub fn add(&mut self, carrier: Carrier) -> u32 {
        let at = self.all.iter().position(Option::is_none).unwrap_or(self.all.len());
        if at == self.all.len() {
            self.all.push(None);
        }
        self.all[at] = Some(Box::new(carrier));
        at as u32
    }

    /// The transport of a number.
    #[inline]
    pub fn get(&mut self, number: u32) -> Option<&mut Carrier> {
        self.all.get_mut(number as usize)?.as_deref_mut()
    }

    /// One goes.
    pub fn remove(&mut self, number: u32) -> Option<Box<Carrier>> {
        self.all.get_mut(number as usize)?.take()
    }

    /// One that connections of this kind may join.
    pub fn shared(&self, carrying: &Carrying, v6: bool) -> Option<u32> {
        let alike = |it: &(Carrying, bool)| it.0 == *carrying && it.1 == v6;
        let joins = |it: &Carrier| it.shared.as_ref().is_some_and(alike) && !it.shut;
        let at = self.all.iter().position(|it| it.as_deref().is_some_and(joins));
        at.map(|at| at as u32)
    }

    /// Something was done with it.
    pub fn touch(&mut self, number: u32) {
        let Some(carrier) = self.get(number) else { return };
        if !std::mem::replace(&mut carrier.touched, true) {
            self.touched.push(number);
        }
    }

    /// Takes one that something was done with.
    pub fn next_touched(&mut self) -> Option<u32> {
        let number = self.touched.pop()?;
        if let Some(carrier) = self.get(number) {
            carrier.touched = false;
        }
        Some(number)
    }
}

impl Carrier {
    /// That of a listener's socket, or of connections that are made by connect.
    pub fn new(
        carrying: &Carrying,
        socket: Token,
        local: Option<SocketAddr>,
        origin: Option<Arc<Origin>>,
        clock: Clock,
    ) -> Carrier {
        let side = if origin.is_some() { Side::Accepted } else { Side::Connected };
        let joined = origin.is_none() && carrying.shares;
        let carrying = carrying.clone();
        let v6 = local.is_some_and(|local| local.is_ipv6());
        Carrier {
            endpoint: carrying.endpoint(side, clock.seed, clock.unix_s),
            lanes: carrying.lanes(),
            socket,
            local,
            origin,
            shared: joined.then_some((carrying, v6)),
            riders: Vec::new(),
            vacant: Vec::new(),
            timer: None,
            caught_up: 0,
            clocked: 0,
            shut: false,
            touched: false,
            next_queue: 0,
        }
    }

    /// The number of the next stream.
    pub fn vacant(&self) -> Stream {
        Stream(self.vacant.last().copied().unwrap_or(self.riders.len() as u32))
    }

    /// Gives the next stream to a connection.
    pub fn board(&mut self, token: Token) {
        match self.vacant.pop() {
            Some(at) => self.riders[at as usize] = Some(token),
            None => self.riders.push(Some(token)),
        }
    }

    /// A connection leaves its stream.
    pub fn leave(&mut self, stream: Stream) {
        self.riders[stream.0 as usize] = None;
        self.vacant.push(stream.0);
        if self.is_empty() {
            (self.riders, self.vacant) = (Vec::new(), Vec::new());
        }
    }

    /// Whose stream it is.
    pub fn rider(&self, stream: Stream) -> Option<Token> {
        *self.riders.get(stream.0 as usize)?
    }

    /// All that it carries.
    pub fn riders(&self) -> Vec<Token> {
        self.riders.iter().copied().flatten().collect()
    }

    /// Whether it carries nobody.
    pub fn is_empty(&self) -> bool {
        self.riders.len() == self.vacant.len()
    }

    /// The queue of the next connection that may be on any.
    pub fn next_queue(&mut self, queues: usize) -> usize {
        self.next_queue += 1;
        (self.next_queue - 1) % queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Pool;
    use crate::transport::lanes::Micros;
    use crate::transport::{
        Datagram, Event, Full, Handled, Maker, Message, Reason, Run, Target, Transmit,
    };

    /// Nothing ever happens here.
    struct Still;

    impl Endpoint for Still {
        fn handle_datagram(&mut self, _: Datagram, _: Option<Stream>, _: Micros) -> Handled {
            Handled::Dropped(Reason::Malformed)
        }

        fn poll_transmit(&mut self, _: &Pool, _: Micros) -> Transmit {
            Transmit::Nothing
        }

        fn poll_timeout(&self) -> Option<Micros> {
            None
        }

        fn handle_timeout(&mut self, _: Micros) {}

        fn poll_event(&mut self) -> Option<Event> {
            None
        }

        fn connect(&mut self, _: Stream, _: Target, _: Micros) {}

        fn read(&mut self, _: Stream) -> Option<Message> {
            None
        }

        fn write(&mut self, _: Stream, _: Run, _: Micros) -> Result<(), Full> {
            Err(Full)
        }

        fn close(&mut self, _: Stream, _: Micros) {}

        fn forget(&mut self, _: Stream, _: Micros) {}
    }

    fn still(_: Side) -> Box<dyn Endpoint> {
        Box::new(Still)
    }

    const STILL: Carrying =
        Carrying { maker: Maker::Of(still), message_max_bytes: 9, shares: true };

    fn carrier(carrying: Carrying, v6: bool) -> Carrier {
        let local = if v6 { "[::]:1" } else { "0.0.0.0:1" };
        let local = Some(local.parse().expect("one"));
        Carrier::new(&carrying, Token::new(1, 1), local, None, Clock::default())
    }

    #[test]
    fn a_number_is_used_again_when_its_carrier_is_gone() {
        let mut all = Carriers::default();
        let [first, second] = [false, true].map(|v6| all.add(carrier(STILL, v6)));
        assert_eq!(
            (all.shared(&STILL, false), all.shared(&STILL, true)),
            (Some(first), Some(second))
        );
        let other = Carrying { message_max_bytes: 8, ..STILL };
        assert_eq!(all.shared(&other, false), None, "made otherwise");
        all.touch(first);
        all.touch(first);
        all.touch(second);
        assert!(all.remove(first).is_some() && all.get(first).is_none());
        assert_eq!(all.add(carrier(Carrying { shares: false, ..STILL }, false)), first);
        assert_eq!(all.shared(&STILL, false), None, "this one is not shared");
        let touched: Vec<u32> = std::iter::from_fn(|| all.next_touched()).collect();
        assert_eq!(touched, [second, first], "each once");
        all.get(second).expect("there").shut = true;
        assert_eq!(all.shared(&STILL, true), None, "it closes");
        assert!(all.at_rest());
        all.touch(9);
        assert!(all.at_rest(), "there is none");
    }

    #[test]
    fn a_stream_has_one_rider_at_a_time() {
        let mut carrier = carrier(STILL, false);
        let tokens: Vec<Token> = (0..3).map(|at| Token::new(at, 1)).collect();
        for (at, token) in tokens.iter().enumerate() {
            assert_eq!(carrier.vacant(), Stream(at as u32));
            carrier.board(*token);
        }
        assert_eq!(carrier.riders(), tokens);
        carrier.leave(Stream(1));
        assert_eq!((carrier.rider(Stream(1)), carrier.vacant()), (None, Stream(1)));
        let next = Token::new(9, 2);
        carrier.board(next);
        assert_eq!(carrier.rider(Stream(1)), Some(next));
        (0..3).for_each(|at| carrier.leave(Stream(at)));
        assert!(carrier.is_empty() && carrier.rider(Stream(0)).is_none());
        assert_eq!(carrier.vacant(), Stream(0), "as at the beginning");
    }

    #[test]
    fn queues_take_turns() {
        let mut carrier = carrier(STILL, false);
        let queues: Vec<usize> = (0..5).map(|_| carrier.next_queue(2)).collect();
        assert_eq!(queues, [0, 1, 0, 1, 0]);
    }
}
