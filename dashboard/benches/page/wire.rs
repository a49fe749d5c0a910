//! The bytes that the server sends, as they are on the wire.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The bytes of the live stream.
pub(crate) struct Stream {
    /// Of the messages that describe the present state.
    pub(crate) first: f64,
    /// Of a second after them.
    pub(crate) rate: f64,
}

/// Reads the live stream as a browser does, that is compressed if the server compresses.
pub(crate) fn stream(server: SocketAddr, period: Duration) -> Stream {
    let mut connection = request(server, "/api/live");
    let first = until_first_event(&mut connection);
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let (begun, mut total, mut buffer) = (Instant::now(), 0, vec![0; 1 << 20]);
    while begun.elapsed() < period {
        total += connection.read(&mut buffer).unwrap_or(0);
    }
    Stream { first, rate: as_f64(total) / begun.elapsed().as_secs_f64() }
}

/// Returns the length of a response.
pub(crate) fn length(server: SocketAddr, path: &str) -> f64 {
    let mut response = Vec::new();
    request(server, path).read_to_end(&mut response).unwrap();
    as_f64(response.len())
}

fn until_first_event(connection: &mut TcpStream) -> f64 {
    let (mut read, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        let count = connection.read(&mut buffer).unwrap();
        let new = read.len().saturating_sub(1);
        read.extend_from_slice(&buffer[..count]);
        if read[new..].windows(2).any(|two| two == b"\n\n") {
            return as_f64(read.len());
        }
    }
}

fn request(server: SocketAddr, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        .unwrap();
    connection
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(bytes: usize) -> f64 {
    bytes as f64
}
