// SPDX-License-Identifier: GPL-2.0-only

//! `top --serve`: the same on a web page, for readers only.
//!
//! One static page, and a stream of samples as server-sent events (HTML Living Standard, section
//! 9.2). Nothing can be changed from the page, and it loads nothing from elsewhere.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Request, Response, Server};

use crate::error::Error;

/// The page.
const PAGE: &str = include_str!("serve.html");
/// Readers at the same time.
const MOST_READERS: usize = 32;
/// The page runs its own script, and speaks with this server only.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The beginning of the answer with the samples, which has no end.
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: \
                      no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";

/// Serves the page until the process is ended. `ready` is called with the address; `sample` makes
/// the JSON of a sample.
///
/// # Errors
///
/// When the address cannot be listened on.
pub fn serve(
    address: SocketAddr,
    interval: Duration,
    ready: &mut dyn FnMut(SocketAddr),
    sample: &(dyn Fn() -> Result<String, Error> + Sync),
) -> Result<(), Error> {
    let server = Server::http(address)
        .map_err(|error| Error::Failed(format!("cannot listen on {address}: {error}")))?;
    if let Some(address) = server.server_addr().to_ip() {
        ready(address);
    }
    let readers = AtomicUsize::new(0);
    thread::scope(|scope| {
        for request in server.incoming_requests() {
            let path = request.url().split('?').next().unwrap_or_default();
            if !is_meant(&request, address) {
                answer(request, 403, "text/plain", "another host is meant\n");
            } else if path == "/" {
                answer(request, 200, "text/html", PAGE);
            } else if path != "/events" {
                answer(request, 404, "text/plain", "the page is at /\n");
            } else if readers.fetch_add(1, Ordering::Relaxed) >= MOST_READERS {
                readers.fetch_sub(1, Ordering::Relaxed);
                answer(request, 503, "text/plain", "too many readers\n");
            } else {
                let readers = &readers;
                scope.spawn(move || {
                    // It ends when the reader is gone.
                    stream(request.into_writer(), interval, sample).ok();
                    readers.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    });
    Ok(())
}

/// Whether the reader asked for this host. At a loopback address, a page of another site may not
/// read by a name that it makes lead here.
fn is_meant(request: &Request, address: SocketAddr) -> bool {
    if !address.ip().is_loopback() {
        return true;
    }
    let hosts = request.headers().iter();
    hosts
        .filter(|header| header.field.equiv("Host"))
        .all(|header| {
            let host = header.value.as_str();
            let name = host.parse::<SocketAddr>().map_or_else(
                |_| host.split(':').next().unwrap_or_default().to_owned(),
                |address| address.ip().to_string(),
            );
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        })
}

fn answer(request: Request, status: u16, kind: &str, body: &str) {
    let mut response = Response::from_string(body).with_status_code(status);
    for (name, value) in [
        ("Content-Type", format!("{kind}; charset=utf-8")),
        ("Content-Security-Policy", POLICY.to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
    ] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response = response.with_header(header);
        }
    }
    // A reader that went away needs no answer.
    request.respond(response).ok();
}

/// Sends samples until the reader is gone.
fn stream(
    mut reader: impl Write,
    interval: Duration,
    sample: &(dyn Fn() -> Result<String, Error> + Sync),
) -> io::Result<()> {
    reader.write_all(STREAM.as_bytes())?;
    loop {
        let event = match sample() {
            Ok(json) => format!("data: {json}\n\n"),
            Err(error) => format!("event: failed\ndata: {error}\n\n"),
        };
        reader.write_all(event.as_bytes())?;
        reader.flush()?;
        thread::sleep(interval);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;

    fn started() -> SocketAddr {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let mut ready = |address| sender.send(address).unwrap();
            serve(address, Duration::from_millis(1), &mut ready, &|| {
                Ok("{\"services\":[]}".to_owned())
            })
        });
        receiver.recv().unwrap()
    }

    /// The first lines of an answer.
    fn lines(address: SocketAddr, path: &str, host: &str) -> impl Iterator<Item = String> {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        BufReader::new(stream).lines().map(Result::unwrap)
    }

    #[test]
    fn the_page_and_its_samples_are_served() {
        let address = started();
        let mut page = lines(address, "/", "localhost:1");
        assert_eq!(page.next().unwrap(), "HTTP/1.1 200 OK");
        assert!(page.any(|line| line == "<!DOCTYPE html>"));
        let samples =
            lines(address, "/events", "127.0.0.1").filter(|line| line.starts_with("data"));
        let two: Vec<String> = samples.take(2).collect();
        assert_eq!(two, ["data: {\"services\":[]}"; 2]);
        let mut other = lines(address, "/metrics", "[::1]:80");
        assert_eq!(other.next().unwrap(), "HTTP/1.1 404 Not Found");
    }

    #[test]
    fn a_page_of_another_site_does_not_read() {
        let address = started();
        for host in [
            "evil.example",
            "evil.example:80",
            "192.0.2.1",
            "localhost.example",
        ] {
            let mut lines = lines(address, "/events", host);
            assert_eq!(lines.next().unwrap(), "HTTP/1.1 403 Forbidden", "{host}");
        }
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for word in ["http:", "https:", "//cdn", "innerHTML"] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }
}
