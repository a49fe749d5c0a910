//! The server alone, without a browser: the time and the size of the first messages, the bytes and the processor time of open streams,
//! the time of a reading, and the memory.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use reqwest::blocking::Client;

use crate::{PERIOD, kib, mib, serve, traffic};

/// The number of streams in the measurement of many pages.
const MANY: usize = 60;

/// Prints the figures of the server.
pub(crate) fn measure() {
    let load = traffic::start();
    thread::sleep(Duration::from_secs(1));
    let before = resident_bytes();
    let (server, _) = serve();
    let idle = processor_share(PERIOD);
    let mut rows = Vec::new();
    for encoding in ["identity", "gzip"] {
        let stream = Stream::open(server, encoding);
        let bytes = stream.bytes.clone();
        rows.push((format!("first rows, {encoding}"), format!("{:.0} ms, {}", stream.first.0, kib(stream.first.1))));
        rows.push((format!("all rows, {encoding}"), format!("{:.0} ms, {}", stream.all.0, kib(stream.all.1))));
        stream.drain();
        let (share, rate) = rates(&[bytes]);
        rows.push((format!("one stream, {encoding}"), format!("{} a second, {share}", kib(rate))));
    }
    rows.push(("a reading, seen by a request".to_owned(), format!("{:.1} ms", reading(server))));
    rows.push(("memory of the dashboard".to_owned(), mib(resident_bytes() - before)));
    let streams: Vec<_> = (0..MANY).map(|_| Stream::open(server, "gzip")).collect();
    let bytes: Vec<_> = streams.iter().map(|stream| stream.bytes.clone()).collect();
    streams.into_iter().for_each(Stream::drain);
    let (share, rate) = rates(&bytes);
    rows.push((format!("{MANY} streams, gzip"), format!("{} a second, {share}", kib(rate))));
    println!("\n| {load} | |\n|---|---|\n| without a page | {idle} |");
    for (name, value) in rows {
        println!("| {name} | {value} |");
    }
}

/// An open stream, after its first messages.
struct Stream {
    reader: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
    /// The time in milliseconds, and the bytes, until the first and until the last message with rows.
    first: (f64, f64),
    all: (f64, f64),
}

impl Stream {
    fn open(server: SocketAddr, encoding: &str) -> Self {
        let begun = Instant::now();
        let client = Client::builder().no_proxy().timeout(None).build().unwrap();
        let request = client.get(format!("http://{server}/api/live")).header("Accept-Encoding", encoding);
        let bytes = Arc::new(AtomicU64::new(0));
        let body = Counting { inner: request.send().unwrap(), bytes: bytes.clone() };
        let reader: Box<dyn Read + Send> =
            if encoding == "gzip" { Box::new(GzDecoder::new(body)) } else { Box::new(body) };
        let mut lines = BufReader::new(reader);
        let mut first = None;
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            if line.starts_with("data: {\"rows\":") {
                let now = (begun.elapsed().as_secs_f64() * 1e3, as_f64(bytes.load(Relaxed)));
                let first = *first.get_or_insert(now);
                if line.trim_end().ends_with("\"done\":true}") {
                    return Self { reader: Box::new(lines), bytes, first, all: now };
                }
            }
        }
    }

    /// Reads the rest on a thread of its own.
    fn drain(mut self) {
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while self.reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
    }
}

/// A reader that counts the bytes.
struct Counting<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

/// Returns the processor time of the process, of all its threads, as a share of one core, and the bytes of the streams per second.
fn rates(bytes: &[Arc<AtomicU64>]) -> (String, f64) {
    let sum = || as_f64(bytes.iter().map(|bytes| bytes.load(Relaxed)).sum());
    let (before, begun) = (sum(), Instant::now());
    let share = processor_share(PERIOD);
    (share, (sum() - before) / begun.elapsed().as_secs_f64())
}

fn processor_share(period: Duration) -> String {
    let (before, begun) = (processor_seconds(), Instant::now());
    thread::sleep(period);
    format!("{:.1} % of a core", (processor_seconds() - before) / begun.elapsed().as_secs_f64() * 1e2)
}

/// Returns the shortest time of a request that makes a full reading, in milliseconds.
fn reading(server: SocketAddr) -> f64 {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = || {
        thread::sleep(Duration::from_millis(700));
        let begun = Instant::now();
        client.get(format!("http://{server}/api/events?after=1000000000")).send().unwrap().bytes().unwrap();
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..10).map(|_| request()).fold(f64::INFINITY, f64::min)
}

/// Returns the processor time of this process. The kernel counts hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|index| fields[*index].parse::<u64>().unwrap()).sum();
    as_f64(ticks) / 100.0
}

/// Returns the memory of this process.
fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    as_f64(line.split_whitespace().next().unwrap().parse().unwrap()) * 1024.0
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
