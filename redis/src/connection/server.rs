//! The Redis server: one node, or a cluster that is reached through any of its nodes.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
#[cfg(feature = "cluster")]
use redis::{cluster::ClusterClientBuilder, cluster_async::ClusterConnection};
use tokio::sync::mpsc::UnboundedSender;

use crate::{FleetError, error::Secrets};

/// The server to connect to.
pub(super) enum Server {
    Node(Box<Client>),
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionInfo>),
}

/// An established connection, which carries requests, replies and broadcasts.
#[derive(Clone)]
pub(super) enum ServerConnection {
    Node(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

impl ServerConnection {
    /// Sets the reply timeout of this clone of the connection. Has no effect for a cluster, whose connections have a fixed timeout.
    pub(super) fn set_response_timeout(&mut self, limit: Duration) {
        match self {
            Self::Node(node) => node.set_response_timeout(limit),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => {}
        }
    }
}

impl Server {
    /// Parses the addresses. Also returns their users and passwords, which must not appear in any text.
    pub(super) fn new(addresses: &[String], is_cluster: bool) -> Result<(Self, Secrets), FleetError> {
        let nodes = addresses.iter().map(|address| connection_info(address)).collect::<Result<Vec<_>, _>>()?;
        let secrets = Secrets::of(nodes.iter().map(ConnectionInfo::redis_settings));
        #[cfg(feature = "cluster")]
        if is_cluster {
            // Validates that the addresses can belong to one cluster: same user, same password.
            ClusterClientBuilder::new(nodes.clone()).build().map_err(|_| FleetError::InvalidAddress)?;
            return Ok((Self::Cluster(nodes), secrets));
        }
        // Used only with the feature `cluster`; always false without it.
        _ = is_cluster;
        let node = nodes.into_iter().next().ok_or(FleetError::InvalidAddress)?;
        let client = Client::open(node).map_err(|_| FleetError::InvalidAddress)?;
        Ok((Self::Node(Box::new(client)), secrets))
    }

    /// The database number of the address.
    pub(super) fn database(&self) -> i64 {
        match self {
            Self::Node(client) => client.get_connection_info().redis_settings().db(),
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => nodes.first().map_or(0, |node| node.redis_settings().db()),
        }
    }

    /// Connects and subscribes to `channel`, whose broadcasts are sent to `pushes`. `timeout` limits the time for each reply,
    /// `connect_timeout` that for establishing the connection.
    pub(super) async fn connect(
        &self,
        channel: &str,
        timeout: Duration,
        connect_timeout: Duration,
        pushes: UnboundedSender<PushInfo>,
    ) -> RedisResult<ServerConnection> {
        match self {
            Self::Node(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(connect_timeout))
                    .set_response_timeout(Some(timeout))
                    .set_push_sender(pushes);
                let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                connection.subscribe(channel).await?;
                Ok(ServerConnection::Node(connection))
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => {
                let client = ClusterClientBuilder::new(nodes.clone())
                    .connection_timeout(connect_timeout)
                    .response_timeout(timeout)
                    .push_sender(pushes)
                    .build()?;
                let mut connection = client.get_async_connection().await?;
                connection.subscribe(channel).await?;
                Ok(ServerConnection::Cluster(connection))
            }
        }
    }
}

fn connection_info(address: &str) -> Result<ConnectionInfo, FleetError> {
    // The client's error is dropped, since its text contains the address.
    let info = address.into_connection_info().map_err(|_| FleetError::InvalidAddress)?;
    #[cfg(feature = "tls-rustls")]
    if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        // The client uses the program's default crypto provider and panics if there is none. If another thread installs one first,
        // that one is used.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            _ = rustls::crypto::ring::default_provider().install_default();
        }
    }
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

impl ConnectionLike for ServerConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(cmd),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(pipeline, offset, count),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
