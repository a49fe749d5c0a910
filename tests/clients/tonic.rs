//! Statuses of `tonic`.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::uri::PathAndQuery;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, RateLimit, RateLimitConfig, RateLimited, Transient as _};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Endpoint,
};

use crate::{
    http2 as http2_failures,
    peers::{closing, refusing, resetting, server, silent},
    table::{PERMANENT, TRANSIENT, Verdict, assert_rows, assert_verdict},
};

/// Returns a rejection with a `retry_after`.
fn rejection() -> CircuitOpen {
    let breaker = CircuitBreaker::new("down", BreakerConfig::new().failure_threshold(1));
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().expect_err("open")
}

/// A codec of empty messages.
#[derive(Default)]
struct Empty;

impl Codec for Empty {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Empty {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Empty {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

pub(crate) async fn call(endpoint: Endpoint) -> Status {
    let mut client = Grpc::new(endpoint.connect_lazy());
    client.ready().await.unwrap();
    client.unary(Request::new(()), PathAndQuery::from_static("/payments.Payments/Charge"), Empty).await.unwrap_err()
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// Starts a server that answers every call with the status that `status` returns.
async fn answering(status: fn() -> Status) -> SocketAddr {
    server(move |connection| async move {
        let answer = service_fn(move |_| async move { Ok::<_, Infallible>(status().into_http::<String>()) });
        _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), answer).await;
    })
    .await
}

fn pushing_back(code: Code, wait: &'static str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", wait.parse().unwrap());
    Status::with_metadata(code, "busy", metadata)
}

/// Details with a `google.rpc.RetryInfo` of 1.5 s, which the crate `tonic-types` encoded.
const DETAILS: &[u8] = b"\x08\x08\x12\x04busy\x1a6\x0a(type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";

fn with_retry_info(code: Code) -> Status {
    Status::with_details(code, "busy", DETAILS.into())
}

fn with_both(wait: &'static str) -> Status {
    let metadata = pushing_back(Code::ResourceExhausted, wait).metadata().clone();
    Status::with_details_and_metadata(Code::ResourceExhausted, "busy", DETAILS.into(), metadata)
}

fn unresolvable() -> Endpoint {
    Endpoint::from_shared(format!("http://{}.invalid", "x".repeat(64))).unwrap()
}

#[tokio::test]
async fn each_row_of_tonic_is_checked() {
    type Make = fn() -> Status;

    let statuses: [(&str, Make); 11] = [
        ("UNAVAILABLE", || Status::unavailable("")),
        ("DEADLINE_EXCEEDED", || Status::deadline_exceeded("")),
        ("RESOURCE_EXHAUSTED with RetryInfo", || with_retry_info(Code::ResourceExhausted)),
        ("RESOURCE_EXHAUSTED with grpc-retry-pushback-ms", || pushing_back(Code::ResourceExhausted, "250")),
        ("RESOURCE_EXHAUSTED without a hint", || Status::resource_exhausted("")),
        ("grpc-retry-pushback-ms that is negative", || pushing_back(Code::Unavailable, "-1")),
        ("ABORTED", || Status::aborted("")),
        ("CANCELLED by the server", || Status::cancelled("")),
        ("INTERNAL by the server", || Status::internal("")),
        ("UNKNOWN by the server", || Status::unknown("")),
        ("any other status", || Status::invalid_argument("")),
    ];
    let mut errors = http2_failures::tonic_errors().await;
    for (failure, status) in statuses {
        errors.push((failure, call(endpoint(answering(status).await)).await));
    }
    errors.push(("connection refused", call(endpoint(refusing())).await));
    errors.push(("name not resolved", call(unresolvable()).await));
    errors.push(("timeout", call(endpoint(silent().await).timeout(Duration::from_millis(1))).await));
    assert_rows("tonic", errors);
}

#[tokio::test]
async fn a_status_is_transient_or_permanent_by_its_code_and_pushback() {
    const WAIT: Duration = Duration::from_millis(250);
    const DELAY: Duration = Duration::from_millis(1_500);

    type Make = fn() -> Status;

    let checks: [(&str, Make, Verdict); 15] = [
        ("unauthenticated", || Status::unauthenticated(""), PERMANENT),
        ("pushback", || pushing_back(Code::Unavailable, "250"), (true, Some(WAIT))),
        ("pushback of zero", || pushing_back(Code::Unavailable, "0"), (true, Some(Duration::ZERO))),
        ("negative pushback", || pushing_back(Code::Unavailable, "-1"), PERMANENT),
        ("pushback that is not a number", || pushing_back(Code::Unavailable, "soon"), PERMANENT),
        ("pushback with a permanent status", || pushing_back(Code::NotFound, "250"), (false, Some(WAIT))),
        ("exhausted, pushback", || pushing_back(Code::ResourceExhausted, "250"), (true, Some(WAIT))),
        ("exhausted, negative pushback", || pushing_back(Code::ResourceExhausted, "-1"), PERMANENT),
        ("exhausted, retry info", || with_retry_info(Code::ResourceExhausted), (true, Some(DELAY))),
        ("unavailable, retry info", || with_retry_info(Code::Unavailable), (true, Some(DELAY))),
        ("permanent, retry info", || with_retry_info(Code::NotFound), (false, Some(DELAY))),
        ("retry info and pushback", || with_both("250"), (true, Some(WAIT))),
        ("retry info and negative pushback", || with_both("-1"), PERMANENT),
        ("exhausted, garbage", || Status::with_details(Code::ResourceExhausted, "", b"garbage"[..].into()), PERMANENT),
        ("the server's own circuit", || rejection().into(), TRANSIENT),
    ];
    for (name, status, expected) in checks {
        assert_verdict(call(endpoint(answering(status).await)).await, expected, name);
    }
}

#[tokio::test]
async fn a_broken_connection_is_transient() {
    let checks = [("reset", resetting().await), ("closed", closing().await)];
    for (name, address) in checks {
        assert_verdict(call(endpoint(address)).await, TRANSIENT, name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_transient() {
    let status = call(endpoint(silent().await).timeout(Duration::from_secs(5))).await;
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    assert_verdict(status, TRANSIENT, "timeout");
}

#[test]
fn a_rejection_becomes_a_permanent_status_with_its_hint() {
    let open = rejection();
    let (text, wait) = (open.to_string(), open.retry_after());
    let status = Status::from(open);
    assert_eq!((status.code(), status.message()), (Code::Unavailable, text.as_str()));
    assert!(std::error::Error::source(&status).unwrap().is::<CircuitOpen>());
    assert!(wait.is_some());
    assert_verdict(status, (false, wait), "rejection");
}

fn limited() -> RateLimited {
    let limit = RateLimit::new("quota", RateLimitConfig::new(1, Duration::from_hours(1)));
    limit.try_acquire().unwrap();
    limit.try_acquire().unwrap_err()
}

#[tokio::test]
async fn a_rate_limit_tells_the_client_of_the_server_when_to_retry() {
    let rejection = limited();
    let wait = rejection.retry_after();
    let status = Status::from(rejection);
    assert_eq!(status.retry_after().unwrap().as_millis(), wait.as_nanos().div_ceil(1_000_000));
    assert!(status.is_transient() && status.is_rejection());

    let received = call(endpoint(answering(|| limited().into()).await)).await;
    assert!(received.is_transient() && !received.is_rejection());
    let wait = received.retry_after().unwrap();
    assert!(wait > Duration::from_mins(59) && wait <= Duration::from_hours(1), "{wait:?}");
}
