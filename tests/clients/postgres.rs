//! Errors of Postgres, through `sqlx` and `tokio-postgres`.

use std::{net::SocketAddr, path::Path, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    raw_sql,
};
use steadfast::Transient as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_postgres::{Client, Config, NoTls, config::TargetSessionAttrs};

use super::{
    database_rows::{assert_hides, assert_row},
    database_servers::Server,
    peers::{CUT, Loses, Proxy, closing, refusing, resetting},
};

const SQLX: &str = "sqlx";
const TOKIO_POSTGRES: &str = "tokio-postgres";
const PASSWORD: &str = "swordfish";

/// The error of each client for the same failure.
struct Errors {
    sqlx: sqlx::Error,
    tokio_postgres: tokio_postgres::Error,
}

impl Errors {
    /// Asserts that both errors are classified as the row of the table says.
    #[track_caller]
    fn assert_row(self, failure: &str) {
        assert_row(SQLX, failure, self.sqlx);
        assert_row(TOKIO_POSTGRES, failure, self.tokio_postgres);
    }

    /// Asserts that the server reported both errors with this code.
    #[track_caller]
    fn assert_code(&self, code: &str) {
        let sqlx = self.sqlx.as_database_error().and_then(DatabaseError::code);
        assert_eq!(sqlx.as_deref(), Some(code), "{:?}", self.sqlx);
        let tokio_postgres = self.tokio_postgres.code().map(tokio_postgres::error::SqlState::code);
        assert_eq!(tokio_postgres, Some(code), "{:?}", self.tokio_postgres);
    }
}

/// The name or address of a server.
#[derive(Clone, Copy)]
enum Host<'a> {
    Socket(&'a Path),
    Address(SocketAddr),
}

async fn sqlx_as(user: &str, host: Host<'_>) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .username(user)
        .password(PASSWORD)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let options = match host {
        Host::Socket(folder) => options.socket(folder),
        Host::Address(address) => options.host("127.0.0.1").port(address.port()),
    };
    PgConnection::connect_with(&options).await
}

fn config(host: Host<'_>) -> Config {
    let mut config = Config::new();
    config.password(PASSWORD).dbname("postgres");
    match host {
        Host::Socket(folder) => config.host_path(folder),
        Host::Address(address) => config.host("127.0.0.1").port(address.port()),
    };
    config
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn tokio_postgres_as(user: &str, host: Host<'_>) -> Result<Client, tokio_postgres::Error> {
    connect(config(host).user(user)).await
}

/// Returns the errors of connecting.
async fn connect_errors(user: &str, host: Host<'_>) -> Errors {
    Errors {
        sqlx: sqlx_as(user, host).await.unwrap_err(),
        tokio_postgres: tokio_postgres_as(user, host).await.err().unwrap(),
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

/// Returns the errors of a statement, on one connection of each client after `setup`.
async fn statement_errors(host: Host<'_>, setup: &str, statement: &str) -> Errors {
    let mut connection = sqlx_as("owner", host).await.unwrap();
    execute(&mut connection, setup).await.unwrap();
    let sqlx = execute(&mut connection, statement).await.unwrap_err();
    let client = tokio_postgres_as("owner", host).await.unwrap();
    client.batch_execute(setup).await.unwrap();
    let tokio_postgres = client.batch_execute(statement).await.unwrap_err();
    Errors { sqlx, tokio_postgres }
}

/// The server of all tests in this process.
fn shared() -> Host<'static> {
    Host::Socket(Server::postgres().folder())
}

/// Opens a connection to the shared server.
async fn session() -> PgConnection {
    sqlx_as("owner", shared()).await.unwrap()
}

async fn run(sql: &str) {
    execute(&mut session().await, sql).await.unwrap();
}

const LOCKED: &str = "lock not available in time (`55P03`)";
const OUT_OF_RESOURCES: &str = "out of memory or another resource (`53000`, `53100`, `53200`)";
const ROLLED_BACK: &str = "serialization failure or deadlock (`40000`, `40001`, `40P01`)";
const TERMINATED: &str = "connection terminated by a shutdown, an operator or a crash (`57P01`, `57P02`)";
const LOST: &str = "connection lost during a statement";

/// Each statement fails on the real server with its code.
#[tokio::test]
async fn a_statement_is_transient_or_permanent_by_the_code_of_its_error() {
    run("CREATE TABLE accounts (id integer PRIMARY KEY); INSERT INTO accounts VALUES (1); CREATE TABLE locked ()")
        .await;
    let mut holder = session().await;
    execute(&mut holder, "BEGIN; LOCK TABLE locked").await.unwrap();

    let sort = "SELECT count(*) FROM (SELECT generate_series(1, 100000) AS n ORDER BY n DESC OFFSET 0) AS numbers";
    let checks = [
        (LOCKED, "55P03", "SET lock_timeout = '1ms'; BEGIN", "LOCK TABLE locked"),
        (LOCKED, "55P03", "BEGIN", "LOCK TABLE locked NOWAIT"),
        (
            "read-only transaction (`25006`)",
            "25006",
            "SET default_transaction_read_only = on",
            "INSERT INTO accounts VALUES (2)",
        ),
        (TERMINATED, "57P01", "", "SELECT pg_terminate_backend(pg_backend_pid())"),
        (
            "statement timeout or cancellation (`57014`)",
            "57014",
            "SET statement_timeout = '1ms'",
            "SELECT pg_sleep(60)",
        ),
        ("limit of the statement (`53400`)", "53400", "SET temp_file_limit = 0; SET work_mem = '64kB'", sort),
        ("unique violation (`23505`)", "23505", "", "INSERT INTO accounts VALUES (1)"),
        ("syntax error (`42601`)", "42601", "", "INSERT accounts"),
    ];
    for (failure, code, setup, statement) in checks {
        let errors = statement_errors(shared(), setup, statement).await;
        errors.assert_code(code);
        errors.assert_row(failure);
    }
}

/// The server raises these codes by a statement, since their causes cannot be produced on this machine.
#[tokio::test]
async fn a_raised_code_is_transient_or_permanent() {
    let checks: [(&str, &[&str]); 7] = [
        ("connection rejected (`08001`, `08004`)", &["08001", "08004"]),
        ("connection lost behind a proxy (other `08...`)", &["08000", "08003", "08006", "08007", "08P01"]),
        ("completion of the statement unknown (`40003`)", &["40003"]),
        (ROLLED_BACK, &["40000"]),
        (OUT_OF_RESOURCES, &["53000", "53100"]),
        (TERMINATED, &["57P02"]),
        // The low byte of 22021 is the code of SQLite for busy.
        ("another error of the database", &["22021", "40002", "57P04", "58030", "XX000"]),
    ];
    for (failure, codes) in checks {
        for code in codes {
            let statement = format!("DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$");
            let errors = statement_errors(shared(), "", &statement).await;
            errors.assert_code(code);
            errors.assert_row(failure);
        }
    }
}

#[tokio::test]
async fn a_serialization_failure_is_transient_without_effect() {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM balances";
    const UPDATE: &str = "UPDATE balances SET balance = balance - 1";

    run("CREATE TABLE balances (balance integer); INSERT INTO balances VALUES (100)").await;
    let (mut other, mut connection) = (session().await, session().await);
    let client = tokio_postgres_as("owner", shared()).await.unwrap();
    execute(&mut connection, BEGIN).await.unwrap();
    client.batch_execute(BEGIN).await.unwrap();
    execute(&mut other, UPDATE).await.unwrap();
    let errors = Errors {
        sqlx: execute(&mut connection, UPDATE).await.unwrap_err(),
        tokio_postgres: client.batch_execute(UPDATE).await.unwrap_err(),
    };
    errors.assert_code("40001");
    errors.assert_row(ROLLED_BACK);
}

#[tokio::test]
async fn a_deadlock_is_transient_without_effect() {
    // The victim is the session that begins to wait last, since the other one looks for deadlocks after an hour.
    const HOLD: &str = "SET deadlock_timeout = '1ms'; BEGIN; LOCK TABLE first";
    const WAIT: &str = "LOCK TABLE second";

    run("CREATE TABLE first (); CREATE TABLE second ()").await;
    let mut connection = session().await;
    execute(&mut connection, HOLD).await.unwrap();
    let other = waiting_for_first().await;
    let sqlx = execute(&mut connection, WAIT).await.unwrap_err();
    other.await.unwrap();
    drop(connection);

    let client = tokio_postgres_as("owner", shared()).await.unwrap();
    client.batch_execute(HOLD).await.unwrap();
    let other = waiting_for_first().await;
    let tokio_postgres = client.batch_execute(WAIT).await.unwrap_err();
    other.await.unwrap();

    let errors = Errors { sqlx, tokio_postgres };
    errors.assert_code("40P01");
    errors.assert_row(ROLLED_BACK);
}

/// Starts a session that holds the table `second` and waits for the table `first`.
async fn waiting_for_first() -> tokio::task::JoinHandle<()> {
    let task = tokio::spawn(async {
        let mut session = session().await;
        execute(&mut session, "SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE second").await.unwrap();
        execute(&mut session, "LOCK TABLE first").await.unwrap();
    });
    let mut observer = session().await;
    let waits = "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'first'::regclass AND NOT granted";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut observer).await.unwrap() {}
    task
}

#[tokio::test]
async fn a_failure_to_connect_is_transient_or_permanent_by_its_cause() {
    run("CREATE ROLE guarded LOGIN PASSWORD 'herring'; CREATE ROLE crowd LOGIN CONNECTION LIMIT 0").await;

    let refused = connect_errors("owner", Host::Address(refusing())).await;
    refused.assert_row("connection refused");
    for address in [closing().await, resetting().await] {
        connect_errors("owner", Host::Address(address)).await.assert_row("connection lost while connecting");
    }
    let crowded = connect_errors("crowd", shared()).await;
    crowded.assert_code("53300");
    crowded.assert_row("too many connections (`53300`)");

    let password = connect_errors("guarded", shared()).await;
    password.assert_code("28P01");
    assert_hides(&[PASSWORD, "herring"], &password.sqlx);
    assert_hides(&[PASSWORD, "herring"], &password.tokio_postgres);
    password.assert_row("wrong password (`28P01`)");

    let missing = Host::Socket(Path::new(env!("CARGO_TARGET_TMPDIR")));
    assert_row(TOKIO_POSTGRES, "missing socket file", tokio_postgres_as("owner", missing).await.err().unwrap());
    assert_row(SQLX, "missing socket file", sqlx_as("owner", missing).await.unwrap_err());
}

#[tokio::test]
async fn servers_without_the_required_role_are_a_failover() {
    run("CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on").await;
    let mut config = config(shared());
    config.user("reader").target_session_attrs(TargetSessionAttrs::ReadWrite);
    let error = connect(&config).await.err().unwrap();
    assert_row(TOKIO_POSTGRES, "no server with the `target_session_attrs`", error);
}

/// The server had committed the row whose response was lost, and never got the row whose request was lost.
#[tokio::test]
async fn a_statement_whose_response_is_lost_may_have_taken_effect() {
    run("CREATE TABLE payments (client text)").await;
    for (loses, rows) in [(Loses::Request, 0_i64), (Loses::Response, 2)] {
        let proxy = Proxy::start(Server::postgres().socket(), loses).await;
        let insert = format!("INSERT INTO payments VALUES ('{CUT}')");
        statement_errors(Host::Address(proxy.address), "", &insert).await.assert_row(LOST);
        let count = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(&mut session().await).await;
        assert_eq!(count.ok(), Some(rows));
    }
}

#[tokio::test]
async fn a_session_that_was_idle_for_too_long_is_transient_without_effect() {
    let checks = [
        ("25P03", "SET idle_in_transaction_session_timeout = '1ms'; BEGIN"),
        ("57P05", "SET idle_session_timeout = '1ms'"),
    ];
    for (code, setup) in checks {
        let proxy = Proxy::start(Server::postgres().socket(), Loses::Request).await;
        let host = Host::Address(proxy.address);
        let mut connection = sqlx_as("owner", host).await.unwrap();
        execute(&mut connection, setup).await.unwrap();
        proxy.closed(1).await;
        let sqlx = execute(&mut connection, "SELECT 1").await.unwrap_err();
        // The connection gets the error while no statement runs. Statements get the error that the connection is closed.
        let (client, connection) = config(host).user("owner").connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(setup).await.unwrap();
        let tokio_postgres = connection.await.unwrap().unwrap_err();
        let closed = client.batch_execute("SELECT 1").await.unwrap_err();

        let errors = Errors { sqlx, tokio_postgres };
        errors.assert_code(code);
        errors.assert_row("idle for too long, in a transaction or outside (`25P03`, `57P05`)");
        assert!(closed.is_closed(), "{closed:?}");
        assert_row(TOKIO_POSTGRES, "statement on a closed connection", closed);
    }
}

#[tokio::test]
async fn an_exhausted_pool_is_transient_without_effect() {
    let options = PgConnectOptions::new_without_pgpass().username("owner").database("postgres");
    let options = options.socket(Server::postgres().folder());
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_mins(1));
    let pool = pool.connect_with(options).await.unwrap();
    let connection = pool.acquire().await.unwrap();
    tokio::time::pause();
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error:?}");
    assert_row(SQLX, "timeout of the pool", error);
    tokio::time::resume();
    drop(connection);
    pool.close().await;
    assert_row(SQLX, "closed pool", pool.acquire().await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_while_connecting_has_no_effect() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // The queue of a listener that accepts nothing is full after two connections.
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _queue = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let mut config = config(Host::Address(address));
    config.user("owner").connect_timeout(Duration::from_mins(1));
    assert_row(TOKIO_POSTGRES, "timeout while connecting", connect(&config).await.err().unwrap());
}

/// A statement that signals a process of the server, and then waits. The program ignores the signals that the server then sends to its
/// processes.
fn signal(name: &str, process: &str) -> String {
    let program = format!("trap \"\" TERM QUIT; cat >/dev/null; kill -{name} {process}");
    format!("COPY (SELECT 1) TO PROGRAM '{program}'; SELECT pg_sleep(3600)")
}

/// Connects to a server that is starting again.
async fn reconnect(host: Host<'_>) -> PgConnection {
    loop {
        match sqlx_as("owner", host).await {
            Ok(connection) => return connection,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_out_of_memory_or_with_a_crash_is_transient() {
    let server = Server::new_postgres();
    let host = Host::Socket(server.folder());
    let locks = "SELECT pg_advisory_xact_lock(key) FROM generate_series(1, 100000) AS keys (key)";
    let errors = statement_errors(host, "", locks).await;
    errors.assert_code("53200");
    errors.assert_row(OUT_OF_RESOURCES);

    // The server ends all sessions when the process of one of them is killed.
    let mut victim = sqlx_as("owner", host).await.unwrap();
    let mut connection = sqlx_as("owner", host).await.unwrap();
    let sqlx = execute(&mut connection, &signal("KILL", &process_id(&mut victim).await)).await.unwrap_err();
    let mut victim = reconnect(host).await;
    let client = tokio_postgres_as("owner", host).await.unwrap();
    let kill = signal("KILL", &process_id(&mut victim).await);
    let tokio_postgres = client.batch_execute(&kill).await.unwrap_err();
    Errors { sqlx, tokio_postgres }.assert_row(LOST);
}

async fn process_id(connection: &mut PgConnection) -> String {
    sqlx::query_scalar("SELECT pg_backend_pid()::text").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_server_that_shuts_down_is_transient() {
    const SERVER: &str = "$(head -n 1 postmaster.pid)";
    const SLEEPS: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%3600%' \
                          AND pid <> pg_backend_pid()";

    let server = Server::new_postgres();
    let host = Host::Socket(server.folder());
    let mut session = sqlx_as("owner", host).await.unwrap();
    let client = tokio_postgres_as("owner", host).await.unwrap();

    // SIGTERM waits for the sessions to end, and rejects new ones.
    let shutdown = tokio::spawn(async move { client.batch_execute(&signal("TERM", SERVER)).await.unwrap_err() });
    while sqlx_as("owner", host).await.is_ok() {}
    let errors = connect_errors("owner", host).await;
    errors.assert_code("57P03");
    errors.assert_row("starting or shutting down (`57P03`)");

    // SIGINT ends the sessions.
    while !sqlx::query_scalar::<_, bool>(SLEEPS).fetch_one(&mut session).await.unwrap() {}
    let sqlx = execute(&mut session, &signal("INT", SERVER)).await.unwrap_err();
    let errors = Errors { sqlx, tokio_postgres: shutdown.await.unwrap() };
    errors.assert_code("57P01");
    errors.assert_row(TERMINATED);
}
