//! Hosts that turn workers, beside each other and beside other threads: no wake-up is lost between
//! them, and none is made for nothing.

use crate::common::event::Kind;
use crate::common::net::Net;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, endpoint, stays, wait_for};
use crate::drive::{LONG_US, SHORT_US, SOON, absent, lending, quiet};
use sockeye::capi::conn::sockeye_conn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

lending! {
    both: posts_meet_polls, a_post_wakes_one_thread, two_hosts_two_workers,
        two_hosts_four_workers, one_host_three_workers, shutdown_under_waiting_hosts;
}

/// A post that comes just when a poll begins to wait ends its wait.
pub fn posts_meet_polls(setup: Setup) {
    // Under Wine each wake-up goes through another process.
    const ROUNDS: u64 = if cfg!(windows) { 1_000 } else { 20_000 };
    let host = setup.host_with(|config| config.lease_us = LONG_US);
    let (net, told, lost) = (&*host.net, AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                // From none to some hundreds of nanoseconds behind the beginning of the poll.
                (0..round % 64 * 8).for_each(|_| std::hint::spin_loop());
                assert_eq!(net.post(0, round, 0), OK);
                let end = Instant::now() + SOON;
                while told.load(SeqCst) <= round {
                    if Instant::now() > end {
                        return lost.store(true, SeqCst);
                    }
                    std::hint::spin_loop();
                }
            }
        });
        while told.load(SeqCst) < ROUNDS && !lost.load(SeqCst) {
            // SAFETY: no payload is read.
            let batch = unsafe { net.poll(0, 8, 2 * SOON.as_millis() as i32) };
            told.fetch_add(batch.expect("poll answers").raw.len() as u64, SeqCst);
        }
    });
    assert!(!lost.load(SeqCst), "a poll slept beside an event, after {told:?}");
    host.finish();
}

/// An event from elsewhere is the waiting host's affair: the backstop is not woken for it.
pub fn a_post_wakes_one_thread(setup: Setup) {
    let (mut host, mut peer, conn) = absent(setup);
    for round in 1..=5 {
        thread::scope(|scope| {
            let net = host.net.clone();
            let turns = net.stats().turns;
            scope.spawn(move || {
                wait_for("a host that turns", || net.stats().turns > turns);
                quiet(&net);
                assert_eq!(net.post(0, 1, 1), OK);
            });
            // One turn to be seen by, then a wait.
            peer.put(b"x");
            host.until("the message", |host| host.bytes(conn).len() == round);
            assert_eq!(host.step(30_000), 1);
        });
        let turns = host.net.stats().turns;
        stays("no turn", Duration::from_millis(30), || host.net.stats().turns == turns);
    }
    host.finish();
}

/// A thread that polls one queue and sends back what comes, half of it by another thread.
fn serve(net: &Net, queue: u32, done: &AtomicBool, other: Sender<(sockeye_conn, Vec<u8>)>) {
    let mut count = 0u32;
    while !done.load(SeqCst) {
        // SAFETY: the batch before is gone.
        let batch = unsafe { net.poll(queue, 16, 30_000) }.expect("poll answers");
        for event in batch.events() {
            if event.kind != Kind::Message {
                continue;
            }
            count += 1;
            if count.is_multiple_of(2) {
                assert_eq!(net.send(event.conn, &event.data), OK);
            } else {
                other.send((event.conn, event.data)).expect("the other thread lives");
            }
        }
        if count.is_multiple_of(64) {
            // Away for longer than the lease, now and then.
            count += 1;
            thread::park_timeout(Duration::from_millis(2));
        }
    }
}

fn ping_pong(port: u16) {
    const ROUNDS: u32 = 150;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a peer connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket has timeouts");
    stream.set_nodelay(true).expect("a socket may write at once");
    for round in 0..ROUNDS {
        let (sent, mut got) = (round.to_be_bytes(), [0; 4]);
        stream.write_all(&sent).expect("a small write");
        stream.read_exact(&mut got).expect("the echo, in time");
        assert_eq!(got, sent);
    }
}

fn side_by_side(setup: Setup, queues: u32, workers: u32) {
    let net = setup.net_with(|config| {
        (config.queues, config.workers, config.lease_us) = (queues, workers, SHORT_US);
    });
    let (done, (other, echoes)) = (AtomicBool::new(false), channel::<(sockeye_conn, Vec<u8>)>());
    let ports: Vec<u16> = (0..queues)
        .map(|queue| {
            let change = endpoint(|endpoint| endpoint.queue = queue);
            let door = net.listen("tcp://127.0.0.1:0", Some(&change)).expect("a door");
            net.listener_info(door).expect("it lives").port as u16
        })
        .collect();
    thread::scope(|scope| {
        for queue in 0..queues {
            let (net, done, other) = (&net, &done, other.clone());
            scope.spawn(move || serve(net, queue, done, other));
        }
        drop(other);
        let net = &net;
        scope.spawn(move || {
            echoes.iter().for_each(|(conn, data)| assert_eq!(net.send(conn, &data), OK));
        });
        let port = |at: usize| ports[at % ports.len()];
        let peers: Vec<_> =
            (0..6).map(port).map(|port| scope.spawn(move || ping_pong(port))).collect();
        let well = peers.into_iter().all(|peer| peer.join().is_ok());
        done.store(true, SeqCst);
        (0..queues).for_each(|queue| assert_eq!(net.post(queue, 0, 0), OK));
        assert!(well, "an echo was late");
    });
    assert_eq!(net.shutdown(0), OK);
}

/// Hosts with a queue and a worker each, absent now and then, sent to by a third thread.
pub fn two_hosts_two_workers(setup: Setup) {
    side_by_side(setup, 2, 2);
}

/// The same where half of a queue's connections live with a worker that nobody lends.
pub fn two_hosts_four_workers(setup: Setup) {
    side_by_side(setup, 2, 4);
}

pub fn one_host_three_workers(setup: Setup) {
    side_by_side(setup, 1, 3);
}

/// A shutdown ends the turns of hosts that wait, and its own worker threads.
pub fn shutdown_under_waiting_hosts(setup: Setup) {
    for round in 0..100 {
        let net = setup.net_with(|config| {
            (config.queues, config.workers) = (2, 2 + round % 3);
        });
        let inside = AtomicU64::new(0);
        thread::scope(|scope| {
            let hosts = [0, 1].map(|queue| {
                let (net, inside) = (&net, &inside);
                scope.spawn(move || {
                    inside.fetch_add(1, SeqCst);
                    // SAFETY: no payload is read.
                    unsafe { net.poll(queue, 8, 30_000) }.map(|batch| batch.raw.len())
                })
            });
            wait_for("hosts on their way", || inside.load(SeqCst) == 2);
            (0..round * 200).for_each(|_| std::hint::spin_loop());
            assert_eq!(net.shutdown(0), OK);
            wait_for("the hosts' return", || hosts.iter().all(|host| host.is_finished()));
            for host in hosts {
                let answer = host.join().expect("no panic");
                assert!(answer == Ok(0) || answer == Err(ERR_SHUTDOWN), "{answer:?}");
            }
        });
    }
}
