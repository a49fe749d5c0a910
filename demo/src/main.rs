//! An outage on real sockets, three times over: a checkout with a time-out only, one that retries, and one that
//! retries through a circuit breaker with a fallback. `--help` says what can be changed.

mod args;
mod checkout;
mod fleet;
mod load;
mod measure;
mod payments;
mod picture;
mod progress;
mod report;
mod script;
mod serve;
mod service;

use std::fs;

use anyhow::Context;
use clap::Parser;

use crate::args::Args;
use crate::load::Settings;
use crate::measure::Figures;
use crate::progress::Progress;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.instance {
        return fleet::run_instance().await;
    }
    let settings = args.settings();
    if let Some(redis) = &args.redis {
        allow_sockets(&settings)?;
        println!("{}", fleet::play(redis, args.instances, &settings).await?);
        return Ok(());
    }
    if let Some(address) = args.serve {
        allow_sockets(&settings)?;
        return serve::serve(address, settings).await;
    }
    let picture = args.picture()?;
    if let Some(folder) = picture.parent() {
        // Now: nobody should wait 45 s to be told that the path is wrong.
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    allow_sockets(&settings)?;

    let progress = Progress::new(&settings.script);
    let lanes = args.lanes().into_iter().map(|lane| Ok((lane, progress.lane(lane.name())?)));
    let lanes = lanes.collect::<anyhow::Result<Vec<_>>>()?;
    let mut recordings = Vec::new();
    for (lane, bar) in lanes {
        let recording = load::play(lane, &settings, &bar).await;
        recordings.push(recording.with_context(|| format!("the {} lane broke off", lane.name()))?);
        bar.done();
    }

    let figures: Vec<_> = recordings.iter().map(|recording| (recording.lane, Figures::of(recording))).collect();
    println!("{}", report::report(&figures, &settings));

    let svg = picture::draw(&recordings, settings.rps).context("cannot draw the picture")?;
    fs::write(&picture, svg).with_context(|| format!("cannot write {}", picture.display()))?;
    println!("The picture: {}", picture.display());
    Ok(())
}

/// Lets the process open as many sockets as a lane can need: two for each caller who waits, as both ends are ours.
///
/// The naive lane makes that a thousand, and systems allow 1,024 (Linux) or 256 (macOS) unless asked for more.
#[cfg(unix)]
fn allow_sockets(settings: &Settings) -> anyhow::Result<()> {
    const OTHERS: u64 = 256;
    let waiting = settings.naive_timeout.min(settings.script.total()).as_secs() + 1;
    let needed = 2 * waiting * u64::from(settings.rps) + OTHERS;
    let allowed = rlimit::increase_nofile_limit(needed)?;
    anyhow::ensure!(
        allowed >= needed,
        "this load may need {needed} open files, and the system allows {allowed}: lower --rps or --naive-timeout, or \
         raise the limit (`ulimit -Hn`)"
    );
    Ok(())
}

#[cfg(not(unix))]
fn allow_sockets(_: &Settings) -> anyhow::Result<()> {
    Ok(())
}
