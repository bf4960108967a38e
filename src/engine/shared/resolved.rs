//! Answers of the resolver, given to who asked: a connection's worker, or the host.

use crate::engine::shared::core::Core;
use crate::engine::shared::event::{Event, Mail, Notice};
use crate::engine::shared::home::Command;
use crate::engine::shared::resolve::{Answer, Answers, Asker, Found};
use crate::io::Token;
use crate::io::datagram::address_bytes;
use crate::io::os::names::{NO_MEMORY, Unfound};
use crate::session::Cause;

/// The kind of the event in the C ABI, SOCKEYE_EVENT_RESOLVED.
pub const RESOLVED: u32 = 12;

impl Answers for Core {
    fn answer(&self, token: Token, asker: Asker, found: &Found) {
        match asker {
            Asker::Conn { home } => {
                let found = match found {
                    Ok(Answer::Addresses(addresses)) => Ok(addresses.clone()),
                    // A connection never asks for that.
                    Ok(Answer::Names(..)) => Err(0),
                    Err(unfound) => Err(unfound.os_error),
                };
                self.homes[home].post(Command::Resolved(token, found));
            }
            Asker::Host { queue, user_data } => self.tell_host(queue, user_data, found),
        }
    }
}

impl Core {
    /// Puts the answer in the queue, however full that is: there are never many.
    fn tell_host(&self, queue: u32, user_data: u64, found: &Found) {
        let data = found.as_ref().map_err(|unfound| *unfound).and_then(|answer| {
            let bytes = payload(answer);
            let chunk = self.pool.take(bytes.len());
            let no_memory = Unfound { code: NO_MEMORY, os_error: 0 };
            chunk.map(|mut chunk| chunk.write(&bytes)).ok_or(no_memory)
        });
        let (cause, os_error, data) = match data {
            Ok(data) => (0, 0, data),
            Err(unfound) => (Cause::Resolve as i32, unfound.code, Default::default()),
        };
        let mail = Mail { kind: RESOLVED, cause, os_error, detail: 0, user_data, data };
        let event = Event { token: Token(0), notice: Notice::Mail(Box::new(mail)) };
        let bytes = event.cost();
        self.publish(&self.queues[queue as usize], &mut vec![event], bytes, self.elapsed(), None);
    }
}

/// As the C ABI has it: an array of `sockeye_address`, or two texts, each with its NUL.
fn payload(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::Addresses(addresses) => {
            addresses.iter().flat_map(|address| address_bytes(*address, None)).collect()
        }
        Answer::Names(host, service) => format!("{host}\0{service}\0").into_bytes(),
    }
}
