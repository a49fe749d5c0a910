//! The future of an annotated function is `Send` if that of the plain function is: arguments must be `Send`, but not `Sync`.
//!
//! A failure of these tests is a compile error.

#![allow(clippy::all, clippy::pedantic, reason = "code as users write it, not the best code")]

use std::{
    cell::Cell,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, mpsc},
};

use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, bulkhead, circuit_breaker, fallback, rate_limit, retry,
    timeout,
};
use tokio::task::yield_now;

/// A type that is `Send`, but neither `Sync` nor `Clone`.
#[derive(Default)]
struct Request {
    body: Cell<u8>,
    tag: Cell<u8>,
}

impl Request {
    fn get(&self) -> u8 {
        self.body.get()
    }
}

struct Extract(Request);

struct Named {
    request: Request,
    #[expect(dead_code, reason = "left out by the pattern")]
    rest: u8,
}

type Answer = io::Result<u8>;
type Callback = Box<dyn Fn() -> u8 + Send>;

fn is_send<T: Send>(value: T) {
    drop(value);
}

macro_rules! sends {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])* async fn owned(request: Request, other: Request) -> Answer { yield_now().await; Ok(request.get() + other.get()) }
            $(#[$attribute])* async fn in_part(request: Request) -> Answer { yield_now().await; Ok(request.tag.get()) }
            $(#[$attribute])* async fn moved(cell: Cell<u8>) -> Answer { yield_now().await; Ok(cell.into_inner()) }
            $(#[$attribute])* async fn changed(mut cell: Cell<u8>) -> Answer { *cell.get_mut() = 1; yield_now().await; Ok(cell.get()) }
            $(#[$attribute])* async fn callback(call: Callback) -> Answer { yield_now().await; Ok(call()) }
            $(#[$attribute])* async fn hidden(call: impl Fn() -> u8 + Send) -> Answer { yield_now().await; Ok(call()) }
            $(#[$attribute])* async fn generic<T: Into<u8> + Copy + Send>(first: T, second: T) -> Answer { yield_now().await; Ok(first.into() + second.into()) }
            $(#[$attribute])* async fn read(request: &mut Request) -> Answer { yield_now().await; Ok(request.get()) }
            $(#[$attribute])* async fn written(request: &mut Request) -> Answer { *request.body.get_mut() += 1; yield_now().await; Ok(request.get()) }
            $(#[$attribute])* async fn passed_on(request: &mut Request) -> Answer { yield_now().await; super::take(request).await }
            $(#[$attribute])* async fn tuple((first, second): (Request, Request)) -> Answer { yield_now().await; Ok(first.get() + second.get()) }
            $(#[$attribute])* async fn unused(_request: Request, _: Request) -> Answer { yield_now().await; Ok(1) }
            $(#[$attribute])* async fn early(request: Request, flag: bool) -> Answer { if flag { return Ok(1); } yield_now().await; Ok(request.get()) }
            $(#[$attribute])* fn future(request: Request) -> impl Future<Output = Answer> + Send { async move { yield_now().await; Ok(request.get()) } }
            $(#[$attribute])* fn boxed(request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send>> { Box::pin(async move { yield_now().await; Ok(request.get()) }) }
            $(#[$attribute])* fn borrowing(request: &mut Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> { Box::pin(async move { yield_now().await; Ok(request.get()) }) }

            $(#[$attribute])* async fn boxed_mut(mut call: Box<dyn FnMut() -> u8 + Send>) -> Answer { yield_now().await; Ok(call()) }
            $(#[$attribute])* async fn callback_mut(call: &mut (dyn FnMut() -> u8 + Send)) -> Answer { yield_now().await; Ok(call()) }
            $(#[$attribute])* async fn receiver(receiver: mpsc::Receiver<u8>) -> Answer { yield_now().await; Ok(receiver.try_recv().unwrap_or(1)) }
            $(#[$attribute])* async fn receiver_mut(receiver: &mut mpsc::Receiver<u8>) -> Answer { yield_now().await; Ok(receiver.try_iter().count() as u8) }
            $(#[$attribute])* async fn extracted(Extract(request): Extract, Named { request: other, .. }: Named) -> Answer { yield_now().await; Ok(request.get() + other.get()) }
            $(#[$attribute])* async fn generic_mut<T: Send>(first: &mut Cell<T>, second: Cell<T>) -> Answer { yield_now().await; first.swap(&second); Ok(1) }
            $(#[$attribute])* async fn owned_with_lifetime<'a>(request: Pin<&'a mut Request>, text: &'a str) -> Answer { yield_now().await; Ok(request.get() + text.len() as u8) }
            $(#[$attribute])* async fn http(request: axum::extract::Request) -> Answer { yield_now().await; Ok(request.uri().path().len() as u8) }
            $(#[$attribute])* fn leading(request: Request, other: Request) -> impl Future<Output = Answer> + Send { let cell = Cell::new(other.get()); async move { yield_now().await; Ok(request.get() + cell.get()) } }

            pub(super) struct Client(Request);

            impl Client {
                $(#[$attribute])* async fn by_value(self) -> Answer { yield_now().await; Ok(self.0.get()) }
                $(#[$attribute])* async fn by_mut(&mut self, request: Request) -> Answer { yield_now().await; Ok(self.0.get() + request.get()) }
                $(#[$attribute])* async fn by_box(self: Box<Self>) -> Answer { yield_now().await; Ok(self.0.get()) }
                $(#[$attribute])* async fn by_pin(self: Pin<&mut Self>) -> Answer { yield_now().await; Ok(self.0.get()) }
            }

            #[async_trait::async_trait]
            trait Calls {
                async fn by_value(self, request: Request) -> Answer;
                async fn by_mut(&mut self, (first, second): (Request, Request)) -> Answer;
            }

            #[async_trait::async_trait]
            impl Calls for Client {
                $(#[$attribute])* async fn by_value(self, request: Request) -> Answer { yield_now().await; Ok(self.0.get() + request.get()) }
                $(#[$attribute])* async fn by_mut(&mut self, (first, second): (Request, Request)) -> Answer { yield_now().await; Ok(self.0.get() + first.get() + second.get()) }
            }

            pub(super) fn are_send() {
                let request = Request::default;
                let client = || Client(Request::default());
                is_send(owned(request(), request()));
                is_send(in_part(request()));
                is_send(moved(Cell::new(1)));
                is_send(changed(Cell::new(1)));
                is_send(callback(Box::new(|| 1)));
                is_send(hidden(|| 1));
                is_send(generic(1, 2));
                is_send(read(&mut request()));
                is_send(written(&mut request()));
                is_send(passed_on(&mut request()));
                is_send(tuple((request(), request())));
                is_send(unused(request(), request()));
                is_send(early(request(), true));
                is_send(future(request()));
                is_send(boxed(request()));
                is_send(borrowing(&mut request()));
                is_send(boxed_mut(Box::new(|| 1)));
                is_send(callback_mut(&mut || 1));
                is_send(receiver(mpsc::channel().1));
                is_send(receiver_mut(&mut mpsc::channel().1));
                is_send(extracted(Extract(request()), Named { request: request(), rest: 1 }));
                is_send(generic_mut(&mut Cell::new(1), Cell::new(2)));
                is_send(owned_with_lifetime(Pin::new(&mut request()), ""));
                is_send(http(axum::extract::Request::default()));
                is_send(leading(request(), request()));
                is_send(client().by_value());
                is_send(client().by_mut(request()));
                is_send(Box::new(client()).by_box());
                is_send(Box::pin(client()).as_mut().by_pin());
                is_send(Calls::by_value(client(), request()));
                is_send(Calls::by_mut(&mut client(), (request(), request())));
            }
        }
    };
}

async fn take(request: &mut Request) -> Answer {
    Ok(request.get())
}

sends!(plain:);
sends!(retried: #[retry]);
sends!(retried_once: #[retry(max_attempts = 1)]);
sends!(behind_breaker: #[circuit_breaker(name = "sends")]);
sends!(with_timeout: #[timeout(1s)]);
sends!(with_fallback: #[fallback(|_| Ok(1))]);
sends!(behind_rate_limit: #[rate_limit(name = "sends", limit = 10, per = 1s)]);
sends!(behind_bulkhead: #[bulkhead(name = "sends", max_concurrent = 10)]);
sends!(stacked:
    #[fallback(|error| Err(error))]
    #[timeout(10s)]
    #[retry(on_retry = |_, _, _| {})]
    #[circuit_breaker(name = "sends, stacked", failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    #[rate_limit(name = "sends", limit = 10, per = 1s)]
    #[bulkhead(name = "sends", max_concurrent = 10)]
    #[timeout(1s)]
);

sends!(by_two_retries: #[retry] #[retry(retry_if = |_| true, allow_order)]);
sends!(breaker_over_retry: #[circuit_breaker(name = "sends")] #[retry(max_elapsed = 10s)]);
sends!(timeout_over_fallback: #[timeout(1s)] #[fallback(|_| Ok(1), if(io::Error))]);

// Arguments that the attributes use as well.

#[circuit_breaker(name = "sends, condition", failure_if = |_| cell.get() > 0)]
async fn used_by_condition(cell: Cell<u8>, request: Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get())
}

#[retry(retry_if = |_| cell.get() > 0, on_retry = |_, _, _| cell.set(0))]
#[circuit_breaker(name = "sends, retried", failure_if = |_| request.get() > 0)]
async fn used_by_two_conditions(cell: Cell<u8>, request: Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get())
}

#[circuit_breaker(name = "sends, by key", key = cell.get())]
#[rate_limit(name = "sends, by key", limit = 10, per = 1s, key = request.get())]
async fn by_key(cell: Cell<u8>, request: Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get())
}

#[fallback(cached)]
async fn with_function(cell: Cell<u8>, request: Request, count: &mut Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get() + count.get())
}

#[fallback(|_| Ok(cell.get()), if = |_| request.get() > 0)]
async fn with_closure(cell: Cell<u8>, request: Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get())
}

#[fallback(|cell, request, _| Ok(cell.get() + request.get()))]
async fn with_closure_of_all(cell: Cell<u8>, request: Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get())
}

async fn cached(cell: Cell<u8>, request: Request, count: &mut Request) -> Answer {
    yield_now().await;
    Ok(cell.get() + request.get() + count.get())
}

struct Store(Request);

impl Store {
    #[fallback(self.cached)]
    #[timeout(1s)]
    async fn get(&mut self, request: Request) -> Answer {
        yield_now().await;
        Ok(self.0.get() + request.get())
    }

    async fn cached(&mut self, request: Request) -> Answer {
        yield_now().await;
        Ok(self.0.get() + request.get())
    }
}

/// A service that is `Send`, but not `Sync`, and shares its policies.
struct Service {
    calls: Cell<u8>,
    breaker: Arc<CircuitBreaker>,
    bulkhead: Arc<Bulkhead>,
}

impl Service {
    fn new() -> Self {
        Self {
            calls: Cell::new(0),
            breaker: Arc::new(CircuitBreaker::new("send", BreakerConfig::new())),
            bulkhead: Arc::new(Bulkhead::new("send", BulkheadConfig::new())),
        }
    }

    #[circuit_breaker(breaker = self.breaker.clone())]
    async fn shared_breaker(&mut self) -> Answer {
        yield_now().await;
        self.calls.set(2);
        Ok(1)
    }

    #[circuit_breaker(breaker = Arc::clone(&self.breaker))]
    #[bulkhead(bulkhead = self.bulkhead.clone())]
    #[retry]
    async fn shared_bulkhead(&mut self) -> Answer {
        yield_now().await;
        self.calls.set(2);
        Ok(1)
    }
}

#[circuit_breaker(breaker = service.breaker.clone())]
#[retry]
async fn owned_service(service: Service) -> Answer {
    yield_now().await;
    service.calls.set(2);
    Ok(1)
}

#[test]
fn a_future_is_send_if_a_breaker_is_cloned_out_of_an_argument() {
    is_send(Service::new().shared_breaker());
    is_send(Service::new().shared_bulkhead());
    is_send(owned_service(Service::new()));
}

#[test]
fn a_future_is_send_if_its_arguments_are() {
    plain::are_send();
    retried::are_send();
    retried_once::are_send();
    behind_breaker::are_send();
    with_timeout::are_send();
    with_fallback::are_send();
    behind_rate_limit::are_send();
    behind_bulkhead::are_send();
    stacked::are_send();
    by_two_retries::are_send();
    breaker_over_retry::are_send();
    timeout_over_fallback::are_send();
    let request = Request::default;
    is_send(used_by_condition(Cell::new(1), request()));
    is_send(used_by_two_conditions(Cell::new(1), request()));
    is_send(by_key(Cell::new(1), request()));
    is_send(with_function(Cell::new(1), request(), &mut request()));
    is_send(with_closure(Cell::new(1), request()));
    is_send(with_closure_of_all(Cell::new(1), request()));
    is_send(Store(request()).get(request()));
}
