//! The same outage for several processes, each by itself and then as a fleet that shares its breaker: `--redis`.
//!
//! The processes are this program once more, as an [`instance`]; they call one payment service, which is here.

mod compare;
mod instance;

use std::cell::Cell;
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use futures_util::future::try_join_all;
use steadfast_redis::{Fleet, FleetEvent};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use self::compare::Played;
pub(crate) use self::instance::run as run_instance;
use self::instance::{Change, Process, Setup, Told};
use crate::checkout::Lane;
use crate::load::{self, Call, PATIENCE, Recording, Settings};
use crate::progress::{LaneBar, Progress};
use crate::script::Mode;
use crate::service::PaymentService;

/// How long a process may take to start and to find Redis.
const STARTING: Duration = Duration::from_secs(10);
const SHOW_EVERY: Duration = Duration::from_millis(50);

/// Plays the script twice; gives what there is to say of it.
pub(crate) async fn play(redis: &str, instances: u32, settings: &Settings) -> anyhow::Result<String> {
    anyhow::ensure!(instances <= settings.rps, "{instances} instances need --rps {instances} at least");
    // Others may play on the same Redis at the same time.
    let application = format!("steadfast-demo-{}", std::process::id());
    find(redis, &application).await?;
    let progress = Progress::new(&settings.script);
    // Both bars stand there from the beginning.
    let lanes = [("alone", None, progress.lane("alone")?), ("fleet", Some(redis.to_owned()), progress.lane("fleet")?)];
    let mut played = Vec::new();
    for (name, redis, bar) in lanes {
        let share = Settings { rps: settings.rps / instances, ..settings.clone() };
        let recorded = record(redis, &application, instances, share, &bar).await;
        played.push((name, recorded.with_context(|| format!("`{name}` broke off"))?));
        bar.done();
    }
    Ok(compare::report(&played))
}

/// Makes sure that there is a Redis, so that nobody waits for a comparison with nothing.
async fn find(redis: &str, application: &str) -> anyhow::Result<()> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let on_event = move |event: &FleetEvent| _ = tell.send(event.clone());
    let fleet = Fleet::connect(redis).application(application).on_event(on_event).start()?;
    let first = time::timeout(STARTING, told.recv()).await.context("no Redis answers there")?;
    fleet.stop().await;
    match first {
        Some(FleetEvent::Unavailable { error, .. }) => Err(error).context("--redis wants a Redis that answers"),
        _ => Ok(()),
    }
}

async fn record(
    redis: Option<String>,
    application: &str,
    instances: u32,
    settings: Settings,
    bar: &LaneBar,
) -> anyhow::Result<Played> {
    let service = PaymentService::start().context("cannot start the payment service")?;
    let log = service.log();
    let setup = Setup { service: service.address(), redis, application: application.to_owned(), settings };
    let mut processes = Vec::new();
    for _ in 0..instances {
        processes.push(Process::start(&setup).await.context("cannot start a process")?);
    }
    for process in &mut processes {
        let told = time::timeout(STARTING, process.next()).await.context("a process does not start")??;
        anyhow::ensure!(matches!(told, Told::Ready), "a process is not ready");
    }
    let (start, began) = (Instant::now(), unix_micros());
    for process in &mut processes {
        process.begin().await?;
    }

    let script = &setup.settings.script;
    let (mode, open) = (Cell::new(Mode::Healthy), Cell::new(0_u32));
    let watch = async || -> Infallible {
        let mut show = time::interval(SHOW_EVERY);
        loop {
            show.tick().await;
            let rest = format_args!("{} of {instances} circuits open", open.get());
            bar.show(start.elapsed(), mode.get(), &rest);
        }
    };
    let limit = script.total() + PATIENCE + Lane::Guarded.time_out(setup.settings.naive_timeout);
    let listening = try_join_all(processes.iter_mut().map(|process| listen(process, began, &open)));
    let both = async { tokio::try_join!(load::direct(service, script, start, &mode), listening) };
    let ((service, phases), heard) = tokio::select! {
        both = time::timeout(limit, both) => both.context("the processes do not end")??,
        never = watch() => match never {},
    };
    drop(service);
    let since_start = |at: std::time::Instant| at.saturating_duration_since(start.into_std());
    let requests = log.requests().into_iter().map(|(at, mode)| load::Request { at: since_start(at), mode }).collect();
    let mut recording =
        Recording { lane: Lane::Guarded, phases, calls: Vec::new(), requests, refused: 0, breaker: Vec::new() };
    let mut changes = Vec::new();
    for heard in heard {
        recording.calls.extend(heard.calls);
        recording.refused += heard.refused;
        changes.push(heard.changes);
    }
    Ok(Played { recording, changes })
}

/// What a process has told.
#[derive(Default)]
struct Heard {
    changes: Vec<(Duration, Change)>,
    calls: Vec<Call>,
    refused: usize,
}

/// Listens until the process has told everything.
async fn listen(process: &mut Process, began: u64, open: &Cell<u32>) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    loop {
        match process.next().await? {
            Told::Ready => {}
            Told::Changed { at, change } => {
                match change {
                    Change::Opened => open.set(open.get() + 1),
                    Change::Closed => open.set(open.get().saturating_sub(1)),
                }
                heard.changes.push((Duration::from_micros(at.saturating_sub(began)), change));
            }
            Told::Ended { calls, refused } => return Ok(Heard { calls, refused, ..heard }),
        }
    }
}

/// The one clock that processes share.
fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
