//! A process of the shop: told what to do on its standard input, a line of JSON each; tells what happens on its standard output.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::{env, io};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steadfast::BreakerState;
use steadfast::events::{self, Event};
use steadfast_redis::Fleet;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time;

use super::{STARTING, unix_micros};
use crate::checkout::Lane;
use crate::load::{Call, Settings, Stage};
use crate::payments::Payments;

/// What a process is to do. It goes through a pipe, as what is on a command line is seen by everybody.
#[derive(Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) service: SocketAddr,
    /// Through which it shares its breaker, if it does.
    pub(super) redis: Option<String>,
    pub(super) application: String,
    pub(super) settings: Settings,
}

/// What a process tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Ready,
    /// Its circuit has changed, so many microseconds after 1970.
    Changed {
        at: u64,
        change: Change,
    },
    Ended {
        calls: Vec<Call>,
        refused: usize,
    },
}

/// From closed, and back to closed: what lies between them comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Opened,
    Closed,
}

/// A process, seen from the one that has started it; ends with it.
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
            anyhow::bail!("it has no pipes")
        };
        let line = serde_json::to_string(setup)?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(Self { _child: child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Lets it send its callers.
    pub(super) async fn begin(&mut self) -> io::Result<()> {
        self.stdin.write_all(b"\n").await
    }

    /// What it tells next.
    pub(super) async fn next(&mut self) -> anyhow::Result<Told> {
        let line = self.lines.next_line().await?.context("a process has ended too early")?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// What the process does: sends the callers of the setup on its standard input, once it is told to begin.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let setup = lines.next_line().await?.context("an instance is started by `--redis`, not by hand")?;
    let Setup { service, redis, application, settings } = serde_json::from_str(&setup)?;
    let lane = Lane::Guarded;
    let breaker = lane.breaker().context("the lane has a breaker")?;
    events::subscribe(move |event| {
        let change = match event {
            Event::StateChanged { breaker: name, from, to, .. } if *name == breaker.name() => change(*from, *to),
            _ => None,
        };
        if let Some(change) = change {
            tell(&Told::Changed { at: unix_micros(), change });
        }
    })
    .forever();
    let fleet = match redis {
        Some(redis) => Some(Fleet::connect(&redis).application(&application).share(breaker).start()?),
        None => None,
    };
    if let Some(fleet) = &fleet {
        time::timeout(STARTING, fleet.available()).await.context("Redis does not answer")?;
    }
    let payments = Arc::new(Payments::new(service, lane.time_out(settings.naive_timeout))?);
    tell(&Told::Ready);
    lines.next_line().await?.context("the demo has ended")?;
    let calls = Stage::new(lane, &settings).send_callers(&payments).await?;
    tell(&Told::Ended { calls, refused: payments.refused() });
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

/// A line for whoever has started it; nobody listens any more if that fails.
fn tell(told: &Told) {
    let mut out = io::stdout().lock();
    if serde_json::to_writer(&mut out, told).is_ok() {
        _ = io::Write::write_all(&mut out, b"\n");
    }
}
