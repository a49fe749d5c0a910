use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::Semaphore,
    task::JoinSet,
    time,
};

use crate::{
    Dashboard,
    connection::{self, Limits},
};

/// A dashboard that has an address, and waits to be [run](Self::run).
#[derive(Debug)]
#[must_use = "it answers nobody until it runs"]
pub struct Server {
    listener: TcpListener,
    router: Router,
    address: SocketAddr,
    limits: Limits,
}

/// The pause after a connection could not be accepted, for want of file descriptors above all.
const PAUSE: Duration = Duration::from_millis(100);

impl Dashboard {
    /// Listens at that address; with port 0 at any that is free.
    ///
    /// # Errors
    ///
    /// The address cannot be had, or other machines reach it and [`allow_remote`](Self::allow_remote) was not called.
    pub async fn bind(mut self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        if !self.allow_remote {
            if !address.ip().is_loopback() {
                let mistake = format!("{address} is not a loopback address: `Dashboard::allow_remote` allows it");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, mistake));
            }
            self.hosts.get_or_insert_with(|| ["localhost", "127.0.0.1", "[::1]"].map(Into::into).into());
        }
        Ok(Server { listener, router: self.router(), address, limits: Limits::DEFAULT })
    }
}

impl Server {
    /// The address at which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the future is dropped, and then closes all connections.
    ///
    /// # Limits
    ///
    /// There are at most 256 connections at a time; more wait. A connection on which no request has begun and come to the end of
    /// its head within 10 s is closed, and so is one whose client has taken nothing of an answer for 30 s.
    ///
    /// # Errors
    ///
    /// None that is known: connections that fail are the clients' own affair.
    pub async fn run(self) -> io::Result<()> {
        let Self { listener, router, limits, .. } = self;
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
            let Ok((stream, _)) = listener.accept().await else {
                time::sleep(PAUSE).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let router = router.clone();
            connections.spawn(async move {
                connection::serve(stream, router, limits).await;
                drop(place);
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
    async fn silent_connections_give_their_places_to_others() -> io::Result<()> {
        let limits = Limits { connections: 8, head: Duration::from_millis(50), ..Limits::DEFAULT };
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
            assert_eq!(stream.read(&mut [0]).await?, 0, "closed without a word");
        }
        running.abort();
        Ok(())
    }

    #[tokio::test]
    async fn all_connections_end_with_the_server() -> io::Result<()> {
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
