//! Functions that return a future instead of being `async`, in the source or after the expansion of another macro.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use steadfast::{circuit_breaker, retry};

use crate::Failure;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A server that fails until its call number `succeeds_from`.
#[derive(Debug, Default)]
struct Server {
    calls: AtomicU32,
    succeeds_from: u32,
    log: Vec<u32>,
}

impl Server {
    fn new(succeeds_from: u32) -> Self {
        Self { succeeds_from, ..Self::default() }
    }

    fn call(&self) -> Result<u32, Failure> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call < self.succeeds_from { Err(Failure::Transient(call)) } else { Ok(call) }
    }
}

#[retry(max_attempts = 4, backoff = none)]
#[circuit_breaker(name = "futures", failure_threshold = 100)]
fn impl_future(server: &Server) -> impl Future<Output = Result<u32, Failure>> + Send {
    async move {
        tokio::task::yield_now().await;
        server.call()
    }
}

#[retry(max_attempts = 4, backoff = none)]
fn impl_future_after_sync_work(server: &Server, text: String) -> impl Future<Output = Result<usize, Failure>> {
    let length = text.len();
    async move { server.call().map(|_| length + text.len()) }
}

#[circuit_breaker(name = "futures", failure_threshold = 100)]
#[retry(max_attempts = 4, backoff = none)]
fn boxed<'a>(
    server: &'a Server,
    text: &'a mut String,
) -> Pin<Box<dyn Future<Output = Result<usize, Failure>> + Send + 'a>> {
    Box::pin(async move {
        text.push('x');
        server.call().map(|_| text.len())
    })
}

#[retry(max_attempts = 4, backoff = none)]
fn boxed_after_sync_work(
    server: Arc<Server>,
    early: bool,
) -> Pin<Box<dyn Future<Output = Result<u32, Failure>> + Send>> {
    if early {
        return Box::pin(std::future::ready(Ok(0)));
    }
    Box::pin(async move { server.call() })
}

/// An alias of the boxed future. The macro recognises the name of the alias, and takes its last parameter as the output.
type BoxFuture<'a, T> = Boxed<'a, T>;

#[retry(max_attempts = 4, backoff = none)]
fn by_alias(server: &Server) -> BoxFuture<'_, Result<u32, Failure>> {
    Box::pin(async { server.call() })
}

#[tokio::test]
async fn functions_that_return_futures_are_retried() {
    assert_eq!(impl_future(&Server::new(3)).await, Ok(3));
    assert_eq!(impl_future_after_sync_work(&Server::new(3), "abc".to_owned()).await, Ok(6));
    let mut text = String::new();
    assert_eq!(boxed(&Server::new(3), &mut text).await, Ok(3));
    assert_eq!(text, "xxx");
    assert_eq!(boxed_after_sync_work(Arc::new(Server::new(3)), false).await, Ok(3));
    assert_eq!(boxed_after_sync_work(Arc::new(Server::new(3)), true).await, Ok(0));
    assert_eq!(by_alias(&Server::new(3)).await, Ok(3));
}

thread_local!(static STARTED: Cell<u32> = const { Cell::new(0) });

fn start() -> u32 {
    STARTED.set(STARTED.get() + 1);
    STARTED.get()
}

/// Functions with statements before the `async` block, as they are written to move less than `self` into the future.
#[derive(Clone, Default)]
struct Sender {
    server: Arc<Server>,
    prefix: String,
}

impl Sender {
    fn new() -> Self {
        Self { server: Arc::new(Server::new(3)), prefix: "ab".to_owned() }
    }

    #[retry(max_attempts = 3, backoff = none)]
    fn borrows(&self, text: &str) -> impl Future<Output = Result<usize, Failure>> + Send + use<> {
        start();
        let (server, length) = (self.server.clone(), text.len());
        async move { server.call().map(|call| call as usize + length) }
    }

    #[retry(max_attempts = 3, backoff = none)]
    #[circuit_breaker(name = "leading", failure_threshold = 100)]
    fn moves(&self, text: String) -> Pin<Box<dyn Future<Output = Result<usize, Failure>> + Send>> {
        start();
        let server = self.server.clone();
        let mut text = text + &self.prefix;
        text.push('c');
        Box::pin(async move {
            text.push('d');
            take(text.clone());
            let length = text.len();
            take(text);
            server.call().map(|call| call as usize + length)
        })
    }

    #[circuit_breaker(name = "leading", failure_threshold = 100)]
    #[retry(max_attempts = 3, backoff = none)]
    fn mutates<'a>(&'a mut self, log: &'a mut Vec<u32>) -> BoxFuture<'a, Result<u32, Failure>> {
        let first = start();
        let prefix = &mut self.prefix;
        let server = &self.server;
        log.push(first);
        Box::pin(async move {
            log.push(0);
            change(prefix);
            server.call()
        })
    }

    #[retry(max_attempts = 3, backoff = none)]
    fn gives_itself(self) -> impl Future<Output = Result<u32, Failure>> {
        let this = self;
        start();
        async move { this.server.call() }
    }

    #[circuit_breaker(name = "leading, by key", key = id, failure_if = |_| id > 0)]
    fn shadows_a_key(&self, id: u32) -> impl Future<Output = Result<usize, Failure>> {
        let id = id.to_string();
        let server = self.server.clone();
        async move { server.call().map(|_| id.len()) }
    }
}

fn change(text: &mut String) {
    text.push('x');
}

#[tokio::test]
async fn statements_before_the_async_block_run_once_at_the_call() {
    STARTED.set(0);
    let sender = Sender::new();
    let call = sender.borrows("abc");
    assert_eq!(STARTED.get(), 1, "before the first poll");
    drop(sender);
    assert_eq!(call.await, Ok(6));
    assert_eq!(
        Sender::new().moves("a".to_owned()).await,
        Ok(8),
        "each attempt starts with the value that the statements left"
    );
    let (mut sender, mut log) = (Sender::new(), Vec::new());
    assert_eq!(sender.mutates(&mut log).await, Ok(3));
    assert_eq!((sender.prefix, log), ("abxxx".to_owned(), vec![3, 0, 0, 0]));
    assert_eq!(Sender::new().gives_itself().await, Ok(3));
    assert_eq!(STARTED.get(), 4);
    assert!(Sender::new().shadows_a_key(7).await.is_err(), "the key is the argument, not the variable");
}

#[async_trait::async_trait]
trait Fetch {
    async fn by_reference(&self, text: &str) -> Result<usize, Failure>;
    async fn by_mut(&mut self, times: &mut Vec<u32>) -> Result<u32, Failure>;
    async fn owned(&self, text: String, pair: (String, u32)) -> Result<usize, Failure>;
    async fn modified(&self, count: u32) -> Result<u32, Failure>;
    async fn consumed(self) -> Result<u32, Failure>;
    async fn shared(self: Arc<Self>) -> Result<u32, Failure>;

    #[retry(max_attempts = 4, backoff = none)]
    async fn provided(&self) -> Result<usize, Failure> {
        self.by_reference("").await
    }
}

#[derive(Clone, Debug)]
struct Client(Arc<Server>, Arc<Mutex<Vec<u32>>>);

impl Client {
    fn new(succeeds_from: u32) -> Self {
        Self(Arc::new(Server::new(succeeds_from)), Arc::default())
    }
}

/// Drops its argument.
fn take<T>(_: T) {}

#[async_trait::async_trait]
impl Fetch for Client {
    #[retry(max_attempts = 4, backoff = none)]
    #[circuit_breaker(name = "async trait", failure_threshold = 100)]
    async fn by_reference(&self, text: &str) -> Result<usize, Failure> {
        let call = self.0.call()?;
        Ok(text.len() + call as usize)
    }

    #[circuit_breaker(name = "async trait", failure_threshold = 100)]
    #[retry(max_attempts = 4, backoff = none)]
    async fn by_mut(&mut self, times: &mut Vec<u32>) -> Result<u32, Failure> {
        times.push(1);
        self.1.lock().unwrap().push(1);
        self.0.call()
    }

    #[retry(max_attempts = 4, backoff = none)]
    async fn owned(&self, text: String, (name, number): (String, u32)) -> Result<usize, Failure> {
        let length = text.len() + name.len() + number as usize;
        take(text);
        take(name);
        self.0.call().map(|_| length)
    }

    #[retry(max_attempts = 4, backoff = none)]
    async fn modified(&self, mut count: u32) -> Result<u32, Failure> {
        count += 1;
        self.0.call().map(|_| count)
    }

    #[retry(max_attempts = 4, backoff = none)]
    async fn consumed(self) -> Result<u32, Failure> {
        let result = self.0.call();
        take(self);
        result
    }

    #[retry(max_attempts = 4, backoff = none)]
    async fn shared(self: Arc<Self>) -> Result<u32, Failure> {
        self.0.call()
    }
}

#[tokio::test]
async fn methods_under_async_trait_are_retried() {
    assert_eq!(Client::new(3).by_reference("abc").await, Ok(6));
    let mut times = Vec::new();
    assert_eq!(Client::new(3).by_mut(&mut times).await, Ok(3));
    assert_eq!(times, [1, 1, 1]);
    assert_eq!(Client::new(3).owned("abc".to_owned(), ("de".to_owned(), 5)).await, Ok(10));
    assert_eq!(Client::new(3).modified(7).await, Ok(8), "each attempt starts from the original value");
    assert_eq!(Client::new(3).consumed().await, Ok(3));
    assert_eq!(Arc::new(Client::new(3)).shared().await, Ok(3));
    assert_eq!(Client::new(3).provided().await, Ok(3));
    let spawned = tokio::spawn(async { Client::new(3).by_reference("abc").await });
    assert_eq!(spawned.await.unwrap(), Ok(6), "the future stays Send");
}

#[tracing::instrument]
#[retry(max_attempts = 4, backoff = none)]
#[circuit_breaker(name = "instrumented", failure_threshold = 100)]
async fn instrumented_above(server: &Server, text: String) -> Result<usize, Failure> {
    server.call().map(|_| text.len())
}

#[retry(max_attempts = 4, backoff = none)]
#[tracing::instrument]
#[circuit_breaker(name = "instrumented", failure_threshold = 100)]
async fn instrumented_between(server: &Server, times: &mut Vec<u32>) -> Result<usize, Failure> {
    times.push(1);
    server.call().map(|_| times.len())
}

#[tracing::instrument]
#[retry(max_attempts = 4, backoff = none)]
async fn instrumented_with_a_mutable_argument(server: &Server, times: &mut Vec<u32>) -> Result<usize, Failure> {
    times.push(1);
    server.call().map(|_| times.len())
}

#[tracing::instrument]
#[retry(max_attempts = 4, backoff = none)]
fn instrumented_sync(server: &Server, mut text: String) -> Result<usize, Failure> {
    text.push('x');
    server.call().map(|_| text.len())
}

impl Server {
    #[tracing::instrument]
    #[retry(max_attempts = 4, backoff = none)]
    async fn instrumented(&self) -> Result<u32, Failure> {
        self.call()
    }

    #[retry(max_attempts = 4, backoff = none)]
    #[tracing::instrument]
    async fn instrumented_mut(&mut self) -> Result<u32, Failure> {
        self.log.push(1);
        self.call()
    }
}

#[tokio::test]
async fn attributes_combine_with_instrument_in_either_order() {
    assert_eq!(instrumented_above(&Server::new(3), "abc".to_owned()).await, Ok(3));
    assert_eq!(instrumented_between(&Server::new(3), &mut Vec::new()).await, Ok(3));
    assert_eq!(instrumented_with_a_mutable_argument(&Server::new(3), &mut Vec::new()).await, Ok(3));
    assert_eq!(instrumented_sync(&Server::new(3), "abc".to_owned()), Ok(4));
    assert_eq!(Server::new(3).instrumented().await, Ok(3));
    assert_eq!(Server::new(3).instrumented_mut().await, Ok(3));
}
