//! What is behind an address: one node, or a cluster that is reached through any of its nodes.

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

pub(super) enum Server {
    Node(Box<Client>),
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionInfo>),
}

/// A connection that takes questions, answers and messages.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

impl Connection {
    /// Waits so long for answers; a cluster's nodes, as long as for all others.
    pub(super) fn set_response_timeout(&mut self, limit: Duration) {
        match self {
            Self::Node(node) => node.set_response_timeout(limit),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => {}
        }
    }
}

impl Server {
    /// Gives what goes into no text, too.
    pub(super) fn new(addresses: &[String], is_cluster: bool) -> Result<(Self, Secrets), FleetError> {
        let nodes = addresses.iter().map(|address| info(address)).collect::<Result<Vec<_>, _>>()?;
        let secrets = Secrets::of(nodes.iter().map(ConnectionInfo::redis_settings));
        #[cfg(feature = "cluster")]
        if is_cluster {
            // Whether the addresses go together is known now.
            ClusterClientBuilder::new(nodes.clone()).build().map_err(|_| FleetError::Address)?;
            return Ok((Self::Cluster(nodes), secrets));
        }
        // Without the feature there is no way to ask for one.
        _ = is_cluster;
        let node = nodes.into_iter().next().ok_or(FleetError::Address)?;
        let client = Client::open(node).map_err(|_| FleetError::Address)?;
        Ok((Self::Node(Box::new(client)), secrets))
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        match self {
            Self::Node(client) => client.get_connection_info().redis_settings().db(),
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => nodes.first().map_or(0, |node| node.redis_settings().db()),
        }
    }

    /// Connects and listens; messages go to `pushes`. An answer may take `timeout`, and connecting a few times that.
    pub(super) async fn connect(
        &self,
        channel: &str,
        timeout: Duration,
        connecting: Duration,
        pushes: UnboundedSender<PushInfo>,
    ) -> RedisResult<Connection> {
        match self {
            Self::Node(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(connecting))
                    .set_response_timeout(Some(timeout))
                    .set_push_sender(pushes);
                let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                connection.subscribe(channel).await?;
                Ok(Connection::Node(connection))
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => {
                let client = ClusterClientBuilder::new(nodes.clone())
                    .connection_timeout(connecting)
                    .response_timeout(timeout)
                    .push_sender(pushes)
                    .build()?;
                let mut connection = client.get_async_connection().await?;
                connection.subscribe(channel).await?;
                Ok(Connection::Cluster(connection))
            }
        }
    }
}

fn info(address: &str) -> Result<ConnectionInfo, FleetError> {
    // What the client says about an address contains it.
    let info = address.into_connection_info().map_err(|_| FleetError::Address)?;
    #[cfg(feature = "tls-rustls")]
    if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        // The client takes what the program has chosen, and panics where it has not. If another thread has chosen meanwhile,
        // that is as good.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            _ = rustls::crypto::ring::default_provider().install_default();
        }
    }
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

impl ConnectionLike for Connection {
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
