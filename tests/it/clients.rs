//! The classification of real errors of client libraries as transient or permanent, with servers on this machine.

mod redis;
#[path = "../clients/servers.rs"]
mod servers;
mod sqlx;

use anyhow::Context as _;
use steadfast::{RetryPolicy, Schedule};

use self::servers::{PERMANENT, TRANSIENT, answering, assert_verdict, closing, refusing, resetting, server, silent};

#[tokio::test]
async fn a_policy_retries_anyhow_errors() {
    let address = refusing().await;
    let policy = RetryPolicy::new().max_attempts(3).backoff(Schedule::none());
    let mut attempts = 0;
    let result = policy.run(|| {
        attempts += 1;
        std::net::TcpStream::connect(address).context("while connecting")
    });
    result.unwrap_err();
    assert_eq!(attempts, 3);
}
