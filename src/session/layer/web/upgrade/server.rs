//! A server's side: what a request is answered with.

use super::{Agreed, HEADERS_MAX, Reply, lists, only, proof, values};
use crate::session::layer::web::extension;
use crate::session::layer::web::options::{Page, WebServer};
use data_encoding::BASE64;
use httparse::{EMPTY_HEADER, Error, Header, Request, Status};

/// What answers nothing but that it is there.
const HEALTH: &str = "/healthz";
/// The longest method that is looked for.
const METHOD_MAX: usize = 20;
/// Bytes of a key: RFC 6455, section 4.1.
const KEY: usize = 16;

/// What a request comes to.
#[derive(Debug)]
pub enum Verdict {
    /// It is no HTTP: nothing is answered.
    Garbage,
    /// It is answered, and that is all.
    Reply(Reply),
    /// With this answer the WebSocket is open.
    Open(Vec<u8>, Agreed),
}

/// Whether what begins like this is no request.
pub fn is_hopeless(bytes: &[u8]) -> bool {
    let method = bytes.iter().position(|byte| !byte.is_ascii_uppercase());
    match method {
        Some(at) => bytes[at] != b' ' || at == 0 || at > METHOD_MAX,
        None => bytes.len() > METHOD_MAX,
    }
}

/// Judges a request that came as a whole. None: it is longer than may be.
pub fn answer(request: Option<&[u8]>, server: &WebServer) -> Verdict {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = Request::new(&mut headers);
    let fault = match request.map(|request| parsed.parse(request)) {
        Some(Ok(Status::Complete(_))) => return respond(&parsed, server),
        Some(Ok(Status::Partial)) => (400, "Bad Request"),
        Some(Err(Error::Version)) => (505, "HTTP Version Not Supported"),
        None | Some(Err(Error::TooManyHeaders)) => (431, "Request Header Fields Too Large"),
        // It has a method, or would not be here.
        Some(Err(_)) => (400, "Bad Request"),
    };
    refuse(fault.0, fault.1, "")
}

fn respond(request: &Request<'_, '_>, server: &WebServer) -> Verdict {
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Verdict::Garbage;
    };
    let headers = &*request.headers;
    let has_body = values(headers, "Transfer-Encoding").next().is_some()
        || values(headers, "Content-Length").any(|length| length != "0");
    let host = request.version == Some(0) || only(headers, "Host").is_some_and(|it| !it.is_empty());
    let Some(target) = origin_form(target).filter(|_| host && !has_body) else {
        return refuse(400, "Bad Request", "");
    };
    let path = target.split('?').next().unwrap_or(target);
    let ours = server.path.as_ref().is_none_or(|ours| ours == path);
    let upgrades = request.version == Some(1)
        && lists(headers, "Upgrade", |word| word.eq_ignore_ascii_case("websocket"))
        && lists(headers, "Connection", |word| word.eq_ignore_ascii_case("upgrade"));
    if !(ours && upgrades)
        && let Some(reply) = page(method, path, server)
    {
        return reply;
    }
    match method {
        _ if !ours => refuse(404, "Not Found", ""),
        "GET" if upgrades => upgrade(target, headers, server),
        "GET" => refuse(426, "Upgrade Required", UPGRADE),
        _ => refuse(405, "Method Not Allowed", "Allow: GET\r\n"),
    }
}

const UPGRADE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// The target without a scheme and a host, which proxies may be given. None: it is no path.
fn origin_form(target: &str) -> Option<&str> {
    let path = match target.split_once("://") {
        Some(("http" | "https" | "ws" | "wss", rest)) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    Some(path).filter(|path| path.starts_with('/'))
}

/// What is answered where one of the pages is.
fn page(method: &str, path: &str, server: &WebServer) -> Option<Verdict> {
    let page = server.pages.iter().find(|page| page.path == path);
    let health = path == HEALTH;
    if page.is_none() && !health {
        return None;
    }
    if !matches!(method, "GET" | "HEAD") {
        return Some(refuse(405, "Method Not Allowed", "Allow: GET, HEAD\r\n"));
    }
    let (kind, len) = page.map_or(("text/plain", 0), |page| (&page.content_type, page.body.len()));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: close\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    );
    let body = |page: &Page| page.body.clone();
    let body = page.filter(|_| method == "GET").map(body);
    Some(Verdict::Reply(Reply { head: head.into_bytes(), body, served: true }))
}

fn refuse(status: u16, reason: &str, headers: &str) -> Verdict {
    let len = reason.len() + 1;
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\n{headers}Content-Type: text/plain\r\n\
         Content-Length: {len}\r\nConnection: close\r\n\r\n{reason}\n"
    );
    Verdict::Reply(Reply { head: head.into_bytes(), body: None, served: false })
}

/// Judges a request for a WebSocket of ours.
fn upgrade(target: &str, headers: &[Header<'_>], server: &WebServer) -> Verdict {
    if only(headers, "Sec-WebSocket-Version") != Some("13") {
        return refuse(426, "Upgrade Required", UPGRADE);
    }
    let is_key = |key: &&str| BASE64.decode(key.as_bytes()).is_ok_and(|key| key.len() == KEY);
    let Some(key) = only(headers, "Sec-WebSocket-Key").filter(is_key) else {
        return refuse(400, "Bad Request", "");
    };
    let may = |origin: &str| server.origins.iter().any(|may| may.eq_ignore_ascii_case(origin));
    if !server.origins.is_empty() && !values(headers, "Origin").all(may) {
        return refuse(403, "Forbidden", "");
    }
    let asks = |ours: &String| lists(headers, "Sec-WebSocket-Protocol", |asked| asked == ours);
    let protocol = server.protocols.iter().position(asks);
    let extensions = values(headers, "Sec-WebSocket-Extensions");
    let accepted = if server.compress { extension::accept(extensions) } else { None };
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        proof(key)
    );
    if let Some(at) = protocol {
        answer += &format!("Sec-WebSocket-Protocol: {}\r\n", server.protocols[at]);
    }
    let deflating = accepted.map(|(deflating, words)| {
        answer += &format!("Sec-WebSocket-Extensions: {words}\r\n");
        deflating
    });
    answer += "\r\n";
    let protocol = protocol.map(|at| at as u16);
    Verdict::Open(answer.into_bytes(), Agreed { path: target.into(), protocol, deflating })
}
