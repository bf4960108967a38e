//! Names, looked up on threads of their own: getaddrinfo(3) blocks, and cannot be interrupted.
//!
//! Connections ask for the addresses of a name, and the host asks for those or for the name of an
//! address. One look-up serves all who ask the same question at a time. A connection that ends
//! meanwhile forgets its question: a look-up that is not waited for leaves the queue, or, where it
//! runs already, gives its place to another thread, so that names which do not answer do not block
//! those that do.

use crate::buf::{Condvar, Mutex, rank};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::quiet::caught;
use crate::io::Token;
use crate::io::os::names;
use crate::io::threads::{self, Announced};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, mem};

/// Look-ups that run at a time and that are waited for.
const WANTED_MAX: usize = 16;
/// Threads, including those whose look-up is not waited for any more.
const THREADS_MAX: usize = 32;
/// Names that wait for a thread.
const QUEUE_MAX: usize = 1024;
/// Questions of the host that have no answer yet. Fewer, so that connects have room beside them.
const HOST_MAX: usize = QUEUE_MAX / 2;
/// In the tokens of the host's questions, and in none of a connection.
const OF_HOST: u64 = 1 << 63;
/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(1);
/// Modules of the name service are known to need more than a small stack.
const STACK_BYTES: usize = 1024 * 1024;

/// What is looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// The addresses of a host, with the port of a service.
    Host(String, Service),
    /// The names of a host and a service.
    Address(SocketAddr),
}

/// A service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// By its number.
    Port(u16),
    /// As in /etc/services.
    Named(String),
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Answer {
    Addresses(Vec<SocketAddr>),
    /// The host's name, and the service's.
    Names(String, String),
}

/// What became of a look-up.
pub type Found = Result<Answer, names::Unfound>;

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub enum Asker {
    /// A connection of the worker `home`.
    Conn { home: usize },
    /// The host, for an event of this queue.
    Host { queue: u32, user_data: u64 },
}

/// As it is shared by who waits for it.
type Name = Arc<Question>;
/// Looks one up.
type Find = Box<dyn Fn(&Question) -> Found + Send + Sync>;

/// The names of one net. Its threads start with the first name; most servers never have one.
pub struct Resolver(Arc<Office>);

/// What its threads share. A look-up may outlive the net, so it holds nothing of it.
struct Office {
    book: Mutex<rank::Names, Book>,
    /// There is something to look up, or the net ends.
    called: Condvar,
    find: Find,
}

#[derive(Default)]
struct Book {
    /// Who waits for each name that is queued or runs.
    waiting: HashMap<Name, HashMap<Token, Asker>>,
    /// What each of them waits for.
    names: HashMap<Token, Name>,
    /// Of those, questions of the host.
    of_host: usize,
    /// Questions that the host ever asked.
    asked: u64,
    /// Names that no thread has taken as yet, in order.
    queue: VecDeque<Name>,
    /// Names that a thread looks up.
    running: Vec<Name>,
    clerks: Vec<Clerk>,
    closed: bool,
}

/// A thread.
struct Clerk {
    number: u64,
    does: Does,
    handle: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    /// It begins, or waits for a name.
    Nothing,
    /// It is inside getaddrinfo(3).
    Looks,
    /// It ends.
    Leaves,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::new(Box::new(find))
    }
}

/// Asks the system.
fn find(question: &Question) -> Found {
    match question {
        Question::Host(host, Service::Port(port)) => {
            let mut found = names::addresses(host, None)?;
            found.iter_mut().for_each(|address| address.set_port(*port));
            Ok(Answer::Addresses(found))
        }
        Question::Host(host, Service::Named(service)) => {
            names::addresses(host, Some(service)).map(Answer::Addresses)
        }
        Question::Address(address) => {
            names::name(address).map(|(host, service)| Answer::Names(host, service))
        }
    }
}

/// Where the answers go.
pub trait Answers: Send + Sync + 'static {
    /// What was found. `token` is the connection's, if one has asked. Called under the lock of the
    /// names.
    fn answer(&self, token: Token, asker: Asker, found: &Found);
}

impl Resolver {
    fn new(find: Find) -> Resolver {
        Resolver(Arc::new(Office { book: Mutex::default(), called: Condvar::new(), find }))
    }

    /// Looks a name up for a connection, and has the answer given to its worker `home`.
    pub fn start(
        &self,
        to: &Arc<impl Answers>,
        token: Token,
        home: usize,
        (host, port): (String, u16),
    ) -> Result<(), Refusal> {
        let question = Question::Host(host, Service::Port(port));
        self.enter(to, &mut self.0.book.lock(), (token, Asker::Conn { home }), question)
    }

    /// Looks something up for the host, and has the answer put in a queue as an event.
    pub fn ask(
        &self,
        to: &Arc<impl Answers>,
        (queue, user_data): (u32, u64),
        question: Question,
    ) -> Result<(), Refusal> {
        let mut book = self.0.book.lock();
        if book.of_host >= HOST_MAX {
            let words = format!("{HOST_MAX} questions of the host have no answer yet");
            return Err(Refusal::new(Error::Limit, words));
        }
        book.asked += 1;
        let token = Token(OF_HOST | book.asked);
        self.enter(to, &mut book, (token, Asker::Host { queue, user_data }), question)
    }

    fn enter(
        &self,
        to: &Arc<impl Answers>,
        book: &mut Book,
        (token, asker): (Token, Asker),
        question: Question,
    ) -> Result<(), Refusal> {
        // A look-up that is not waited for any more serves too.
        let mut asked = book.running.iter().chain(&book.queue);
        let name = match asked.find(|asked| ***asked == question) {
            Some(asked) => asked.clone(),
            None => {
                if book.queue.len() >= QUEUE_MAX {
                    let words = format!("{QUEUE_MAX} names wait to be looked up");
                    return Err(Refusal::new(Error::Limit, words));
                }
                let name = Arc::new(question);
                book.queue.push_back(name.clone());
                name
            }
        };
        book.waiting.entry(name.clone()).or_default().insert(token, asker);
        book.names.insert(token, name);
        book.of_host += usize::from(is_of_host(token));
        self.hire(to, book).map_err(|error| {
            book.forget(token);
            Refusal::system("a thread for names cannot be started", &error)
        })
    }

    /// A connection does not wait for its name any more.
    pub fn forget(&self, to: &Arc<impl Answers>, token: Token) {
        let mut book = self.0.book.lock();
        if book.forget(token) {
            // If there is no thread for the next name, one comes back some time.
            let _ = self.hire(to, &mut book);
        }
    }

    /// Has a thread take the next name, if it may be taken now. Fails when there is no thread at
    /// all.
    fn hire(&self, to: &Arc<impl Answers>, book: &mut Book) -> io::Result<()> {
        let free = book.clerks.iter().filter(|clerk| clerk.does == Does::Nothing).count();
        self.0.called.notify_one();
        if free >= book.queue.len().min(WANTED_MAX.saturating_sub(book.wanted())) {
            return Ok(());
        }
        book.clerks.retain(|clerk| !clerk.handle.is_finished());
        if book.clerks.len() >= THREADS_MAX {
            return Ok(());
        }
        let number = book.clerks.iter().map(|clerk| clerk.number).max().unwrap_or(0) + 1;
        let (office, to) = (self.0.clone(), Arc::downgrade(to));
        let work = move |thread: &mut Announced| office.work(number, &to, thread);
        match threads::start("sockeye-names".into(), Some(STACK_BYTES), work) {
            Ok(handle) => book.clerks.push(Clerk { number, does: Does::Nothing, handle }),
            // Those that there are take it later.
            Err(_) if book.clerks.iter().any(|clerk| clerk.does != Does::Leaves) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Ends the threads that have no look-up, and leaves the others behind, detached.
    pub fn stop(&self) {
        let clerks = {
            let mut book = self.0.book.lock();
            let clerks = mem::take(&mut book.clerks);
            *book = Book { closed: true, ..Book::default() };
            clerks
        };
        self.0.called.notify_all();
        for clerk in clerks.into_iter().filter(|clerk| clerk.does != Does::Looks) {
            let _ = clerk.handle.join();
        }
    }
}

impl Office {
    /// The body of a thread.
    fn work(&self, number: u64, to: &Weak<impl Answers>, thread: &mut Announced) {
        while let Some(name) = self.next(number) {
            let found = caught(|| (self.find)(&name)).unwrap_or(Err(names::Unfound::default()));
            // The net may end with it, which is not to be under the lock.
            let to = to.upgrade();
            let mut book = self.book.lock();
            if book.closed {
                // It was left behind.
                thread.forget();
            }
            let waiting = book.finish(number, &name);
            // Under the lock: whoever was not answered when `stop` takes it never is.
            if let Some(to) = &to {
                waiting.into_iter().for_each(|(token, asker)| to.answer(token, asker, &found));
            }
        }
    }

    /// Waits for a name. None: the thread is not needed any more.
    fn next(&self, number: u64) -> Option<Name> {
        let mut book = self.book.lock();
        loop {
            if book.closed {
                return None;
            }
            let has_place = book.wanted() < WANTED_MAX;
            if has_place && let Some(name) = book.queue.pop_front() {
                book.running.push(name.clone());
                book.set(number, Does::Looks);
                return Some(name);
            }
            let idle = self.called.wait_for(&mut book, IDLE);
            if idle && (book.queue.is_empty() || book.wanted() >= WANTED_MAX) {
                book.set(number, Does::Leaves);
                return None;
            }
        }
    }
}

impl Book {
    /// Look-ups that run and that are waited for.
    fn wanted(&self) -> usize {
        self.running.iter().filter(|name| self.waiting.contains_key(*name)).count()
    }

    /// What a thread does from now on.
    fn set(&mut self, number: u64, does: Does) {
        if let Some(clerk) = self.clerks.iter_mut().find(|clerk| clerk.number == number) {
            clerk.does = does;
        }
    }

    /// A thread has looked a name up. Who waits for it.
    fn finish(&mut self, number: u64, name: &Name) -> HashMap<Token, Asker> {
        self.set(number, Does::Nothing);
        self.running.retain(|it| it != name);
        let waiting = self.waiting.remove(name).unwrap_or_default();
        waiting.keys().for_each(|&token| drop(self.strike(token)));
        waiting
    }

    /// What it waited for.
    fn strike(&mut self, token: Token) -> Option<Name> {
        let name = self.names.remove(&token)?;
        self.of_host -= usize::from(is_of_host(token));
        Some(name)
    }

    /// Takes a question back. True: no other waits for that name.
    fn forget(&mut self, token: Token) -> bool {
        let Some(name) = self.strike(token) else { return false };
        let Some(waiting) = self.waiting.get_mut(&name) else { return false };
        waiting.remove(&token);
        let unwanted = waiting.is_empty();
        if unwanted {
            self.waiting.remove(&name);
            self.queue.retain(|it| *it != name);
        }
        unwanted
    }
}

fn is_of_host(token: Token) -> bool {
    token.0 & OF_HOST != 0
}

#[cfg(test)]
mod tests;
