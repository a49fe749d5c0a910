//! Errors of `redis`.

use std::{net::SocketAddr, path::Path, time::Duration};

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, aio::MultiplexedConnection, cmd};
use steadfast::Transient as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{
    database_rows::{assert_hides, assert_row},
    database_servers::Server,
    peers::{CUT, Loses, Proxy, answering as sending, closing, refusing, resetting, server, silent},
};

const LIBRARY: &str = "redis";
const DROPPED: &str = "connection dropped";
const PERMANENT: &str = "another error reply (`WRONGTYPE`, `BUSYGROUP`, `NOPERM`, `ERR`, ...)";
const READONLY: &str = "replica, as a former master after a failover (`READONLY`, `UNBLOCKED`)";
const CLUSTER: &str = "cluster without a node for the slot (`CLUSTERDOWN`, `TRYAGAIN`)";
const NOREPLICAS: &str = "too few replicas (`NOREPLICAS`), no master (`MASTERDOWN`)";
const STARTING: &str = "starting (`LOADING`), or running a script (`BUSY`)";
const REDIRECTION: &str = "redirection of a cluster (`MOVED`, `ASK`)";

fn assert_redis(failure: &str, error: RedisError) {
    assert_row(LIBRARY, failure, error);
}

/// Connects, with a timeout of five seconds for each response.
async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

async fn query(connection: &mut MultiplexedConnection, words: &[&str]) -> RedisResult<redis::Value> {
    cmd(words[0]).arg(&words[1..]).query_async(connection).await
}

/// Requests a key, and returns the error.
async fn get(address: SocketAddr) -> RedisError {
    let request = async || -> RedisResult<String> {
        let mut connection = connect(&format!("redis://{address}/")).await?;
        cmd("GET").arg("key").query_async(&mut connection).await
    };
    request().await.unwrap_err()
}

/// Starts a Redis server that answers `GET` with `line` and every other command with `OK`.
async fn answering(line: &'static str) -> SocketAddr {
    server(move |connection| async move {
        let mut connection = BufReader::new(connection);
        while let Some(name) = command(&mut connection).await {
            let answer = if name.eq_ignore_ascii_case("get") { line } else { "+OK" };
            if connection.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await
}

/// Reads a command and returns its name. A command is an array of strings, each preceded by a line with its length.
async fn command(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut name = None;
    for _ in 0..number(connection).await? {
        let mut argument = vec![0; number(connection).await? + 2];
        connection.read_exact(&mut argument).await.ok()?;
        name.get_or_insert(String::from_utf8(argument).ok()?.trim_end().to_owned());
    }
    name
}

/// Reads a line that consists of a sign and a number, and returns the number.
async fn number(connection: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

/// A real server, and a connection to it.
struct Redis {
    server: Server,
    connection: MultiplexedConnection,
}

impl Redis {
    async fn start(options: &[&str]) -> Self {
        let server = Server::redis(options);
        let connection = connect(&url(&server.socket())).await.unwrap();
        Self { server, connection }
    }

    /// Opens another connection.
    async fn session(&self) -> MultiplexedConnection {
        connect(&url(&self.server.socket())).await.unwrap()
    }

    async fn run(&mut self, words: &[&str]) -> redis::Value {
        query(&mut self.connection, words).await.unwrap()
    }

    async fn fail(&mut self, words: &[&str]) -> RedisError {
        query(&mut self.connection, words).await.unwrap_err()
    }
}

fn url(socket: &Path) -> String {
    format!("redis+unix://{}", socket.to_str().unwrap())
}

/// Each command fails on the real server.
#[tokio::test]
async fn a_command_is_transient_or_permanent_by_its_reply() {
    let mut redis = Redis::start(&[]).await;
    redis.run(&["LPUSH", "list", "a"]).await;
    redis.run(&["XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM"]).await;
    redis.run(&["ACL", "SETUSER", "default", "-del"]).await;
    let commands: [&[&str]; 5] = [
        &["GET", "list"],
        &["XGROUP", "CREATE", "stream", "group", "$"],
        &["DEL", "list"],
        &["NONSENSE"],
        &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
    ];
    for words in commands {
        assert_redis(PERMANENT, redis.fail(words).await);
    }

    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_redis(NOREPLICAS, redis.fail(&["SET", "key", "1"]).await);
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_redis("out of memory (`OOM`)", redis.fail(&["SET", "key", "1"]).await);
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]).await;

    // The server becomes a replica of a master that cannot be reached.
    redis.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_redis(READONLY, redis.fail(&["SET", "key", "1"]).await);
    redis.run(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    assert_redis(NOREPLICAS, redis.fail(&["GET", "key"]).await);
}

#[tokio::test]
async fn a_command_that_waits_while_the_server_becomes_a_replica_is_transient() {
    let mut redis = Redis::start(&[]).await;
    let mut waiting = redis.session().await;
    let blocked = tokio::spawn(async move { query(&mut waiting, &["BLPOP", "queue", "0"]).await.unwrap_err() });
    while !format!("{:?}", redis.run(&["INFO", "clients"]).await).contains("blocked_clients:1") {}
    redis.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_redis(READONLY, blocked.await.unwrap());
}

#[tokio::test]
async fn a_server_that_runs_a_script_is_transient() {
    let mut redis = Redis::start(&["--lua-time-limit", "1"]).await;
    let mut session = redis.session().await;
    let script = tokio::spawn(async move { query(&mut session, &["EVAL", "while true do end", "0"]).await });
    let busy = loop {
        if let Err(error) = query(&mut redis.connection, &["GET", "key"]).await {
            break error;
        }
    };
    assert_eq!(busy.code(), Some("BUSY"));
    assert_redis(STARTING, busy);
    redis.run(&["SCRIPT", "KILL"]).await;
    assert_redis(PERMANENT, script.await.unwrap().unwrap_err());
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_transient() {
    let redis = Redis::start(&["--maxclients", "1"]).await;
    // The server closes the connection after its reply, which the client may therefore not get.
    let error = connect(&url(&redis.server.socket())).await.err().unwrap();
    assert!(error.is_transient(), "{error:?}");
    let error = get(answering("-ERR max number of clients reached").await).await;
    assert_redis("too many clients", error);
}

/// The transaction is discarded as a whole. Of a pipeline, other commands may have been executed.
#[tokio::test]
async fn a_pipeline_may_have_had_an_effect_and_a_discarded_transaction_has_not() {
    let mut redis = Redis::start(&["--min-replicas-to-write", "1"]).await;
    let pipeline = redis::pipe().cmd("GET").arg("key").cmd("SET").arg("key").arg(1).to_owned();
    let error = pipeline.query_async::<()>(&mut redis.connection).await.unwrap_err();
    assert_redis("pipeline whose first error is transient", error);

    let transaction = redis::pipe().atomic().cmd("GET").arg("key").cmd("SET").arg("key").arg(1).to_owned();
    let error = transaction.query_async::<()>(&mut redis.connection).await.unwrap_err();
    assert_redis("discarded transaction (`EXECABORT`) whose first error is transient", error);
    let mut by_hand = redis.session().await;
    query(&mut by_hand, &["MULTI"]).await.unwrap();
    // The queue is accepted, and the replicas are lost before `EXEC`.
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    query(&mut by_hand, &["SET", "key", "1"]).await.unwrap();
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let error = query(&mut by_hand, &["EXEC"]).await.unwrap_err();
    assert_eq!(error.code(), Some("EXECABORT"), "{error:?}");
    assert_redis("discarded transaction (`EXECABORT`) whose first error is transient", error);

    let transaction = redis::pipe().atomic().cmd("NONSENSE").to_owned();
    let error = transaction.query_async::<()>(&mut redis.connection).await.unwrap_err();
    assert_redis(PERMANENT, error);
}

#[tokio::test]
async fn a_password_is_not_printed() {
    let redis = Server::redis(&["--requirepass", "swordfish"]);
    let path = redis.socket();
    let unauthenticated = connect(&url(&path)).await.err();
    let no_password = match unauthenticated {
        Some(error) => error,
        None => query(&mut connect(&url(&path)).await.unwrap(), &["GET", "key"]).await.unwrap_err(),
    };
    let wrong = connect(&format!("{}?pass=herring", url(&path))).await.err().unwrap();
    let url = connect("redis://user:herring@:port").await.err().unwrap();
    for error in [no_password, wrong, url] {
        assert_hides(&["swordfish", "herring"], &error);
        assert_redis("missing or wrong password (`NOAUTH`), invalid URL", error);
    }
}

/// A peer that is written by hand sends the replies that one server without load does not send.
#[tokio::test]
async fn a_reply_is_transient_or_permanent_by_its_code() {
    let checks = [
        (STARTING, "-LOADING Redis is loading the dataset in memory"),
        (STARTING, "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
        (CLUSTER, "-TRYAGAIN Multiple keys request during rehashing of slot"),
        (CLUSTER, "-CLUSTERDOWN The cluster is down"),
        (REDIRECTION, "-MOVED 3999 127.0.0.1:6381"),
        (REDIRECTION, "-ASK 3999 127.0.0.1:6381"),
        (PERMANENT, "-EXECABORT Transaction discarded because of previous errors."),
        (PERMANENT, "-BUSYKEY Target key name already exists."),
        (PERMANENT, "-ERR LOADING is not a command"),
        (PERMANENT, "*0"),
    ];
    for (failure, line) in checks {
        assert_redis(failure, get(answering(line).await).await);
    }
    let unavailable = RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no master"));
    assert_redis("sentinel without a known master or replica", unavailable);
}

#[tokio::test]
async fn a_broken_connection_is_transient_and_another_protocol_is_permanent() {
    assert_redis("connection refused", get(refusing()).await);
    for address in [closing().await, resetting().await] {
        assert_redis(DROPPED, get(address).await);
    }
    assert_redis("another protocol", get(sending("HTTP/1.1 400 Bad Request\r\n\r\n").await).await);
    let missing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing.sock");
    assert_redis("connection refused", connect(&url(&missing)).await.err().unwrap());
}

/// The server has executed the command whose response was lost, and never got the one whose request was lost.
#[tokio::test]
async fn a_command_whose_response_is_lost_may_have_taken_effect() {
    let mut redis = Redis::start(&[]).await;
    for (loses, expected) in [(Loses::Request, 0), (Loses::Response, 1)] {
        let proxy = Proxy::start(redis.server.socket(), loses).await;
        let mut connection = connect(&format!("redis://{}/", proxy.address)).await.unwrap();
        assert_redis(DROPPED, query(&mut connection, &["RPUSH", "payments", CUT]).await.unwrap_err());
        assert_eq!(redis.run(&["LLEN", "payments"]).await, redis::Value::Int(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_transient() {
    let error = get(silent().await).await;
    assert!(error.is_timeout(), "{error:?}");
    assert_redis("timeout", error);
}
