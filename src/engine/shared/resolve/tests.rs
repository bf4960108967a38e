//! Names, with a look-up that the test holds back: who waits for what, and on how many threads.

use super::*;
use crate::engine::shared::core::Core;
use crate::engine::shared::event::Notice;
use crate::engine::shared::home::Command;
use crate::engine::tests::{open, threadless};
use crate::io::datagram::ADDRESS_BYTES;
use crate::io::sim::{Faults, World};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

const DEADLINE: Duration = Duration::from_secs(20);

/// A resolver whose names beginning with "dead" are answered when the gate opens.
struct Town {
    core: Arc<Core>,
    resolver: Resolver,
    gate: Arc<(Mutex<bool>, Condvar)>,
    /// Look-ups that began.
    begun: Arc<AtomicUsize>,
    told: Vec<Token>,
    heard: Vec<(u64, i32, i32, usize)>,
    net: Arc<crate::engine::Net>,
}

impl Town {
    fn new() -> Town {
        let net = open(&World::new(1, Faults::default()), threadless());
        let (gate, begun) = (Arc::new((Mutex::new(false), Condvar::new())), Arc::default());
        let (held, counts): (Arc<(Mutex<bool>, Condvar)>, Arc<AtomicUsize>) =
            (gate.clone(), Arc::clone(&begun));
        let resolver = Resolver::new(Box::new(move |question| {
            counts.fetch_add(1, SeqCst);
            let Question::Host(name, Service::Port(port)) = question else {
                return Ok(Answer::Names("a.test".into(), "ssh".into()));
            };
            if name.starts_with("dead") {
                let mut open = held.0.lock();
                held.1.wait_while(&mut open, |open| !*open);
            }
            assert!(name != "panics", "a module of the name service had a fault");
            if name == "unknown.test" {
                return Err(names::Unfound { code: names::NO_NAME, os_error: 0 });
            }
            Ok(Answer::Addresses(vec![([127, 0, 0, 1], *port).into()]))
        }));
        let (core, told, heard) = (net.core.clone(), Vec::new(), Vec::new());
        Town { core, resolver, gate, begun, told, heard, net }
    }

    fn ask(&self, token: u32, name: &str) -> Result<(), Refusal> {
        self.resolver.start(&self.core, Token::new(token, 1), 0, (name.into(), 80))
    }

    fn ask_for_host(&self, name: &str, user_data: u64) -> Result<(), Refusal> {
        let question = Question::Host(name.into(), Service::Port(80));
        self.resolver.ask(&self.core, (0, user_data), question)
    }

    /// The host's events so far: the number, the cause, the code, the bytes.
    fn hear(&mut self) -> &[(u64, i32, i32, usize)] {
        let heard = &mut self.heard;
        let _polled = self.net.poll(0, 4096, Some(Duration::ZERO), |_, handed| {
            let Notice::Mail(mail) = &handed.event.notice else { panic!("another event") };
            assert_eq!((mail.kind, mail.detail), (crate::engine::RESOLVED, 0));
            heard.push((mail.user_data, mail.cause, mail.os_error, mail.data.len()));
        });
        &self.heard
    }

    fn forget(&self, token: u32) {
        self.resolver.forget(&self.core, Token::new(token, 1));
    }

    fn is_told(&mut self, token: u32) -> bool {
        let mut commands = Vec::new();
        self.core.homes[0].take(&mut commands);
        let token_of = |command| match command {
            Command::Resolved(token, found) => found.map(|_| token).ok(),
            _ => None,
        };
        self.told.extend(commands.into_iter().filter_map(token_of));
        self.told.contains(&Token::new(token, 1))
    }

    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Town) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < until, "{what}: never");
            thread::yield_now();
        }
    }

    fn threads(&self) -> usize {
        let book = self.resolver.0.book.lock();
        book.clerks.iter().filter(|clerk| !clerk.handle.is_finished()).count()
    }

    fn open(&self) {
        *self.gate.0.lock() = true;
        self.gate.1.notify_all();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.open();
        self.resolver.stop();
    }
}

#[test]
fn the_same_name_is_asked_once_and_all_are_told() {
    let mut town = Town::new();
    (1..=50).for_each(|token| town.ask(token, "dead.test").expect("taken"));
    town.wait("a look-up", |town| town.begun.load(SeqCst) == 1);
    town.forget(7);
    town.open();
    town.wait("answers", |town| (1..=50).all(|token| token == 7 || town.is_told(token)));
    assert!(!town.is_told(7), "it had forgotten its name");
    assert_eq!((town.begun.load(SeqCst), town.threads()), (1, 1));
    assert!(town.resolver.0.book.lock().names.is_empty());
}

#[test]
fn look_ups_that_nobody_wants_leave_the_queue_and_give_their_place() {
    let mut town = Town::new();
    let dead = 1..=60;
    for token in dead.clone() {
        town.ask(token, &format!("dead{token}.test")).expect("taken");
    }
    town.ask(100, "good.test").expect("taken");
    town.wait("threads", |town| town.begun.load(SeqCst) == WANTED_MAX);
    assert_eq!(town.threads(), WANTED_MAX, "as many as are wanted, and no more");
    // Those in the queue first: each place that comes free is taken at once.
    dead.rev().for_each(|token| town.forget(token));
    town.wait("the good name", |town| town.is_told(100));
    assert_eq!(town.begun.load(SeqCst), WANTED_MAX + 1, "the others were dropped");
    // Whoever asks for one of them again shares the look-up that still runs.
    town.ask(101, "dead1.test").expect("taken");
    town.open();
    town.wait("the dead name", |town| town.is_told(101));
    assert_eq!(town.begun.load(SeqCst), WANTED_MAX + 1);
}

#[test]
fn the_queue_is_bounded_and_a_refused_name_leaves_nothing() {
    let town = Town::new();
    let most = (WANTED_MAX + QUEUE_MAX) as u32;
    let mut taken = 0;
    let refusal = loop {
        match town.ask(taken, &format!("dead{taken}.test")) {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
        assert!(taken <= most, "no bound");
    };
    assert_eq!(refusal.error, Error::Limit);
    assert!(taken as usize >= QUEUE_MAX);
    assert_eq!(town.resolver.0.book.lock().names.len(), taken as usize);
    town.ask(most + 1, "dead0.test").expect("no further place is needed for that");
    (0..=most + 1).for_each(|token| town.forget(token));
    let book = town.resolver.0.book.lock();
    assert!(book.names.is_empty() && book.waiting.is_empty() && book.queue.is_empty());
}

#[test]
fn threads_go_when_they_are_idle_and_at_the_end() {
    let mut town = Town::new();
    town.ask(1, "good.test").expect("taken");
    town.wait("an answer", |town| town.is_told(1));
    town.wait("the thread's end", |town| town.threads() == 0);
    town.ask(2, "good.test").expect("taken");
    town.wait("an answer", |town| town.is_told(2));
    town.ask(3, "dead.test").expect("taken");
    town.wait("a look-up", |town| town.begun.load(SeqCst) == 3);
    town.resolver.stop();
    assert_eq!(town.threads(), 0, "joined, or left behind inside its look-up");
}

#[test]
fn a_fault_of_a_look_up_is_an_answer() {
    let mut town = Town::new();
    town.ask(1, "panics").expect("taken");
    town.wait("an end", |town| town.resolver.0.book.lock().names.is_empty());
    town.ask(2, "good.test").expect("taken");
    town.wait("an answer", |town| town.is_told(2));
    assert_eq!(town.threads(), 1);
}

#[test]
fn a_host_and_a_connection_share_a_look_up() {
    let mut town = Town::new();
    town.ask(1, "dead.test").expect("taken");
    town.ask_for_host("dead.test", 7).expect("taken");
    town.ask_for_host("dead.test", 8).expect("taken");
    town.wait("a look-up", |town| town.begun.load(SeqCst) == 1);
    // The host still waits for it.
    town.forget(1);
    assert_eq!(town.resolver.0.book.lock().wanted(), 1);
    assert!(town.hear().is_empty());
    town.open();
    town.wait("answers", |town| town.hear().len() == 2);
    let mut heard = town.heard.clone();
    heard.sort();
    assert_eq!(heard, [(7, 0, 0, ADDRESS_BYTES), (8, 0, 0, ADDRESS_BYTES)]);
    assert_eq!((town.begun.load(SeqCst), town.is_told(1)), (1, false));
    town.ask_for_host("unknown.test", 9).expect("taken");
    town.wait("an answer", |town| town.hear().len() == 3);
    let unfound = (9, crate::session::Cause::Resolve as i32, names::NO_NAME, 0);
    assert_eq!(town.heard[2], unfound);
    let address = Question::Address(([127, 0, 0, 1], 22).into());
    town.resolver.ask(&town.core, (0, 10), address).expect("taken");
    town.wait("a name", |town| town.hear().len() == 4);
    assert_eq!(town.heard[3], (10, 0, 0, "a.test\0ssh\0".len()));
    assert_eq!(town.resolver.0.book.lock().of_host, 0);
}

#[test]
fn questions_of_the_host_are_bounded_and_leave_room_for_connects() {
    let mut town = Town::new();
    for number in 0..HOST_MAX {
        town.ask_for_host(&format!("dead{number}.test"), 0).expect("taken");
    }
    let refusal = town.ask_for_host("dead0.test", 0).expect_err("no bound");
    assert_eq!(refusal.error, Error::Limit);
    assert_eq!(refusal.words, "512 questions of the host have no answer yet");
    town.ask(1, "good.test").expect("a connect is taken beside them");
    town.open();
    // First, since a poll takes what is the worker's.
    town.wait("the connect's answer", |town| town.is_told(1));
    town.wait("all answers", |town| town.hear().len() == HOST_MAX);
    town.ask_for_host("good.test", 1).expect("taken again");
    town.wait("one more", |town| town.hear().len() == HOST_MAX + 1);
}

#[test]
fn no_answer_comes_after_the_end() {
    let mut town = Town::new();
    town.ask_for_host("dead.test", 1).expect("taken");
    town.wait("a look-up", |town| town.begun.load(SeqCst) == 1);
    let book = Arc::downgrade(&town.resolver.0);
    town.resolver.stop();
    assert_eq!(town.resolver.0.book.lock().of_host, 0);
    town.open();
    // Its thread is left behind, and ends with the look-up.
    town.wait("the thread's end", |_| book.strong_count() == 1);
    assert!(town.hear().is_empty(), "an answer behind the end");
}

#[test]
fn an_answer_without_memory_says_so() {
    let mut town = Town::new();
    let (mut held, mut bytes) = (Vec::new(), 1 << 24);
    while bytes > 0 {
        match town.core.pool.take(bytes) {
            Some(chunk) => held.push(chunk),
            None => bytes /= 2,
        }
    }
    town.ask_for_host("good.test", 1).expect("taken");
    town.wait("an answer", |town| town.hear().len() == 1);
    let unfound = (1, crate::session::Cause::Resolve as i32, names::NO_MEMORY, 0);
    assert_eq!(town.heard[0], unfound);
}
