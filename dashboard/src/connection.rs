//! One HTTP/1 connection with timeouts, so that a client that is idle, slow or does not read cannot keep it open.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// The maximum number of open connections. Further ones are accepted when one of them ends.
    pub(crate) max_connections: usize,
    /// The maximum time until the head of a request is complete. It applies again to each further request on a connection that is kept
    /// alive.
    pub(crate) head_timeout: Duration,
    /// The maximum time for which a client may accept no data while there is data to write.
    pub(crate) write_timeout: Duration,
}

impl ConnectionLimits {
    pub(crate) const DEFAULT: Self =
        Self { max_connections: 256, head_timeout: Duration::from_secs(10), write_timeout: Duration::from_secs(30) };
}

/// Serves a connection until it is closed or one of its timeouts elapses.
///
/// Each request has the address of the `peer` in its extensions, as the requests of axum's own server have on demand.
pub(crate) async fn serve<S>(stream: S, peer: SocketAddr, router: Router, limits: ConnectionLimits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TokioIo::new(WriteTimeout { stream, timeout: limits.write_timeout, stall_timer: None });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    // An error means that the client broke the connection or violated the protocol; the server needs no reaction to it.
    _ = connection.serve_connection(stream, service).await;
}

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] after `timeout` without progress.
struct WriteTimeout<S> {
    stream: S,
    timeout: Duration,
    /// The timer of a pending write; `None` if no write is pending.
    stall_timer: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> WriteTimeout<S> {
    /// Polls `write`, and returns an error once writes have been pending for the timeout.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), context) {
            self.stall_timer = None;
            return Poll::Ready(done);
        }
        let timeout = self.timeout;
        let stall_timer = self.stall_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stall_timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
