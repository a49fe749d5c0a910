//! Attributes of other crates above and below those of steadfast: the functions compile, and each attribute covers what the documentation says.
//!
//! Most of these attributes parse the whole function, so that the code that steadfast generates has to suit their parser.

#![allow(clippy::all, clippy::pedantic, reason = "code as users write it, not the best code")]

use std::future::Future;

use async_recursion::async_recursion;
use axum::{
    body::to_bytes,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use cached::macros::cached;
use steadfast::{
    BulkheadFull, CircuitOpen, RateLimited, TimedOut, Transient, bulkhead, circuit_breaker, fallback, rate_limit,
    retry, timeout,
};
use tokio::task::yield_now;
use tracing::instrument;

#[derive(Clone, Debug, thiserror::Error, Transient)]
enum Failure {
    #[error("call {0}")]
    #[transient]
    Call(u32),
    #[error(transparent)]
    Open(#[from] CircuitOpen),
    #[error(transparent)]
    #[transient(inherit)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    #[transient(inherit)]
    Limited(#[from] RateLimited),
    #[error(transparent)]
    #[transient(inherit)]
    Full(#[from] BulkheadFull),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.to_string().into_response()
    }
}

type Answer<T> = Result<T, Failure>;

/// The functions that `$functions` writes, under each stack.
macro_rules! stacks {
    ($functions:ident) => {
        $functions!(retried: #[retry(backoff = none)]);
        $functions!(behind_breaker: #[circuit_breaker(name = "foreign", failure_threshold = 1_000)]);
        $functions!(with_timeout: #[timeout(10s)]);
        $functions!(with_fallback: #[fallback(|error| Err(error))]);
        $functions!(behind_limit: #[rate_limit(name = "foreign", limit = 100_000, per = 1s)]);
        $functions!(behind_both: #[retry(backoff = none)] #[circuit_breaker(name = "foreign")]);
        $functions!(stacked:
            #[fallback(|error| Err(error))]
            #[timeout(10s)]
            #[retry(backoff = none)]
            #[circuit_breaker(name = "foreign, stacked", failure_threshold = 1_000)]
            #[rate_limit(name = "foreign, stacked", limit = 100_000, per = 1s)]
            #[bulkhead(name = "foreign, stacked", max_concurrent = 1_000)]
            #[timeout(5s)]
        );
    };
}

macro_rules! handlers {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;
            #[axum::debug_handler]
            $(#[$attribute])* pub(super) async fn above(State(state): State<String>, Path(path): Path<String>) -> Answer<String> { yield_now().await; Ok(state + &path) }
            $(#[$attribute])* #[axum::debug_handler]
            pub(super) async fn below(State(state): State<String>, Path(path): Path<String>) -> Answer<String> { yield_now().await; Ok(state + &path) }
            $(#[$attribute])* #[axum::debug_handler]
            pub(super) async fn reads(request: Request) -> Answer<String> { yield_now().await; Ok(request.uri().to_string()) }
            #[cached]
            $(#[$attribute])* pub(super) async fn cached_above(id: u32) -> Answer<u32> { yield_now().await; Ok(id) }
            $(#[$attribute])* #[cached]
            pub(super) async fn cached_below(id: u32) -> Answer<u32> { yield_now().await; Ok(id) }
            #[async_recursion]
            $(#[$attribute])* pub(super) async fn recursive_above(depth: u32) -> Answer<u32> { if depth > 0 { recursive_above(depth - 1).await } else { Ok(depth) } }
            $(#[$attribute])* #[async_recursion]
            pub(super) async fn recursive_below(depth: u32) -> Answer<u32> { if depth > 0 { recursive_below(depth - 1).await } else { Ok(depth) } }
            $(#[$attribute])* #[tokio::test]
            async fn test_below() -> Answer<()> { yield_now().await; Ok(()) }

            pub(super) async fn run() {
                let [state, path] = [|| State("a".to_owned()), || State("b".to_owned())];
                assert_eq!(above(state(), Path(path().0)).await.unwrap(), "ab");
                assert_eq!(below(state(), Path(path().0)).await.unwrap(), "ab");
                assert_eq!(reads(Request::default()).await.unwrap(), "/");
                assert_eq!(cached_above(7).await.unwrap(), 7);
                assert_eq!(cached_below(7).await.unwrap(), 7);
                assert_eq!(recursive_above(2).await.unwrap(), 0);
                assert_eq!(recursive_below(2).await.unwrap(), 0);
            }
        }
    };
}

stacks!(handlers);

#[axum::debug_handler]
#[circuit_breaker(name = "foreign, body", hung_call = 5s)]
#[bulkhead(name = "foreign, body", max_concurrent = 10)]
async fn consumes(request: Request) -> Answer<String> {
    yield_now().await;
    to_bytes(request.into_body(), 100).await.map(|bytes| bytes.len().to_string()).map_err(|_| Failure::Call(0))
}

#[tokio::test]
async fn handlers_caches_and_recursive_functions_compile_above_and_below() {
    retried::run().await;
    behind_breaker::run().await;
    with_timeout::run().await;
    with_fallback::run().await;
    behind_limit::run().await;
    behind_both::run().await;
    stacked::run().await;
    assert_eq!(consumes(Request::new("abc".into())).await.unwrap(), "3");
}

#[async_trait::async_trait]
trait Calls {
    async fn above(&self, text: String, log: &mut Vec<u8>) -> Answer<usize>;
    async fn below(&self, text: String, log: &mut Vec<u8>) -> Answer<usize>;
    async fn error_above(&self, text: String) -> Answer<usize>;
    async fn error_below(&self, text: String) -> Answer<usize>;
    async fn value_below(&self, text: String) -> Answer<usize>;
    async fn all_below(&mut self, text: String) -> Answer<usize>;
}

macro_rules! instrumented {
    ($module:ident: $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;
            #[derive(Debug)] pub(super) struct Client;
            #[instrument] $(#[$attribute])* pub(super) async fn above(text: String, mut log: Vec<u8>) -> Answer<usize> { log.push(1); yield_now().await; Ok(text.len()) }
            $(#[$attribute])* #[instrument] pub(super) async fn below(text: String, mut log: Vec<u8>) -> Answer<usize> { log.push(1); yield_now().await; Ok(text.len()) }
            #[instrument(err, ret, skip(text))] $(#[$attribute])* pub(super) async fn all_above(text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
            $(#[$attribute])* #[instrument(err, ret, skip(text))] pub(super) async fn all_below(text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
            $(#[$attribute])* #[instrument(err, ret, skip_all, fields(length = text.len()))] pub(super) fn future(text: String) -> impl Future<Output = Answer<usize>> { let length = text.len(); async move { yield_now().await; Ok(length) } }

            #[async_trait::async_trait]
            impl Calls for Client {
                #[instrument] $(#[$attribute])* async fn above(&self, text: String, log: &mut Vec<u8>) -> Answer<usize> { log.push(1); yield_now().await; Ok(text.len()) }
                $(#[$attribute])* #[instrument] async fn below(&self, text: String, log: &mut Vec<u8>) -> Answer<usize> { log.push(1); yield_now().await; Ok(text.len()) }
                #[instrument(err)] $(#[$attribute])* async fn error_above(&self, text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
                $(#[$attribute])* #[instrument(err)] async fn error_below(&self, text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
                $(#[$attribute])* #[instrument(ret)] async fn value_below(&self, text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
                $(#[$attribute])* #[instrument(err, ret, skip_all)] async fn all_below(&mut self, text: String) -> Answer<usize> { yield_now().await; Ok(text.len()) }
            }

            pub(super) async fn run() {
                let text = || "abc".to_owned();
                for answer in [
                    above(text(), Vec::new()).await,
                    below(text(), Vec::new()).await,
                    all_above(text()).await,
                    all_below(text()).await,
                    future(text()).await,
                    Client.above(text(), &mut Vec::new()).await,
                    Client.below(text(), &mut Vec::new()).await,
                    Client.error_above(text()).await,
                    Client.error_below(text()).await,
                    Client.value_below(text()).await,
                    Client.all_below(text()).await,
                ] {
                    assert_eq!(answer.unwrap(), 3);
                }
            }
        }
    };
}

mod traced {
    use super::*;
    stacks!(instrumented);

    #[tokio::test]
    async fn instrument_compiles_above_and_below() {
        retried::run().await;
        behind_breaker::run().await;
        with_timeout::run().await;
        with_fallback::run().await;
        behind_limit::run().await;
        behind_both::run().await;
        stacked::run().await;
    }
}

/// `#[logcall]` declares variables with the hygiene of the body, and uses them with that of the call.
macro_rules! logged {
    ($name:ident: $(#[$ours:meta])*) => {
        mod $name {
            use super::*;

            #[logcall::logcall]
            $(#[$ours])*
            fn sync_above(text: String) -> Answer<usize> {
                Ok(text.len())
            }

            $(#[$ours])*
            #[logcall::logcall]
            fn sync_below(text: String) -> Answer<usize> {
                Ok(text.len())
            }

            #[logcall::logcall]
            $(#[$ours])*
            async fn above(text: String) -> Answer<usize> {
                Ok(text.len())
            }

            $(#[$ours])*
            #[logcall::logcall(input = "text = {text}")]
            async fn below(text: String) -> Answer<usize> {
                Ok(text.len())
            }

            pub(super) async fn run() {
                let text = || "abc".to_owned();
                for answer in [sync_above(text()), sync_below(text()), above(text()).await, below(text()).await] {
                    assert_eq!(answer.unwrap(), 3);
                }
            }
        }
    };
}

mod logs {
    use super::*;
    logged!(retried: #[retry(backoff = none)]);
    logged!(behind_breaker: #[circuit_breaker(name = "logged")]);
    logged!(behind_both: #[retry(backoff = none)] #[circuit_breaker(name = "logged")]);

    #[tokio::test]
    async fn logcall_compiles_above_and_below() {
        retried::run().await;
        behind_breaker::run().await;
        behind_both::run().await;
    }
}

mod caches {
    use steadfast::retries;

    use super::*;

    #[retry(name = "cache below", retry_if = any, backoff = none)]
    #[cached]
    fn below(id: u32) -> Answer<u32> {
        Ok(id)
    }

    #[cached]
    #[retry(name = "cache above", retry_if = any, backoff = none)]
    fn above(id: u32) -> Answer<u32> {
        Ok(id)
    }

    /// The number of calls that the retry of that name has made.
    fn calls(name: &str) -> u64 {
        retries().iter().filter(|retry| retry.name == name).map(|retry| retry.calls()).sum()
    }

    #[test]
    fn a_cache_below_answers_before_the_retry_and_one_above_is_part_of_each_attempt() {
        for _ in 0..3 {
            below(7).unwrap();
            above(7).unwrap();
        }
        assert_eq!(calls("cache below"), 1);
        assert!(calls("cache above") >= 3);
    }
}
