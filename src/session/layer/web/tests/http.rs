//! Handshakes, and what is answered to other requests.

use super::*;

/// What a server answers to a request, and how it is then.
fn answered(server: WebServer, request: &str) -> (String, End) {
    let mut end = End::server(server);
    end.receive(request.as_bytes());
    let answer = String::from_utf8(end.say()).expect("text");
    assert!(!end.web.has_last_word(), "all of it was taken");
    (answer, end)
}

fn at_play() -> WebServer {
    let page = Page {
        path: "/".into(),
        content_type: "text/html".into(),
        body: Arc::from(vec![b'x'; 100_000]),
    };
    WebServer { path: Some("/play".into()), pages: vec![page], ..WebServer::default() }
}

/// Whether it was refused with this status.
fn is_refused(answer: &str, end: &End, status: u16) -> bool {
    let line = answer.starts_with(&format!("HTTP/1.1 {status} "));
    let closes = answer.contains("\r\nConnection: close\r\n");
    line && closes && end.broken == Some(Cause::Protocol)
}

#[test]
fn the_upgrade_of_the_rfc() {
    let (answer, end) = answered(at_play(), &request("GET /play?as=7 HTTP/1.1", &UPGRADE));
    assert_eq!(
        answer,
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {PROOF}\r\n\r\n"
        )
    );
    let facts = end.web.web().expect("it is one");
    assert_eq!(
        facts,
        WebFacts { path: "/play?as=7".into(), protocol: "".into(), compressed: false }
    );
    let (answer, _) = answered(at_play(), &request("GET http://a.test/play HTTP/1.1", &UPGRADE));
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[test]
fn requests_that_are_refused() {
    let without = |at: usize| {
        let mut headers = UPGRADE.to_vec();
        headers.remove(at);
        request("GET /play HTTP/1.1", &headers)
    };
    let with = |at: usize, header: &'static str| {
        let mut headers = UPGRADE;
        headers[at] = header;
        request("GET /play HTTP/1.1", &headers)
    };
    let many = "X: y\r\n".repeat(100) + "X: y";
    let cases = [
        (without(0), 400, ""),
        (with(0, "Host: a\r\nHost: b"), 400, ""),
        (without(1), 426, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        (with(2, "Connection: keep-alive"), 426, "\r\nSec-WebSocket-Version: 13\r\n"),
        (without(3), 400, ""),
        (with(3, "Sec-WebSocket-Key: c2hvcnQ="), 400, ""),
        (with(3, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400, ""),
        (with(4, "Sec-WebSocket-Version: 8"), 426, "\r\nSec-WebSocket-Version: 13\r\n"),
        (with(4, "Sec-WebSocket-Version: 13\r\nContent-Length: 5"), 400, ""),
        (with(4, "Sec-WebSocket-Version: 13\r\nTransfer-Encoding: chunked"), 400, ""),
        (request("GET /other HTTP/1.1", &UPGRADE), 404, ""),
        (request("POST /play HTTP/1.1", &UPGRADE), 405, "\r\nAllow: GET\r\n"),
        (request("POST / HTTP/1.1", &["Host: a"]), 405, "\r\nAllow: GET, HEAD\r\n"),
        (request("DELETE /healthz HTTP/1.1", &["Host: a"]), 405, "\r\nAllow: GET, HEAD\r\n"),
        (request("GET /play HTTP/1.0", &UPGRADE), 426, ""),
        (request("GET /play HTTP/2.0", &UPGRADE), 505, ""),
        (request("GET play HTTP/1.1", &UPGRADE), 400, ""),
        (request("GET /play HTTP/1.1", &["no header"]), 400, ""),
        (request("GET /play HTTP/1.1", &[&many]), 431, ""),
        (format!("GET /play HTTP/1.1\r\nX: {}", "y".repeat(9000)), 431, ""),
    ];
    for (request, status, has) in cases {
        let (answer, end) = answered(at_play(), &request);
        assert!(is_refused(&answer, &end, status), "{request}\n{answer}");
        assert!(answer.contains(has), "{request}\n{answer}");
    }
}

#[test]
fn what_is_no_http_is_not_answered() {
    for garbage in ["\x16\x03\x01\x02\x00", " GET", "get / HTTP/1.1\r\n\r\n", "\r\n", "A\0"] {
        let (answer, end) = answered(at_play(), garbage);
        assert_eq!((answer.as_str(), end.broken), ("", Some(Cause::Protocol)), "{garbage:?}");
    }
    let (answer, end) = answered(at_play(), &"A".repeat(30));
    assert_eq!((answer.as_str(), end.broken), ("", Some(Cause::Protocol)));
    let (_, end) = answered(at_play(), "GET /pl");
    assert_eq!((end.broken, end.web.held_bytes()), (None, 7));
}

#[test]
fn pages_and_health() {
    let (answer, end) = answered(at_play(), &request("GET /?v=2 HTTP/1.1", &["Host: a"]));
    let (head, body) = answer.split_once("\r\n\r\n").expect("an empty line");
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\
         Connection: close\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff"
    );
    assert_eq!((body.len(), end.broken), (100_000, Some(Cause::Host)));
    let (answer, _) = answered(at_play(), &request("HEAD / HTTP/1.1", &["Host: a"]));
    assert!(answer.contains("Content-Length: 100000\r\n") && answer.ends_with("\r\n\r\n"));
    let (answer, end) = answered(at_play(), &request("GET /healthz HTTP/1.1", &["Host: a"]));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Content-Length: 0\r\n"));
    assert_eq!(end.broken, Some(Cause::Host));
    // A page may be where the WebSocket is.
    let both = WebServer { path: Some("/".into()), ..at_play() };
    let (answer, _) = answered(both.clone(), &request("GET / HTTP/1.1", &["Host: a"]));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (answer, _) = answered(both, &request("GET / HTTP/1.1", &UPGRADE));
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[test]
fn origins() {
    let ask = |origin: &str| {
        let server = WebServer { origins: vec!["https://Game.test".into()], ..at_play() };
        let headers = [UPGRADE[0], UPGRADE[1], UPGRADE[2], UPGRADE[3], UPGRADE[4], origin];
        answered(server, &request("GET /play HTTP/1.1", &headers))
    };
    let (answer, end) = ask("Origin: https://evil.test");
    assert!(is_refused(&answer, &end, 403), "{answer}");
    for may in ["Origin: https://game.TEST", "X: no browser"] {
        assert_eq!(ask(may).1.web.state(), State::Open, "{may}");
    }
}

#[test]
fn a_subprotocol_is_the_one_that_the_server_prefers() {
    let protocols = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    let server = WebServer { protocols: protocols(&["one", "two", "three"]), ..at_play() };
    let client = WebClient {
        target: "/play".into(),
        protocols: protocols(&["none", "three", "two"]),
        ..WebClient::default()
    };
    let (client, server) = pair(client, server);
    for end in [client, server] {
        assert_eq!(&*end.web.web().expect("it is one").protocol, "two");
    }
}

/// A client that has received what `answer` makes of its proof.
fn client_after(client: WebClient, answer: impl Fn(&str) -> String) -> End {
    let mut end = End::client(client);
    let request = String::from_utf8(end.say()).expect("text");
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").expect("a key");
    let key = key.split("\r\n").next().expect("a line");
    let mut server = End::server(WebServer::default());
    let ours = request.replace(key, KEY);
    server.receive(ours.as_bytes());
    assert!(String::from_utf8(server.say()).expect("text").contains(PROOF), "{ours}");
    let mut server = End::server(WebServer::default());
    server.receive(request.as_bytes());
    let right = String::from_utf8(server.say()).expect("text");
    end.receive(answer(&right).as_bytes());
    end
}

/// An answer, made of the right one.
type Answer = fn(&str) -> String;

#[test]
fn a_client_checks_the_answer() {
    let client = WebClient { origin: Some("https://a.test".into()), ..WebClient::default() };
    let end = client_after(client.clone(), str::to_owned);
    assert_eq!((end.web.state(), end.broken), (State::Open, None));
    let wrong: [(Answer, u16); 9] = [
        (|right| right.replace("Upgrade: websocket", "Upgrade: h2c"), 101),
        (|right| right.replace("Connection: Upgrade", "Connection: close"), 101),
        (|right| right.replace("Accept: ", "Accept: A"), 101),
        (|right| right.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x\r\n\r\n"), 101),
        (|right| right.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n"), 101),
        (|_| "HTTP/1.1 403 Forbidden\r\n\r\n".into(), 403),
        (|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(), 200),
        (|_| "SSH-2.0-x\r\n".into(), 0),
        (|_| format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(9000)), 0),
    ];
    for (answer, code) in wrong {
        let end = client_after(client.clone(), answer);
        assert_eq!((end.broken, end.web.code()), (Some(Cause::Protocol), code));
        assert!(!end.web.has_last_word());
    }
}

#[test]
fn a_client_sends_no_header_that_ends_early() {
    for value in ["x\r\nEvil: 1", "x\ny", "\0"] {
        let headers = vec![("X".into(), value.into())];
        let client = WebClient { headers, host: "a".into(), ..WebClient::default() };
        let end = WebEnd::Client(Arc::new(client));
        assert_eq!(Web::new(&end).err(), Some(Cause::Internal));
    }
}

#[test]
fn a_request_may_come_in_pieces_and_with_frames_behind_it() {
    let request = request("GET /play HTTP/1.1", &UPGRADE);
    let all =
        [request.as_bytes(), &masked(FIN | TEXT, b"first"), &masked(FIN | BINARY, b"")].concat();
    for step in [1, 2, 3, 7, all.len()] {
        let mut end = End::server(at_play());
        for piece in all.chunks(step) {
            end.receive(piece);
        }
        assert_eq!(end.messages, [(b"first".to_vec(), true), (Vec::new(), false)], "{step}");
        assert!(end.say().starts_with(b"HTTP/1.1 101 "));
    }
}
