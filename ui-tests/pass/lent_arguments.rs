//! Arguments that are lent, copied for an option, or changed before an `async` block draw no warning that the plain function does not draw.
#![deny(warnings, unused)]
#![allow(dead_code)]

use std::{
    future::{Future, ready},
    io::{self, Read},
    sync::mpsc,
};

use steadfast::{circuit_breaker, fallback, retry, timeout};

struct Connection(u32);

impl Connection {
    fn call(&mut self) -> io::Result<u32> {
        Ok(self.0)
    }

    async fn call_async(&mut self) -> io::Result<u32> {
        ready(()).await;
        Ok(self.0)
    }
}

#[retry]
fn lent(mut connection: Connection, mut log: Vec<u8>) -> io::Result<u32> {
    log.push(1);
    connection.call()
}

#[fallback(|_| Ok(connection.0))]
#[timeout(1s)]
#[retry]
#[retry(allow_order)]
async fn lent_in_a_stack(mut connection: Connection) -> io::Result<u32> {
    connection.call_async().await
}

#[fallback(other)]
async fn lent_below_a_fallback(mut connection: Connection) -> io::Result<u32> {
    connection.call_async().await
}

async fn other(mut connection: Connection) -> io::Result<u32> {
    connection.call_async().await
}

#[retry(lend(reader, op))]
fn named(mut reader: impl Read, mut op: impl FnMut(&[u8]) -> io::Result<u32>) -> io::Result<u32> {
    let mut byte = [0];
    let count = reader.read(&mut byte)?;
    op(&byte[..count])
}

#[retry(lend(receiver))]
#[circuit_breaker(name = "lent")]
async fn with_another(receiver: mpsc::Receiver<u8>, text: String) -> io::Result<String> {
    ready(()).await;
    _ = receiver.try_recv();
    Ok(text)
}

#[retry(retry_if = |_| text.len() > 1, on_retry = |_, _, _| drop(text.to_uppercase()))]
#[circuit_breaker(name = "copied", failure_if = |_| !pair.is_empty())]
async fn copied(mut text: String, (pair, _): (String, u8)) -> io::Result<String> {
    text.push('x');
    ready(()).await;
    Ok(text + &String::from(pair))
}

#[retry]
fn changed_before(mut text: String, count: u8) -> impl Future<Output = io::Result<String>> + Send {
    text.push('x');
    let (mut log, mut length) = (Vec::new(), count);
    log.push(count);
    length += 1;
    async move {
        let mut log = log;
        log.push(length);
        Ok(text)
    }
}

fn main() {}
