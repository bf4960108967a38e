//! A client's side: the request, and what has to be answered to it.

use super::{Agreed, HEADERS_MAX, lists, only, proof, values};
use crate::session::layer::web::extension;
use crate::session::layer::web::options::WebClient;
use data_encoding::BASE64;
use httparse::{EMPTY_HEADER, Response, Status};
use ring::rand::{SecureRandom, SystemRandom};

/// A request.
pub struct Asked {
    pub request: Vec<u8>,
    /// What proves that it was read.
    pub proof: Box<str>,
}

/// Writes the request. None: the system has no random numbers, or a string has what would be taken
/// for the end of a header.
pub fn ask(client: &WebClient) -> Option<Asked> {
    let mut key = [0; 16];
    SystemRandom::new().fill(&mut key).ok()?;
    let key = BASE64.encode(&key);
    let mut lines = vec![
        format!("GET {} HTTP/1.1", client.target),
        format!("Host: {}", client.host),
        "Upgrade: websocket".into(),
        "Connection: Upgrade".into(),
        format!("Sec-WebSocket-Key: {key}"),
        "Sec-WebSocket-Version: 13".into(),
    ];
    if let Some(origin) = &client.origin {
        lines.push(format!("Origin: {origin}"));
    }
    if !client.protocols.is_empty() {
        lines.push(format!("Sec-WebSocket-Protocol: {}", client.protocols.join(", ")));
    }
    if client.compress {
        lines.push(format!("Sec-WebSocket-Extensions: {}", extension::OFFER));
    }
    lines.extend(client.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if lines.iter().any(|line| line.contains(char::is_control)) {
        return None;
    }
    let request = (lines.join("\r\n") + "\r\n\r\n").into_bytes();
    Some(Asked { request, proof: proof(&key).into() })
}

/// Judges a response that came as a whole: RFC 6455, section 4.1. Fails with its status; 0: it is
/// no HTTP.
pub fn judge(response: &[u8], proof: &str, client: &WebClient) -> Result<Agreed, u16> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = Response::new(&mut headers);
    let parse = parsed.parse(response);
    let status = parsed.code.unwrap_or(0);
    let headers = &*parsed.headers;
    let opens = matches!(parse, Ok(Status::Complete(_)))
        && status == 101
        && lists(headers, "Upgrade", |word| word.eq_ignore_ascii_case("websocket"))
        && lists(headers, "Connection", |word| word.eq_ignore_ascii_case("upgrade"))
        && only(headers, "Sec-WebSocket-Accept") == Some(proof);
    if !opens {
        return Err(status);
    }
    let mut chosen = values(headers, "Sec-WebSocket-Protocol");
    let protocol = match (chosen.next(), chosen.next()) {
        (None, _) => None,
        (Some(name), None) => {
            let at = client.protocols.iter().position(|asked| asked == name);
            Some(at.ok_or(status)? as u16)
        }
        _ => return Err(status),
    };
    let extensions = values(headers, "Sec-WebSocket-Extensions");
    let deflating = extension::confirm(extensions, client.compress).map_err(|_| status)?;
    Ok(Agreed { path: client.target.as_str().into(), protocol, deflating })
}
