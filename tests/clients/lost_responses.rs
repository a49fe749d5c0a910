//! Calls that are not idempotent, retried with `had_no_effect`: over real connections that are refused, or lost after the request.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions, raw_sql};
use steadfast::{RetryPolicy, Schedule, Transient, had_no_effect, retry};
use tokio::io::AsyncReadExt as _;

use super::{
    database_servers::Server,
    peers::{CUT, Loses, Proxy, refusing, server},
};

/// Counts the attempts.
#[derive(Default)]
struct Attempts(AtomicU32);

impl Attempts {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

async fn post(address: SocketAddr, attempts: &Attempts) -> Result<(), reqwest::Error> {
    attempts.add();
    reqwest::Client::new().post(format!("http://{address}/charges")).body("42").send().await.map(drop)
}

#[retry(max_attempts = 3, backoff = none, retry_if = had_no_effect)]
async fn charge(address: SocketAddr, attempts: &Attempts) -> Result<(), reqwest::Error> {
    post(address, attempts).await
}

#[retry(max_attempts = 3, backoff = none, retry_if = had_no_effect)]
async fn charge_anyhow(address: SocketAddr, attempts: &Attempts) -> anyhow::Result<()> {
    Ok(post(address, attempts).await?)
}

#[retry(max_attempts = 3, backoff = none, retry_if = had_no_effect)]
async fn charge_boxed(address: SocketAddr, attempts: &Attempts) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(post(address, attempts).await?)
}

#[derive(Debug, thiserror::Error, Transient)]
enum ChargeError {
    #[error(transparent)]
    #[transient(inherit)]
    Http(#[from] reqwest::Error),
}

#[retry(max_attempts = 3, backoff = none, retry_if = had_no_effect)]
async fn charge_derived(address: SocketAddr, attempts: &Attempts) -> Result<(), ChargeError> {
    Ok(post(address, attempts).await?)
}

/// Starts a server that reads the request and closes the connection, and counts the requests.
async fn losing_responses() -> (SocketAddr, Arc<Attempts>) {
    let requests = Arc::new(Attempts::default());
    let counter = requests.clone();
    let address = server(move |mut connection| {
        let requests = counter.clone();
        async move {
            _ = connection.read(&mut [0; 4096]).await;
            requests.add();
        }
    });
    (address.await, requests)
}

#[tokio::test]
async fn a_post_is_retried_if_it_was_refused_and_not_if_its_response_was_lost() {
    let (losing, requests) = losing_responses().await;
    for (address, expected) in [(refusing(), 3), (losing, 1)] {
        let attempts = Attempts::default();
        charge(address, &attempts).await.unwrap_err();
        assert_eq!(attempts.take(), expected);
        charge_anyhow(address, &attempts).await.unwrap_err();
        assert_eq!(attempts.take(), expected, "anyhow");
        charge_boxed(address, &attempts).await.unwrap_err();
        assert_eq!(attempts.take(), expected, "boxed");
        charge_derived(address, &attempts).await.unwrap_err();
        assert_eq!(attempts.take(), expected, "derived");
        let policy = RetryPolicy::new().max_attempts(3).backoff(Schedule::none());
        policy.retry_if(had_no_effect).run_async(async || post(address, &attempts).await).await.unwrap_err();
        assert_eq!(attempts.take(), expected, "a policy");
    }
    assert_eq!(requests.take(), 5);
}

/// By default, a lost response is retried: the call is assumed to be idempotent.
#[tokio::test]
async fn a_lost_response_is_retried_by_default() {
    #[retry(max_attempts = 3, backoff = none)]
    async fn put(address: SocketAddr, attempts: &Attempts) -> Result<(), reqwest::Error> {
        post(address, attempts).await
    }

    let (losing, requests) = losing_responses().await;
    put(losing, &Attempts::default()).await.unwrap_err();
    assert_eq!(requests.take(), 3);
}

async fn connect(address: SocketAddr) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(address.port());
    PgConnection::connect_with(&options.username("owner").database("postgres")).await
}

/// Inserts a payment, and fails at first with a serialization failure.
#[retry(max_attempts = 3, backoff = none, retry_if = had_no_effect)]
async fn pay(address: SocketAddr, reference: &str, attempts: &Attempts) -> sqlx::Result<()> {
    attempts.add();
    let mut connection = connect(address).await?;
    if attempts.0.load(Ordering::Relaxed) == 1 {
        raw_sql("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$").execute(&mut connection).await?;
    }
    let insert = format!("INSERT INTO paid VALUES ('{reference}')");
    raw_sql(AssertSqlSafe(insert)).execute(&mut connection).await.map(drop)
}

#[tokio::test]
async fn a_transaction_is_retried_if_it_was_rolled_back_and_not_if_its_response_was_lost() {
    let proxy = Proxy::start(Server::postgres().socket(), Loses::Response).await;
    let mut connection = connect(proxy.address).await.unwrap();
    raw_sql("CREATE TABLE paid (reference text)").execute(&mut connection).await.unwrap();

    let attempts = Attempts::default();
    pay(proxy.address, "answered", &attempts).await.unwrap();
    assert_eq!(attempts.take(), 2, "the transaction was rolled back");
    pay(proxy.address, CUT, &attempts).await.unwrap_err();
    assert_eq!(attempts.take(), 2, "the transaction was rolled back, then the response was lost");
    let paid: i64 = sqlx::query_scalar("SELECT count(*) FROM paid").fetch_one(&mut connection).await.unwrap();
    assert_eq!(paid, 2);
}
