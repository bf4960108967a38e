//! Control frames, the end, and time.

use super::*;

fn with_close(payload: &[u8]) -> End {
    let mut end = End::open(WebServer::default());
    end.receive(&masked(FIN | CLOSE, payload));
    end
}

#[test]
fn codes_of_a_close() {
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
        let mut end = with_close(&[&u16::to_be_bytes(code)[..], b"why"].concat());
        assert_eq!((end.ended, end.web.code(), end.web.state()), (true, code, State::Open));
        end.web.end();
        assert_eq!(end.say(), close(code));
        assert_eq!(end.web.state(), State::Done(Cause::Host));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let mut end = with_close(&u16::to_be_bytes(code));
        assert_eq!((end.broken, end.web.code()), (Some(Cause::Protocol), 0), "{code}");
        assert_eq!(end.say(), close(1002));
    }
    let mut end = with_close(b"");
    assert_eq!((end.ended, end.web.code()), (true, 1005));
    end.web.end();
    assert_eq!(end.say(), bare(FIN | CLOSE, b""));
    let mut end = with_close(b"\x03\xe8\xff");
    assert_eq!(end.say(), close(1007));
}

#[test]
fn behind_a_close_nothing_is_read() {
    let mut end = End::open(WebServer::default());
    let close = masked(FIN | CLOSE, &1000u16.to_be_bytes());
    end.receive(&[close, masked(FIN | TEXT, b"late"), vec![0xff]].concat());
    end.receive(&masked(FIN | TEXT, b"later"));
    assert_eq!((end.messages.len(), end.ended, end.broken), (0, true, None));
    assert_eq!(end.pool.bytes(), 0, "nor kept");
    // What the host has still to say leaves.
    assert_eq!(end.send(&bare(FIN | TEXT, b"bye")), bare(FIN | TEXT, b"bye"));
}

#[test]
fn an_end_says_close_once() {
    let (mut client, mut server) = pair(WebClient::default(), WebServer::default());
    client.web.end();
    client.web.end();
    assert_eq!(client.web.state(), State::Ending);
    server.receive(&client.say());
    assert_eq!(client.web.state(), State::Done(Cause::Host));
    assert_eq!((server.ended, server.web.code()), (true, 1000));
    // It still reads, and hears the answer.
    client.receive(&server.send(&bare(FIN | TEXT, b"in flight")));
    server.web.end();
    client.receive(&server.say());
    assert_eq!((client.messages.len(), client.ended, client.web.code()), (1, true, 1000));
    assert_eq!(client.web.state(), State::Done(Cause::Host));
}

#[test]
fn only_the_newest_ping_is_answered_when_too_many_wait() {
    let mut end = End::open(WebServer::default());
    for count in 0..1000u32 {
        let payload = [&count.to_be_bytes()[..], &[0; 100]].concat();
        end.receive(&masked(FIN | PING, &payload));
        assert!(end.web.held_bytes() < 9000);
    }
    let says = end.say();
    let newest = bare(FIN | PONG, &[&999u32.to_be_bytes()[..], &[0; 100]].concat());
    assert!(says.ends_with(&newest) && says.starts_with(&[FIN | PONG]));
    assert_eq!(says.len() % newest.len(), 0);
}

/// Frames of the layer come between those of messages, wherever the trains are cut.
#[test]
fn pongs_go_between_frames() {
    let frames: Vec<_> =
        (0..20u8).map(|len| bare(FIN | BINARY, &vec![len; 40 * usize::from(len)])).collect();
    let all = frames.concat();
    for step in [1, 3, 50, 129, 1000, all.len()] {
        for is_client in [false, true] {
            let (mut client, mut server) = pair(WebClient::default(), WebServer::default());
            let (from, to) =
                if is_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let ping = if is_client { bare(FIN | PING, b"?") } else { masked(FIN | PING, b"?") };
            let mut rest = &all[..];
            while !rest.is_empty() {
                from.receive(&ping);
                let (wire, taken) = from.write(&rest[..step.min(rest.len())]);
                assert!(taken > 0 && !wire.is_empty());
                rest = &rest[taken..];
                to.receive(&wire);
                assert_eq!(to.broken, None);
            }
            let came: Vec<_> =
                to.messages.iter().map(|(data, _)| bare(FIN | BINARY, data)).collect();
            assert_eq!(came, frames, "{step} {is_client}");
        }
    }
}

#[test]
fn each_frame_of_a_client_has_a_key_of_its_own() {
    let (mut client, _server) = pair(WebClient::default(), WebServer::default());
    let wire = client.send(&bare(FIN | BINARY, &[0; 8]).repeat(50));
    let keys: std::collections::HashSet<_> = wire.chunks(14).map(|frame| &frame[2..6]).collect();
    assert!(wire.len() == 50 * 14 && keys.len() > 45, "{} keys", keys.len());
}

#[test]
fn a_long_frame_leaves_in_trains() {
    let (mut client, mut server) = pair(WebClient::default(), WebServer::default());
    let data: Vec<u8> = (0..500_000u32).map(|at| (at * 7) as u8).collect();
    server.receive(&client.send(&bare(FIN | BINARY, &data)));
    client.receive(&server.send(&bare(FIN | BINARY, &data)));
    assert!(server.messages == [(data.clone(), false)] && client.messages == [(data, false)]);
}

#[test]
fn a_fault_in_the_middle_of_a_frame_has_no_word() {
    let mut end = End::open(WebServer::default());
    let frame = bare(FIN | BINARY, &[0; 100]);
    assert_eq!(end.send(&frame[..50]), frame[..50]);
    end.receive(&masked(FIN | 3, b""));
    assert_eq!((end.broken, end.web.has_last_word()), (Some(Cause::Protocol), false));
    assert_eq!(end.say(), b"");
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut end = End::open(WebServer { ping_ms: 500, ..WebServer::default() });
    assert_eq!(end.web.poll_timeout(), Some(NOW + 500));
    end.web.handle_timeout(NOW + 499);
    assert_eq!(end.say(), b"");
    end.web.handle_timeout(NOW + 500);
    assert_eq!(end.say(), bare(FIN | PING, b""));
    assert_eq!(end.web.poll_timeout(), Some(NOW + 1000));
    // Anything that comes will do.
    let byte = end.pool.take(1).expect("memory").write(&[FIN | BINARY]);
    end.web.handle_received(byte, NOW + 700);
    assert_eq!(end.web.poll_timeout(), Some(NOW + 1200));
    end.web.handle_timeout(NOW + 1200);
    end.web.handle_timeout(NOW + 1700);
    assert_eq!(end.web.state(), State::Done(Cause::TimeoutIdle));
}

#[test]
fn a_message_has_its_time() {
    let server = WebServer { frame_timeout_ms: 300, ..WebServer::default() };
    for begun in
        [vec![FIN | BINARY], masked(BINARY, b"x"), masked(FIN | BINARY, b"xy")[..7].to_vec()]
    {
        let mut end = End::open(server.clone());
        assert_eq!(end.web.poll_timeout(), None);
        end.receive(&[masked(FIN | BINARY, b"whole"), begun].concat());
        assert_eq!(end.web.poll_timeout(), Some(NOW + 300));
        end.web.handle_timeout(NOW + 299);
        assert_eq!(end.web.state(), State::Open);
        end.web.handle_timeout(NOW + 300);
        assert_eq!(end.web.state(), State::Done(Cause::TimeoutFrame));
        assert!(end.web.has_last_word());
        assert_eq!(end.say(), close(1002));
    }
    // Further pieces do not give it more.
    let mut end = End::open(server);
    end.receive(&masked(BINARY, b"x"));
    let more = masked(0, b"y");
    let slice = end.pool.take(more.len()).expect("memory").write(&more);
    end.web.handle_received(slice, NOW + 200);
    assert!(matches!(end.web.poll_plain(&end.pool, NOW + 200), Plain::Nothing));
    assert_eq!(end.web.poll_timeout(), Some(NOW + 300));
}
