//! The bytes that the server sends, as they are on the wire.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The lengths of a response in bytes.
pub(crate) struct Length {
    pub(crate) plain: f64,
    /// For a client that accepts compression, as browsers and Prometheus do.
    pub(crate) accepted: f64,
}

/// Reads a response that ends.
pub(crate) fn length(server: SocketAddr, path: &str) -> Length {
    let read = |is_compressed| {
        let mut response = Vec::new();
        request(server, path, is_compressed).read_to_end(&mut response).unwrap();
        as_f64(response.len())
    };
    Length { plain: read(false), accepted: read(true) }
}

/// Returns the bytes of a second of the live stream, as a browser reads it, after the `first` ones, which describe the present state.
pub(crate) fn stream(server: SocketAddr, first: f64, period: Duration) -> f64 {
    let mut connection = request(server, "/api/live", true);
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    while as_f64(total) < first {
        total += connection.read(&mut buffer).unwrap();
    }
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let begun = Instant::now();
    total = 0;
    while begun.elapsed() < period {
        total += connection.read(&mut buffer).unwrap_or(0);
    }
    as_f64(total) / begun.elapsed().as_secs_f64()
}

fn request(server: SocketAddr, path: &str, is_compressed: bool) -> TcpStream {
    let mut connection = TcpStream::connect(server).unwrap();
    let accept = if is_compressed { "Accept-Encoding: gzip\r\n" } else { "" };
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {server}\r\n{accept}Connection: close\r\n\r\n").unwrap();
    connection
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(bytes: usize) -> f64 {
    bytes as f64
}
