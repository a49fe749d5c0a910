//! One process of the shop. It reads its setup from standard input and writes messages to standard output, as lines of JSON.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, io};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steadfast::BreakerState;
use steadfast::events::{self, Event};
use steadfast_redis::Fleet;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time;

use crate::checkout::Lane;
use crate::load::{Call, LaneRun, Settings};
use crate::payments::Payments;

/// The maximum time that a process may take to start and to connect to Redis.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The setup of a process. It is sent through a pipe because command lines are visible to all users, and the address of Redis may
/// contain a password.
#[derive(Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) service: SocketAddr,
    /// The Redis through which the process shares its breaker; `None` to keep it local.
    pub(super) redis: Option<String>,
    pub(super) application: String,
    pub(super) settings: Settings,
}

/// A message from a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    Ready,
    /// The breaker has opened from the closed state, or closed.
    Changed {
        /// In microseconds since 1970.
        at: u64,
        change: Change,
    },
    Ended {
        calls: Vec<Call>,
        refused: usize,
    },
}

/// A transition out of or into the closed state. Transitions between open and half-open are not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Opened,
    Closed,
}

/// The parent's handle to a process, which is killed on drop.
pub(super) struct Process {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(super) async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--instance").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("the process has no pipes")
        };
        let line = serde_json::to_string(setup)?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(Self { _child: child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Tells the process to start its callers.
    pub(super) async fn begin(&mut self) -> io::Result<()> {
        self.stdin.write_all(b"\n").await
    }

    /// Returns the next message.
    pub(super) async fn next(&mut self) -> anyhow::Result<Message> {
        let line = self.lines.next_line().await?.context("a process ended unexpectedly")?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// Runs a process: reads the setup from standard input, waits for the start, and runs the callers.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let setup = lines.next_line().await?.context("`--instance` is used by `--redis` only")?;
    let Setup { service, redis, application, settings } = serde_json::from_str(&setup)?;
    let lane = Lane::Guarded;
    let breaker = lane.breaker().context("the lane has no breaker")?;
    events::subscribe(move |event| {
        let change = match event {
            Event::StateChanged { breaker: name, from, to, .. } if *name == breaker.name() => change(*from, *to),
            _ => None,
        };
        if let Some(change) = change {
            send(&Message::Changed { at: unix_micros(), change });
        }
    })
    .forever();
    let fleet = match redis {
        Some(redis) => Some(Fleet::connect(&redis).application(&application).share(breaker).start()?),
        None => None,
    };
    if let Some(fleet) = &fleet {
        time::timeout(START_TIMEOUT, fleet.available()).await.context("Redis does not answer")?;
    }
    let payments = Arc::new(Payments::new(service, lane.timeout(settings.naive_timeout))?);
    send(&Message::Ready);
    lines.next_line().await?.context("the parent process has ended")?;
    let calls = LaneRun::new(lane, &settings).send_callers(&payments).await?;
    send(&Message::Ended { calls, refused: payments.refused() });
    if let Some(fleet) = fleet {
        fleet.stop().await;
    }
    Ok(())
}

fn change(from: BreakerState, to: BreakerState) -> Option<Change> {
    match (from, to) {
        (BreakerState::Closed, _) => Some(Change::Opened),
        (_, BreakerState::Closed) => Some(Change::Closed),
        _ => None,
    }
}

/// Writes a message to standard output. Errors are ignored: they mean that the parent process has ended.
fn send(message: &Message) {
    let mut out = io::stdout().lock();
    if serde_json::to_writer(&mut out, message).is_ok() {
        _ = io::Write::write_all(&mut out, b"\n");
    }
}

/// Returns the microseconds since 1970: the processes share the system clock.
pub(super) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
