//! The dashboard's own server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::Semaphore,
    task::JoinSet,
    time,
};

use crate::{
    connection::{self, ConnectionLimits},
    dashboard::Dashboard,
};

/// A dashboard that listens at an address, and serves requests once it is [run](Self::run).
#[derive(Debug)]
#[must_use = "a server answers no request until `run` is called"]
pub struct Server {
    listener: TcpListener,
    router: Router,
    address: SocketAddr,
    limits: ConnectionLimits,
}

/// The delay after a failed attempt to accept a connection, which usually means that the process has no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves a read-only dashboard at `address` until the future is dropped.
///
/// # Errors
///
/// Returns an error if the address is not available or is not a loopback address: see [`Dashboard::bind`].
pub async fn serve(address: impl ToSocketAddrs) -> io::Result<()> {
    Dashboard::new().bind(address).await?.run().await
}

impl Dashboard {
    /// Listens at `address`; port 0 selects a free port. The runtime needs timers (`enable_time` or `enable_all`).
    ///
    /// # Errors
    ///
    /// Returns an error if the address is not available, or if it is not a loopback address and
    /// [`allow_remote`](Self::allow_remote) was not called.
    pub async fn bind(mut self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        if !self.allow_remote {
            if !address.ip().is_loopback() {
                let message = format!("{address} is not a loopback address; `Dashboard::allow_remote` permits others");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            self.hosts.get_or_insert_with(|| {
                let own = address.ip();
                let own = if own.is_ipv6() { format!("[{own}]") } else { own.to_string() };
                ["localhost", "127.0.0.1", "[::1]", &own].map(Into::into).into()
            });
        }
        Ok(Server { listener, router: self.router(), address, limits: ConnectionLimits::DEFAULT })
    }
}

impl Server {
    /// Returns the address at which the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until the future is dropped, which closes all connections.
    ///
    /// # Limits
    ///
    /// At most 256 connections are open; further ones wait to be accepted. A connection is closed if the head of a request (the first
    /// or the next one) is not complete within 10 s, or if the client accepts no data of a response for 30 s.
    ///
    /// # Errors
    ///
    /// Currently none: a connection that fails does not affect the server.
    pub async fn run(self) -> io::Result<()> {
        let Self { listener, router, limits, .. } = self;
        let permits = Arc::new(Semaphore::new(limits.max_connections));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(permit) = permits.clone().acquire_owned().await else { return Ok(()) };
            let Ok((stream, peer)) = listener.accept().await else {
                time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let router = router.clone();
            connections.spawn(async move {
                connection::serve(stream, peer, router, limits).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn silent_connections_are_closed_and_others_accepted() -> io::Result<()> {
        let limits = ConnectionLimits {
            max_connections: 8,
            head_timeout: Duration::from_millis(50),
            ..ConnectionLimits::DEFAULT
        };
        let server = Server { limits, ..Dashboard::new().bind("127.0.0.1:0").await? };
        let address = server.address();
        let running = tokio::spawn(server.run());
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await?);
        }
        let mut client = TcpStream::connect(address).await?;
        client.write_all(REQUEST).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        for mut stream in silent {
            assert_eq!(stream.read(&mut [0]).await?, 0, "closed without a response");
        }
        running.abort();
        Ok(())
    }

    #[tokio::test]
    async fn dropping_the_server_closes_all_connections() -> io::Result<()> {
        let server = Dashboard::new().bind("127.0.0.1:0").await?;
        let mut client = TcpStream::connect(server.address()).await?;
        let running = tokio::spawn(server.run());
        client.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        assert_ne!(client.read(&mut [0; 64]).await?, 0);
        running.abort();
        let mut rest = Vec::new();
        _ = client.read_to_end(&mut rest).await;
        Ok(())
    }
}
