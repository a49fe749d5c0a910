//! The same outage on real sockets for three checkouts: one with a timeout only, one with retries, and one with retries, a circuit
//! breaker and a fallback. `--help` lists the options.

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
use crate::measure::LaneStats;
use crate::progress::Progress;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.instance {
        return fleet::run_instance().await;
    }
    let settings = args.settings();
    if let Some(redis) = &args.redis {
        raise_socket_limit(&settings)?;
        println!("{}", fleet::compare(redis, args.instances, &settings).await?);
        return Ok(());
    }
    if let Some(address) = args.serve {
        raise_socket_limit(&settings)?;
        return serve::serve(address, settings).await;
    }
    let picture = args.picture()?;
    if let Some(folder) = picture.parent() {
        // Created before the run, so that a wrong path is reported at once.
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    raise_socket_limit(&settings)?;

    let progress = Progress::new(&settings.script);
    let lanes = args.lanes().into_iter().map(|lane| Ok((lane, progress.lane(lane.name())?)));
    let lanes = lanes.collect::<anyhow::Result<Vec<_>>>()?;
    let mut recordings = Vec::new();
    for (lane, bar) in lanes {
        let recording = load::play(lane, &settings, &bar).await;
        recordings.push(recording.with_context(|| format!("the {} lane failed", lane.name()))?);
        bar.done();
    }

    let stats: Vec<_> = recordings.iter().map(|recording| (recording.lane, LaneStats::of(recording))).collect();
    println!("{}", report::report(&stats, &settings));

    let svg = picture::draw(&recordings, settings.rps).context("cannot draw the picture")?;
    fs::write(&picture, svg).with_context(|| format!("cannot write {}", picture.display()))?;
    println!("Chart written to {}", picture.display());
    Ok(())
}

/// Raises the limit of open files to the number of sockets that a lane needs: two per waiting caller, since this process owns both
/// ends.
///
/// The naive lane needs about a thousand; the default limits are 1,024 (Linux) and 256 (macOS).
#[cfg(unix)]
fn raise_socket_limit(settings: &Settings) -> anyhow::Result<()> {
    const OTHER_FILES: u64 = 256;
    let waiting_seconds = settings.naive_timeout.min(settings.script.total()).as_secs() + 1;
    let needed = 2 * waiting_seconds * u64::from(settings.rps) + OTHER_FILES;
    let allowed = rlimit::increase_nofile_limit(needed)?;
    anyhow::ensure!(
        allowed >= needed,
        "this load may need {needed} open files, but the system allows {allowed}: lower --rps or --naive-timeout, or \
         raise the hard limit (`ulimit -Hn`)"
    );
    Ok(())
}

#[cfg(not(unix))]
fn raise_socket_limit(_: &Settings) -> anyhow::Result<()> {
    Ok(())
}
