//! The same outage for several processes, first independent of each other and then as a fleet with a shared breaker: `--redis`.
//!
//! Each process runs this program as an [`instance`]. All of them call one payment service, which runs in the parent process.

mod compare;
mod instance;

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use steadfast_redis::{Fleet, FleetEvent};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use self::compare::GroupRecording;
pub(crate) use self::instance::run as run_instance;
use self::instance::{Change, Message, Process, START_TIMEOUT, Setup, unix_micros};
use crate::checkout::Lane;
use crate::load::{self, Call, Recording, Settings};
use crate::progress::{LaneBar, Progress};
use crate::script::Mode;
use crate::service::PaymentService;

const SHOW_EVERY: Duration = Duration::from_millis(50);

/// Runs the script twice, without and with a fleet, and returns the report.
pub(crate) async fn compare(redis: &str, instances: u32, settings: &Settings) -> anyhow::Result<String> {
    anyhow::ensure!(instances <= settings.rps, "{instances} instances need at least --rps {instances}");
    // The name is unique among demos that use the same Redis at the same time.
    let application = format!("steadfast-demo-{}", std::process::id());
    check_redis(redis, &application).await?;
    let progress = Progress::new(&settings.script);
    // Both bars are created before the first run, so that both are visible from the start.
    let lanes = [("alone", None, progress.lane("alone")?), ("fleet", Some(redis.to_owned()), progress.lane("fleet")?)];
    let mut recordings = Vec::new();
    for (name, redis, bar) in lanes {
        let share = Settings { rps: settings.rps / instances, ..settings.clone() };
        let recording = record(redis, &application, instances, share, &bar).await;
        recordings.push((name, recording.with_context(|| format!("the run `{name}` failed"))?));
        bar.done();
    }
    Ok(compare::report(&recordings))
}

/// Checks that Redis is available before the runs start.
async fn check_redis(redis: &str, application: &str) -> anyhow::Result<()> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let on_event = move |event: &FleetEvent| _ = sender.send(event.clone());
    let fleet = Fleet::connect(redis).application(application).on_event(on_event).start()?;
    let first = time::timeout(START_TIMEOUT, events.recv()).await.context("Redis does not answer")?;
    fleet.stop().await;
    match first {
        Some(FleetEvent::Unavailable { error, .. }) => Err(error).context("--redis requires an available Redis"),
        _ => Ok(()),
    }
}

async fn record(
    redis: Option<String>,
    application: &str,
    instances: u32,
    settings: Settings,
    bar: &LaneBar,
) -> anyhow::Result<GroupRecording> {
    let service = PaymentService::start().context("cannot start the payment service")?;
    let log = service.log();
    let setup = Setup { service: service.address(), redis, application: application.to_owned(), settings };
    let mut processes = Vec::new();
    for _ in 0..instances {
        processes.push(Process::start(&setup).await.context("cannot start a process")?);
    }
    for process in &mut processes {
        let message = time::timeout(START_TIMEOUT, process.next()).await.context("a process does not start")??;
        anyhow::ensure!(matches!(message, Message::Ready), "a process is not ready");
    }
    let (start, start_micros) = (Instant::now(), unix_micros());
    for process in &mut processes {
        process.begin().await?;
    }

    let script = &setup.settings.script;
    let (mode, open) = (Cell::new(Mode::Healthy), Cell::new(0_u32));
    let watch = async || -> Infallible {
        let mut show = time::interval(SHOW_EVERY);
        loop {
            show.tick().await;
            let lane_state = format_args!("{} of {instances} breakers open", open.get());
            bar.show(start.elapsed(), mode.get(), &lane_state);
        }
    };
    let limit = script.total() + setup.settings.drain_timeout(Lane::Guarded);
    let collecting = try_join_all(processes.iter_mut().map(|process| collect(process, start_micros, &open)));
    let both = async { tokio::try_join!(load::run_script(service, script, start, &mode), collecting) };
    let ((service, phases), records) = tokio::select! {
        both = time::timeout(limit, both) => both.context("the processes do not end")??,
        never = watch() => match never {},
    };
    drop(service);
    let since_start = |at: std::time::Instant| at.saturating_duration_since(start.into_std());
    let requests = log.requests().into_iter().map(|(at, mode)| load::Request { at: since_start(at), mode }).collect();
    let mut recording =
        Recording { lane: Lane::Guarded, phases, calls: Vec::new(), requests, refused: 0, breaker: Vec::new() };
    let mut changes = Vec::new();
    for record in records {
        recording.calls.extend(record.calls);
        recording.refused += record.refused;
        changes.push(record.changes);
    }
    Ok(GroupRecording { recording, changes })
}

/// The messages of one process.
#[derive(Default)]
struct InstanceRecord {
    changes: Vec<(Duration, Change)>,
    calls: Vec<Call>,
    refused: usize,
}

/// Collects the messages of a process until its last one, and counts the open breakers. Times are relative to `start_micros`.
async fn collect(process: &mut Process, start_micros: u64, open: &Cell<u32>) -> anyhow::Result<InstanceRecord> {
    let mut record = InstanceRecord::default();
    loop {
        match process.next().await? {
            Message::Ready => {}
            Message::Changed { at, change } => {
                match change {
                    Change::Opened => open.set(open.get() + 1),
                    Change::Closed => open.set(open.get().saturating_sub(1)),
                }
                record.changes.push((Duration::from_micros(at.saturating_sub(start_micros)), change));
            }
            Message::Ended { calls, refused } => return Ok(InstanceRecord { calls, refused, ..record }),
        }
    }
}
