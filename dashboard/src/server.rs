use std::{io, net::SocketAddr};

use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::Dashboard;

/// A dashboard that has an address, and waits to be [run](Self::run).
#[derive(Debug)]
#[must_use = "it answers nobody until it runs"]
pub struct Server {
    listener: TcpListener,
    router: Router,
    address: SocketAddr,
}

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
        Ok(Server { listener, router: self.router(), address })
    }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the future is dropped.
    ///
    /// # Errors
    ///
    /// None that is known: connections that fail are the clients' own affair.
    pub async fn run(self) -> io::Result<()> {
        axum::serve(self.listener, self.router).await
    }
}
