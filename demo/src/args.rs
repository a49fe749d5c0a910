//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use clap::{Parser, ValueEnum};

use crate::checkout::Lane;
use crate::load::Settings;
use crate::scene::Scene;
use crate::script::{self, Script};

/// Runs several checkouts through the same outage of a payment service, on real sockets and in real time, and reports what their callers
/// received, and the latency and load of each. Takes about 45 s.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[arg(value_enum, default_value = "outage", conflicts_with = "redis")]
    pub(crate) scene: Scene,

    /// Run only this lane; can be repeated [default: the lanes of the scene]
    #[arg(long, value_enum)]
    pub(crate) lane: Vec<Lane>,

    /// Speed up the script by this factor
    ///
    /// Timeouts, backoff, recovery timeout and the 30 s of a hanging request keep their durations. A higher speed therefore shortens the outage relative to them,
    /// and the lanes differ less.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,

    /// Callers per second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rps: u32,

    /// Timeout of the naive lane's only attempt; each attempt of the lanes `retry` and `guarded` has a timeout of 150ms
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = parse_timeout)]
    pub(crate) naive_timeout: Duration,

    /// Modes of the service, each with a duration: healthy, slow, hanging, 503, 429 or refusing
    ///
    /// For example "healthy 2s, hanging 5s, healthy 4s". The default depends on the scene; --serve has one that repeats.
    #[arg(long)]
    pub(crate) script: Option<Script>,

    /// Repeat the script for the lanes with a circuit breaker, and serve a dashboard with buttons that break and restore the service
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9898", conflicts_with_all = ["lane", "picture"])]
    pub(crate) serve: Option<SocketAddr>,

    /// Run several processes instead, first independently and then as a fleet that shares its breaker through this Redis, for
    /// example `redis://127.0.0.1`
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["lane", "picture", "serve", "naive_timeout"])]
    pub(crate) redis: Option<String>,

    /// Number of processes with --redis; the callers are divided among them
    #[arg(long, default_value_t = 5, requires = "redis", value_parser = clap::value_parser!(u32).range(2..=50))]
    pub(crate) instances: u32,

    /// Run as one of these processes
    #[arg(long, hide = true, exclusive = true)]
    pub(crate) instance: bool,

    /// Where to write the chart [default: outage.svg or give-up.svg in cargo's target directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) picture: Option<PathBuf>,
}

impl Args {
    /// Returns the selected lanes in the order of their declaration; those of the scene if none is selected.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let selected = if self.lane.is_empty() { self.scene.lanes() } else { &self.lane };
        Lane::value_variants().iter().copied().filter(|lane| selected.contains(lane)).collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        let default = match (self.serve, &self.redis) {
            (Some(_), _) => script::LOOP,
            (None, Some(_)) => script::FLEET,
            (None, None) => self.scene.script(),
        };
        let script = self.script.clone().unwrap_or_else(|| Script::built_in(default));
        Settings {
            script: script.at_speed(self.speed),
            rps: self.rps,
            naive_timeout: self.naive_timeout,
            patience: self.scene.patience(),
        }
    }

    pub(crate) fn picture(&self) -> io::Result<PathBuf> {
        match &self.picture {
            Some(path) => Ok(path.clone()),
            None => Ok(target_directory()?.join(self.scene.picture())),
        }
    }
}

/// Returns cargo's target directory, as determined at run time: a moved binary must not write to the place where it was built.
fn target_directory() -> io::Result<PathBuf> {
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        return Ok(target.into());
    }
    let here = env::current_dir()?;
    let workspace = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    Ok(workspace.map_or(here.clone(), Path::to_owned).join("target"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number")?;
    if !(0.1..=20.0).contains(&speed) {
        return Err("not in 0.1..=20".into());
    }
    Ok(speed)
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = script::parse_duration(text)?;
    if !(Duration::from_millis(10)..=Duration::from_mins(1)).contains(&timeout) {
        return Err("not in 10ms..=1m".into());
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Args, String> {
        Args::try_parse_from(args.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_valid() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn each_scene_has_its_lanes_script_and_picture() -> Result<(), String> {
        for (args, lanes, seconds, picture) in [
            ("demo", &[Lane::Naive, Lane::Retry, Lane::Guarded, Lane::HungCall][..], 45, "outage.svg"),
            ("demo give-up", &[Lane::Naive, Lane::Breaker, Lane::CancelledCall], 16, "give-up.svg"),
        ] {
            let args = parse(args)?;
            assert_eq!(args.lanes(), lanes);
            assert_eq!(args.settings().script.total(), Duration::from_secs(seconds));
            assert!(args.picture().is_ok_and(|path| path.ends_with(picture)));
        }
        Ok(())
    }

    #[test]
    fn serve_has_a_default_address_and_a_longer_script() -> Result<(), String> {
        let args = parse("demo --serve")?;
        assert_eq!(args.serve, Some(SocketAddr::from(([127, 0, 0, 1], 9898))));
        assert!(args.settings().script.total() > Duration::from_mins(1));
        assert_eq!(parse("demo --serve [::1]:0")?.serve.map(|address| address.port()), Some(0));
        Ok(())
    }

    #[test]
    fn a_fleet_has_five_instances_by_default() -> Result<(), String> {
        let args = parse("demo --redis redis://127.0.0.1")?;
        assert_eq!((args.instances, args.settings().script.total()), (5, Duration::from_secs(15)));
        assert_eq!(parse("demo --instances 7 --redis redis://127.0.0.1")?.instances, 7);
        Ok(())
    }

    #[test]
    fn lanes_run_in_a_fixed_order() -> Result<(), String> {
        assert_eq!(parse("demo --lane guarded --lane naive")?.lanes(), [Lane::Naive, Lane::Guarded]);
        Ok(())
    }

    #[test]
    fn invalid_arguments_are_reported_with_the_valid_ones() {
        for (args, expected) in [
            ("--rps 0", "0 is not in 1..=1000"),
            ("--rps 99999", "99999 is not in 1..=1000"),
            ("--speed 0", "not in 0.1..=20"),
            ("--speed nan", "not in 0.1..=20"),
            ("--speed 1e9", "not in 0.1..=20"),
            ("--speed fast", "not a number"),
            ("--naive-timeout 5", "write a number and a unit"),
            ("--naive-timeout 0s", "not in 10ms..=1m"),
            ("--lane fast", "possible values: naive, retry, guarded, hung_call"),
            ("sleep", "possible values: outage, give-up"),
            ("--redis x give-up", "cannot be used with"),
            ("--script asleep", "is not a phase"),
            ("--instances 5", "--redis <ADDRESS>"),
            ("--instances 1 --redis x", "1 is not in 2..=50"),
            ("--redis x --lane naive", "cannot be used with"),
        ] {
            let error = parse(&format!("demo {args}")).err().unwrap_or_default();
            assert!(error.contains(expected), "{args}: {error}");
        }
    }
}
