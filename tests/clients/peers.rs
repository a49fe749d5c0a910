//! Peers of a client: sockets that refuse, close or reset connections, and a proxy in front of a server.

use std::{net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UnixStream},
    sync::watch,
};

/// Returns an address that refuses connections. The address stays bound until the process ends, so that no other test gets it.
pub(crate) fn refusing() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// Starts a server that handles each connection with `handle`, until the test ends.
pub(crate) async fn server<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(handle(connection));
        }
    });
    address
}

/// Starts a server that sends `answer` after the first bytes it receives, and closes the connection.
pub(crate) async fn answering(answer: impl AsRef<[u8]> + Clone + Send + Sync + 'static) -> SocketAddr {
    server(move |mut connection| {
        let answer = answer.clone();
        async move {
            // Errors of a connection that the client has closed are ignored.
            _ = connection.read(&mut [0; 4096]).await;
            _ = connection.write_all(answer.as_ref()).await;
            _ = connection.shutdown().await;
        }
    })
    .await
}

/// Starts a server that closes each connection without an answer.
pub(crate) async fn closing() -> SocketAddr {
    answering([]).await
}

/// Starts a server that resets each connection at its first byte.
pub(crate) async fn resetting() -> SocketAddr {
    server(async |mut connection| {
        _ = connection.read(&mut [0; 1]).await;
        connection.set_zero_linger().unwrap();
    })
    .await
}

/// Starts a server that never answers.
pub(crate) async fn silent() -> SocketAddr {
    server(async |_connection| std::future::pending().await).await
}

/// The text in a request at which a proxy closes the connection.
pub(crate) const CUT: &str = "cut here";

/// The moment at which a proxy closes the connection of a request that contains [`CUT`].
#[derive(Clone, Copy)]
pub(crate) enum Loses {
    /// Before the server gets the request.
    Request,
    /// After the server has answered.
    Response,
}

/// A proxy in front of a server that listens on a Unix socket.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    closed: watch::Receiver<u32>,
}

impl Proxy {
    pub(crate) async fn start(socket: PathBuf, loses: Loses) -> Self {
        let (sender, closed) = watch::channel(0);
        let address = server(move |client| forward(client, socket.clone(), loses, sender.clone())).await;
        Self { address, closed }
    }

    /// Waits until the server has closed `connections` connections, and their last bytes have been sent to the client.
    pub(crate) async fn closed(&self, connections: u32) {
        self.closed.clone().wait_for(|closed| *closed >= connections).await.unwrap();
    }
}

async fn forward(mut client: TcpStream, socket: PathBuf, loses: Loses, closed: watch::Sender<u32>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let (mut request, mut response) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            length = client.read(&mut request) => {
                let request = &request[..length.unwrap_or(0)];
                if request.is_empty() {
                    return;
                }
                let is_cut = request.windows(CUT.len()).any(|text| text == CUT.as_bytes());
                if is_cut && matches!(loses, Loses::Request) {
                    return;
                }
                _ = server.write_all(request).await;
                if is_cut {
                    _ = server.read(&mut response).await;
                    return;
                }
            }
            length = server.read(&mut response) => {
                let response = &response[..length.unwrap_or(0)];
                if response.is_empty() {
                    break;
                }
                _ = client.write_all(response).await;
            }
        }
    }
    _ = client.shutdown().await;
    closed.send_modify(|closed| *closed += 1);
    // Reads the rest, so that the client's next request does not reset the connection before the client has read the last response.
    while client.read(&mut request).await.is_ok_and(|length| length > 0) {}
}
