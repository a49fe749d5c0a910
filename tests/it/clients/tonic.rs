//! Statuses of `tonic`.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::uri::PathAndQuery;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use steadfast::CircuitOpen;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Endpoint,
};

use super::{PERMANENT, TRANSIENT, Verdict, assert_verdict, closing, refusing, rejection, resetting, server, silent};

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

async fn call(endpoint: Endpoint) -> Status {
    let mut client = Grpc::new(endpoint.connect_lazy());
    client.ready().await.unwrap();
    client.unary(Request::new(()), PathAndQuery::from_static("/payments.Payments/Charge"), Empty).await.unwrap_err()
}

fn endpoint(address: SocketAddr) -> Endpoint {
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

#[tokio::test]
async fn a_status_is_transient_or_permanent_by_its_code_and_pushback() {
    const WAIT: Duration = Duration::from_millis(250);

    type Make = fn() -> Status;

    let checks: [(&str, Make, Verdict); 15] = [
        ("unavailable", || Status::unavailable(""), TRANSIENT),
        ("resource exhausted", || Status::resource_exhausted(""), TRANSIENT),
        ("deadline exceeded", || Status::deadline_exceeded(""), TRANSIENT),
        ("aborted", || Status::aborted(""), PERMANENT),
        ("cancelled", || Status::cancelled(""), PERMANENT),
        ("unknown", || Status::unknown(""), PERMANENT),
        ("internal", || Status::internal(""), PERMANENT),
        ("invalid argument", || Status::invalid_argument(""), PERMANENT),
        ("unauthenticated", || Status::unauthenticated(""), PERMANENT),
        ("pushback", || pushing_back(Code::Unavailable, "250"), (true, Some(WAIT))),
        ("pushback of zero", || pushing_back(Code::Unavailable, "0"), (true, Some(Duration::ZERO))),
        ("negative pushback", || pushing_back(Code::Unavailable, "-1"), PERMANENT),
        ("pushback that is not a number", || pushing_back(Code::Unavailable, "soon"), PERMANENT),
        ("pushback with a permanent status", || pushing_back(Code::NotFound, "250"), (false, Some(WAIT))),
        ("the server's own circuit", || rejection().into(), TRANSIENT),
    ];
    for (name, status, expected) in checks {
        assert_verdict(call(endpoint(answering(status).await)).await, expected, name);
    }
}

#[tokio::test]
async fn a_broken_connection_is_transient() {
    let checks = [("refused", refusing().await), ("reset", resetting().await), ("closed", closing().await)];
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
