//! The same outage on real sockets for several checkouts, from one with a timeout only to one with retries, a circuit breaker and a
//! fallback. `--help` lists the scenes and the options.

mod args;
mod checkout;
mod fleet;
mod load;
mod measure;
mod payments;
mod picture;
mod progress;
mod report;
mod scene;
mod script;
mod serve;
mod service;

use std::fs;

use anyhow::Context;
use clap::Parser;
use futures_util::future::try_join_all;

use crate::args::Args;
use crate::checkout::Lane;
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
    let lanes = args.lanes();
    raise_socket_limit(&lanes, &settings)?;
    if let Some(redis) = &args.redis {
        println!("{}", fleet::compare(redis, args.instances, &settings).await?);
        return Ok(());
    }
    if let Some(address) = args.serve {
        return serve::serve(address, &lanes, settings).await;
    }
    let picture = args.picture()?;
    if let Some(folder) = picture.parent() {
        // Created before the run, so that a wrong path is reported at once.
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }

    let progress = Progress::new(&settings.script);
    let play = async |lane: Lane| {
        let bar = progress.lane(lane.name())?;
        let recording =
            load::play(lane, &settings, &bar).await.with_context(|| format!("the {} lane failed", lane.name()))?;
        bar.done();
        anyhow::Ok(recording)
    };
    let recordings = try_join_all(lanes.into_iter().map(play)).await?;

    let stats: Vec<_> = recordings.iter().map(|recording| (recording.lane, LaneStats::of(recording))).collect();
    println!("{}", report::report(&stats, &settings));

    let svg = picture::draw(&recordings, &settings).context("cannot draw the picture")?;
    fs::write(&picture, svg).with_context(|| format!("cannot write {}", picture.display()))?;
    println!("Chart written to {}", picture.display());
    Ok(())
}

/// Raises the limit of open files to the number of sockets that the lanes need: two per waiting caller, since this process owns both
/// ends.
///
/// The scene `outage` needs about three thousand; the default limits are 1,024 (Linux) and 256 (macOS).
#[cfg(unix)]
fn raise_socket_limit(lanes: &[Lane], settings: &Settings) -> anyhow::Result<()> {
    const OTHER_FILES: u64 = 256;
    let waiting = |lane: &Lane| settings.accumulation(*lane).min(settings.script.total()).as_secs() + 1;
    let waiting_seconds: u64 = lanes.iter().map(waiting).sum();
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
fn raise_socket_limit(_: &[Lane], _: &Settings) -> anyhow::Result<()> {
    Ok(())
}
