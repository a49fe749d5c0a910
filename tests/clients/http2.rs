//! Failures of HTTP/2, which a server written by hand causes, and the errors that the clients return for them.

use std::{future::poll_fn, net::SocketAddr, pin::pin};

use hyper::body::{Body as _, Incoming};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use steadfast::Transient;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    peers::server,
    table::{TRANSIENT, assert_verdict},
};

/// The server's reaction to a request.
#[derive(Clone, Copy)]
enum Reaction {
    /// Sends the frames, and keeps the connection open.
    Answer(fn(u32) -> Vec<u8>),
    /// Sends the frames, and closes the connection.
    Close(fn(u32) -> Vec<u8>),
    /// Sends the frames, and resets the connection.
    Reset(fn(u32) -> Vec<u8>),
}

use Reaction::{Answer, Close, Reset};

/// Types and flags of frames, and codes of errors (RFC 9113, sections 6 and 7).
mod code {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const GOAWAY: u8 = 7;

    pub(super) const END_HEADERS: u8 = 4;

    pub(super) const NO_ERROR: u32 = 0;
    pub(super) const PROTOCOL_ERROR: u32 = 1;
    pub(super) const INTERNAL_ERROR: u32 = 2;
    pub(super) const REFUSED_STREAM: u32 = 7;
    pub(super) const CANCEL: u32 = 8;
    pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
    pub(super) const HTTP_1_1_REQUIRED: u32 = 13;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(code::RST_STREAM, 0, stream, &reason.to_be_bytes())
}

/// Returns a `GOAWAY` that names `last` as the last stream that the server processed.
fn go_away(last: u32, reason: u32) -> Vec<u8> {
    frame(code::GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

/// Returns the head of a response with the status 200, which is entry 8 of the static table of HPACK.
fn head(stream: u32) -> Vec<u8> {
    frame(code::HEADERS, code::END_HEADERS, stream, &[0x88])
}

/// Returns the head, and a first part of the body: the start of a gRPC message of nine bytes.
fn head_and_data(stream: u32) -> Vec<u8> {
    [head(stream), frame(code::DATA, 0, stream, b"\0\0\0\0\x09half")].concat()
}

/// The rows of the table that apply to all clients.
const FAILURES: [(&str, Reaction); 14] = [
    ("HTTP/2: stream refused (REFUSED_STREAM)", Answer(|stream| reset(stream, code::REFUSED_STREAM))),
    ("HTTP/2: GOAWAY before the request was processed", Close(|_| go_away(0, code::NO_ERROR))),
    ("HTTP/2: GOAWAY with ENHANCE_YOUR_CALM", Close(|_| go_away(0, code::ENHANCE_YOUR_CALM))),
    ("HTTP/2: GOAWAY with INTERNAL_ERROR", Close(|_| go_away(0, code::INTERNAL_ERROR))),
    ("HTTP/2: GOAWAY with PROTOCOL_ERROR", Close(|_| go_away(0, code::PROTOCOL_ERROR))),
    ("HTTP/2: stream reset with ENHANCE_YOUR_CALM", Answer(|stream| reset(stream, code::ENHANCE_YOUR_CALM))),
    ("HTTP/2: stream reset with INTERNAL_ERROR", Answer(|stream| reset(stream, code::INTERNAL_ERROR))),
    ("HTTP/2: stream reset with CANCEL before the response", Answer(|stream| reset(stream, code::CANCEL))),
    ("HTTP/2: stream reset with HTTP_1_1_REQUIRED", Answer(|stream| reset(stream, code::HTTP_1_1_REQUIRED))),
    ("HTTP/2: stream reset with PROTOCOL_ERROR", Answer(|stream| reset(stream, code::PROTOCOL_ERROR))),
    ("HTTP/2: connection lost before the response", Close(|_| Vec::new())),
    ("HTTP/2: connection lost within the headers", Close(|stream| frame(code::HEADERS, 0, stream, &[0x88]))),
    ("HTTP/2: connection lost within the body", Close(head_and_data)),
    // A frame of data that belongs to no stream.
    ("HTTP/2: server violates the protocol", Answer(|_| frame(code::DATA, 0, 0, b"data"))),
];

/// Variants of the same failures, all transient. The server may have processed the requests.
const VARIANTS: [(&str, Reaction); 8] = [
    ("GOAWAY after the request was processed, then no response", Close(|stream| go_away(stream, code::NO_ERROR))),
    ("stream reset with NO_ERROR before the response", Answer(|stream| reset(stream, code::NO_ERROR))),
    ("connection reset before the response", Reset(|_| Vec::new())),
    ("connection lost within the head of a frame", Close(|stream| head(stream)[..7].to_vec())),
    (
        "connection lost within a frame of data",
        Close(|stream| {
            let data = head_and_data(stream);
            data[..data.len() - 1].to_vec()
        }),
    ),
    ("connection reset within the body", Reset(head_and_data)),
    (
        "stream reset with CANCEL within the body",
        Answer(|stream| [head_and_data(stream), reset(stream, code::CANCEL)].concat()),
    ),
    (
        "stream reset with INTERNAL_ERROR within the body",
        Answer(|stream| [head_and_data(stream), reset(stream, code::INTERNAL_ERROR)].concat()),
    ),
];

/// Starts a server that reacts to each request in the same way.
async fn reacting(reaction: Reaction) -> SocketAddr {
    server(move |connection| async move {
        // Errors of a connection that the client has closed are ignored.
        _ = react(connection, reaction).await;
    })
    .await
}

async fn react(mut connection: TcpStream, reaction: Reaction) -> std::io::Result<()> {
    connection.write_all(&frame(code::SETTINGS, 0, 0, &[])).await?;
    connection.read_exact(&mut [0; 24]).await?; // the preface
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        connection.read_exact(&mut vec![0; length.try_into().unwrap()]).await?;
        if head[3] != code::HEADERS {
            continue;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match reaction {
            Answer(frames) => connection.write_all(&frames(stream)).await?,
            Close(frames) => {
                connection.write_all(&frames(stream)).await?;
                connection.shutdown().await?;
                // Unread bytes would reset the connection.
                tokio::io::copy(&mut connection, &mut tokio::io::sink()).await?;
                return Ok(());
            }
            Reset(frames) => {
                connection.write_all(&frames(stream)).await?;
                connection.set_zero_linger()?;
                return Ok(());
            }
        }
    }
}

/// Requests the address with `request` after each failure, and checks the errors.
macro_rules! check {
    ($library:literal, $request:expr) => {{
        let mut errors = Vec::new();
        for (name, reaction) in FAILURES {
            errors.push((name, $request(reacting(reaction).await).await));
        }
        for (name, reaction) in VARIANTS {
            let error = $request(reacting(reaction).await).await;
            assert!(error.may_have_taken_effect(), "{}: {name}: {error:?}", $library);
            assert_verdict(error, TRANSIENT, &format!("{}: {name}", $library));
        }
        errors
    }};
}

pub(crate) async fn reqwest_errors() -> Vec<(&'static str, reqwest::Error)> {
    async fn request(address: SocketAddr) -> reqwest::Error {
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        let request = async || client.get(format!("http://{address}/")).send().await?.text().await;
        request().await.unwrap_err()
    }
    check!("reqwest", request)
}

pub(crate) async fn hyper_errors() -> Vec<(&'static str, hyper::Error)> {
    async fn request(address: SocketAddr) -> hyper::Error {
        let request = async || {
            let connection = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), connection).await?;
            tokio::spawn(connection);
            let request = http::Request::get(format!("http://{address}/")).body(String::new()).unwrap();
            read(sender.send_request(request).await?.into_body()).await
        };
        request().await.unwrap_err()
    }
    check!("hyper", request)
}

async fn pooled_request(address: SocketAddr) -> Pooled {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = http::Request::get(format!("http://{address}/")).body(String::new()).unwrap();
    match client.request(request).await {
        Ok(response) => Pooled::Body(read(response.into_body()).await.unwrap_err()),
        Err(error) => Pooled::Head(error),
    }
}

/// The pooled client returns errors of its own for the head of a response, and those of hyper for the body.
#[derive(Debug, thiserror::Error, Transient)]
enum Pooled {
    #[error(transparent)]
    #[transient(inherit)]
    Head(hyper_util::client::legacy::Error),
    #[error(transparent)]
    #[transient(inherit)]
    Body(hyper::Error),
}

#[tokio::test]
async fn each_row_of_hyper_util_is_checked() {
    let errors = check!("hyper-util", pooled_request);
    crate::table::assert_rows("hyper-util", errors);
}

/// Reads a body to its end.
pub(crate) async fn read(body: Incoming) -> hyper::Result<()> {
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        frame?;
    }
    Ok(())
}

pub(crate) async fn tonic_errors() -> Vec<(&'static str, tonic::Status)> {
    check!("tonic", |address| crate::tonic::call(crate::tonic::endpoint(address)))
}

async fn h2_request(address: SocketAddr) -> h2::Error {
    let request = async || {
        let connection = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(connection).await?;
        tokio::spawn(connection);
        let request = http::Request::get(format!("http://{address}/")).body(()).unwrap();
        let (response, _) = sender.ready().await?.send_request(request, true)?;
        let mut body = response.await?.into_body();
        while let Some(data) = body.data().await {
            data?;
        }
        Ok(())
    };
    request().await.unwrap_err()
}

#[tokio::test]
async fn each_row_of_h2_is_checked() {
    let errors = check!("h2", h2_request);
    crate::table::assert_rows("h2", errors);
}

#[tokio::test]
async fn hyper_takes_a_reset_with_no_error_for_the_end_of_the_body() {
    let reaction = Answer(|stream| [head_and_data(stream), reset(stream, code::NO_ERROR)].concat());
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let response = client.get(format!("http://{}/", reacting(reaction).await)).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), b"\0\0\0\0\x09half"[..]);
    let error = h2_request(reacting(reaction).await).await;
    assert_verdict(error, TRANSIENT, "stream reset with NO_ERROR within the body");
}

#[tokio::test]
async fn a_stream_that_the_client_resets_is_permanent() {
    let connection = TcpStream::connect(reacting(Answer(|_| Vec::new())).await).await.unwrap();
    let (sender, connection) = h2::client::handshake(connection).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://localhost/").body(()).unwrap();
    let (response, mut body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_reset(h2::Reason::REFUSED_STREAM);
    let error = response.await.unwrap_err();
    assert_eq!((error.is_reset(), error.is_remote()), (true, false), "{error:?}");
    assert_verdict(error, crate::table::PERMANENT, "reset by the client");
}
