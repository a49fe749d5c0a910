//! Errors of `hyper`.

use std::{future::Future, net::SocketAddr, pin::pin};

use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    http2::{self, read},
    peers::{answering, closing, server},
    table::assert_rows,
};

async fn connect(address: SocketAddr) -> (SendRequest<String>, Connection<TokioIo<TcpStream>, String>) {
    handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap()
}

fn request() -> http::Request<String> {
    http::Request::get("/").header("host", "localhost").body(String::new()).unwrap()
}

async fn fetch(address: SocketAddr) -> hyper::Error {
    let (mut sender, connection) = connect(address).await;
    tokio::spawn(connection);
    let mut fetch = async || read(sender.send_request(request()).await?.into_body()).await;
    fetch().await.unwrap_err()
}

/// Drops the connection after it has sent the request, and returns the error.
async fn dropped_with_a_request() -> hyper::Error {
    let (received, is_received) = tokio::sync::oneshot::channel();
    let received = std::sync::Mutex::new(Some(received));
    let address = server(move |connection| {
        let received = received.lock().unwrap().take();
        async move {
            connection.readable().await.unwrap();
            received.unwrap().send(connection).unwrap();
        }
    })
    .await;
    let (mut sender, connection) = connect(address).await;
    let mut response = pin!(sender.send_request(request()));
    tokio::select! {
        biased;
        result = &mut response => panic!("{result:?}"),
        result = connection => panic!("{result:?}"),
        server = is_received => drop(server.unwrap()),
    }
    response.await.unwrap_err()
}

/// Drops the connection before it takes the request from its queue, and returns the error.
async fn dropped_before_the_request() -> hyper::Error {
    let (mut sender, connection) = connect(closing().await).await;
    let mut response = pin!(sender.send_request(request()));
    let poll = std::future::poll_fn(|context| std::task::Poll::Ready(response.as_mut().poll(context).is_pending()));
    assert!(poll.await);
    drop(connection);
    response.await.unwrap_err()
}

/// Drops the connection before a request is made, and returns the error.
async fn closed() -> hyper::Error {
    let (mut sender, connection) = connect(closing().await).await;
    drop(connection);
    sender.ready().await.unwrap_err()
}

#[tokio::test]
async fn each_row_of_hyper_is_checked() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let mut errors = http2::hyper_errors().await;
    errors.extend([
        ("HTTP/1: connection closed without a response", fetch(closing().await).await),
        ("HTTP/1: connection closed within the head", fetch(answering("HTTP/1.1 200 O").await).await),
        ("HTTP/1: connection closed within the body", fetch(answering(half).await).await),
        ("server speaks another protocol", fetch(answering("SSH-2.0-OpenSSH_9.9\r\n\r\n").await).await),
        ("connection closed before it was used (is_closed)", closed().await),
        ("connection closed before it took the request (is_canceled)", dropped_before_the_request().await),
        ("task of the connection dropped with a request", dropped_with_a_request().await),
    ]);
    assert_rows("hyper", errors);
}
