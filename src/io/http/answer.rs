//! The answer to a request, as bytes (RFC 9112).

use super::{Page, REQUEST_MAX, Request, Site};
use httparse::{Error, Status};

/// Headers of a request at most.
const HEADERS_MAX: usize = 64;

/// What is answered to what came so far. None: the request goes on.
pub fn answer(bytes: &[u8], site: &dyn Site) -> Option<Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => Some(answer_to(&request, site)),
        Ok(Status::Partial) if bytes.len() < REQUEST_MAX => None,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => {
            Some(refusal("431 Request Header Fields Too Large", "", "the request is too long"))
        }
        Err(error) => Some(refusal("400 Bad Request", "", &format!("no request: {error}"))),
    }
}

fn answer_to(request: &httparse::Request<'_, '_>, site: &dyn Site) -> Vec<u8> {
    let method = request.method.unwrap_or_default();
    if !["GET", "HEAD"].contains(&method) {
        let words = format!("the method {method} is not known here");
        return refusal("405 Method Not Allowed", "Allow: GET, HEAD\r\n", &words);
    }
    let target = request.path.unwrap_or_default();
    // A proxy may be asked for a whole URL, and then asks for one.
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = target.split('?').next().unwrap_or_default();
    let accept = request.headers.iter().find(|it| it.name.eq_ignore_ascii_case("accept"));
    let accept = accept.and_then(|it| str::from_utf8(it.value).ok()).unwrap_or_default();
    match site.page(&Request { path, accept }) {
        Some(Page { kind, text }) => response("200 OK", kind, "", &text, method == "HEAD"),
        None => refusal("404 Not Found", "", "there is no page at this path"),
    }
}

fn refusal(status: &str, more: &str, words: &str) -> Vec<u8> {
    response(status, "text/plain; charset=utf-8", more, &format!("{words}\n"), false)
}

fn response(status: &str, kind: &str, more: &str, text: &str, head: bool) -> Vec<u8> {
    let len = text.len();
    let body = if head { "" } else { text };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n{more}\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    struct One;

    impl Site for One {
        fn admits(&self, _: SocketAddr) -> bool {
            true
        }

        fn page(&self, request: &Request<'_>) -> Option<Page> {
            let text = format!("for {:?}", request.accept);
            (request.path == "/one").then_some(Page { kind: "text/plain", text })
        }
    }

    fn answered(request: &str) -> String {
        String::from_utf8(answer(request.as_bytes(), &One).expect("it is whole")).expect("a text")
    }

    #[test]
    fn a_page_at_its_path() {
        let whole = answered("GET /one?x=1 HTTP/1.1\r\nHost: here\r\naccept: any\r\n\r\n");
        let (head, body) = whole.split_once("\r\n\r\n").expect("two parts");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Length: 9\r\n") && body == "for \"any\"", "{whole}");
        let head = answered("HEAD http://here:1/one HTTP/1.0\r\n\r\n");
        assert!(head.contains("Content-Length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_request_in_pieces() {
        let request = b"GET /one HTTP/1.1\r\nHost: here\r\n\r\n";
        for len in 0..request.len() {
            assert!(answer(&request[..len], &One).is_none(), "{len}");
        }
        assert!(answer(request, &One).is_some());
    }

    #[test]
    fn what_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(REQUEST_MAX));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("GET http://here HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /one HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("\u{16}\u{3}\u{1} hello\r\n\r\n", "400 Bad Request"),
            ("GET /one\r\n\r\n", "400 Bad Request"),
            ("GET /one HTTP/2\r\n\r\n", "400 Bad Request"),
            (&long, "431 Request Header Fields Too Large"),
            (&many, "431 Request Header Fields Too Large"),
        ] {
            let whole = answered(request);
            assert!(whole.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {whole}");
            assert!(whole.ends_with('\n'), "in words: {whole}");
        }
    }
}
