//! Arguments that each attempt borrows mutably, because they are not `Clone`: by `lend(...)`, or because the body only borrows them.

#![allow(clippy::unused_async, reason = "some functions must be `async` for the attribute under test")]

use std::{
    io::{self, Read},
    sync::Arc,
};

use steadfast::{circuit_breaker, fallback, retry, timeout};
use tokio::task::yield_now;

type Answer<T> = io::Result<T>;

/// A connection that is neither `Clone` nor `Sync`. Its calls fail until the third.
#[derive(Default)]
struct Connection {
    calls: std::cell::Cell<u32>,
    log: Vec<u32>,
}

impl Connection {
    fn call(&mut self) -> Answer<u32> {
        self.calls.set(self.calls.get() + 1);
        self.log.push(self.calls.get());
        if self.calls.get() < 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(self.calls.get()) }
    }
}

fn pass_on(connection: &mut Connection) -> Answer<u32> {
    connection.call()
}

#[retry(max_attempts = 3, backoff = none, lend(op))]
fn callback(mut op: impl FnMut() -> Answer<u32>) -> Answer<u32> {
    op()
}

#[retry(max_attempts = 3, backoff = none, lend(op, reader))]
async fn callback_and_reader<R: Read>(mut op: impl AsyncFnMut() -> Answer<u32>, mut reader: R) -> Answer<(u32, u8)> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok((op().await?, byte[0]))
}

#[retry(max_attempts = 3, backoff = none, lend(connection))]
fn without_mut(connection: Connection) -> Answer<u32> {
    pass_on(connection)
}

#[fallback(|_| Ok(connection.calls.get()))]
#[timeout(10s)]
#[retry(max_attempts = 2, backoff = none, lend(connection), retry_if = |_| connection.log.len() < 3)]
#[circuit_breaker(name = "lent", failure_threshold = 1_000, hung_call = 1s)]
async fn stacked(connection: Connection) -> Answer<u32> {
    yield_now().await;
    pass_on(connection)
}

#[retry(max_attempts = 1, lend(connection))]
async fn once(connection: Connection) -> Answer<u32> {
    yield_now().await;
    pass_on(connection)
}

#[retry(max_attempts = 2, backoff = none, lend(connection))]
#[retry(max_attempts = 2, backoff = none, allow_order)]
fn by_two_retries((connection, _): (Connection, u8)) -> Answer<u32> {
    connection.call()
}

struct Client;

#[async_trait::async_trait]
trait Calls {
    async fn lends(&self, connection: Connection) -> Answer<u32>;
    async fn borrows(&self, mut connection: Connection) -> Answer<u32>;
}

#[async_trait::async_trait]
impl Calls for Client {
    #[retry(max_attempts = 3, backoff = none, lend(connection))]
    async fn lends(&self, connection: Connection) -> Answer<u32> {
        yield_now().await;
        connection.call()
    }

    #[retry(max_attempts = 3, backoff = none)]
    async fn borrows(&self, mut connection: Connection) -> Answer<u32> {
        yield_now().await;
        connection.call()
    }
}

#[tokio::test]
async fn a_lent_argument_is_borrowed_by_each_attempt() {
    let mut connection = Connection::default();
    assert_eq!(callback(|| connection.call()).unwrap(), 3);
    let mut connection = Connection::default();
    assert_eq!(callback_and_reader(async || connection.call(), &b"abc"[..]).await.unwrap(), (3, b'c'));
    assert_eq!(without_mut(Connection::default()).unwrap(), 3);
    assert_eq!(
        tokio::spawn(stacked(Connection::default())).await.unwrap().unwrap(),
        2,
        "the closure borrows it as well"
    );
    assert!(once(Connection::default()).await.is_err());
    assert_eq!(by_two_retries((Connection::default(), 1)).unwrap(), 3);
    assert_eq!(Client.lends(Connection::default()).await.unwrap(), 3);
}

#[retry(max_attempts = 3, backoff = none)]
fn calls(mut connection: Connection) -> Answer<u32> {
    connection.call()
}

#[retry(max_attempts = 3, backoff = none)]
async fn passes_on(mut connection: Connection, Wrapped(mut other): Wrapped) -> Answer<u32> {
    yield_now().await;
    other.log.push(1);
    pass_on(&mut connection)
}

struct Wrapped(Connection);

#[fallback(cached)]
#[retry(max_attempts = 2, backoff = none)]
async fn with_fallback(mut connection: Connection) -> Answer<u32> {
    yield_now().await;
    connection.call()
}

async fn cached(connection: Connection) -> Answer<u32> {
    Ok(connection.calls.get() * 10)
}

#[retry(max_attempts = 3, backoff = none)]
fn boxed(mut op: Box<dyn FnMut() -> Answer<u32> + Send>) -> Answer<u32> {
    op()
}

#[allow(clippy::needless_pass_by_value, reason = "an owned argument that the body borrows")]
#[retry(max_attempts = 3, backoff = none)]
fn cloned(mut log: Vec<u32>, connection: &mut Connection, shared: Arc<u8>) -> Answer<usize> {
    log.push(u32::from(*shared));
    connection.call().map(|_| log.len())
}

#[tokio::test]
async fn a_mut_argument_that_is_not_clone_and_that_the_body_only_borrows_is_lent() {
    assert_eq!(calls(Connection::default()).unwrap(), 3);
    assert_eq!(passes_on(Connection::default(), Wrapped(Connection::default())).await.unwrap(), 3);
    assert_eq!(with_fallback(Connection::default()).await.unwrap(), 20);
    assert_eq!(Client.borrows(Connection::default()).await.unwrap(), 3);
    let mut connection = Connection::default();
    assert_eq!(boxed(Box::new(move || connection.call())).unwrap(), 3);
    assert_eq!(
        cloned(Vec::new(), &mut Connection::default(), Arc::default()).unwrap(),
        1,
        "a `Clone` starts from the caller's value"
    );
}
