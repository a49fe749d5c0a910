//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use clap::Parser;

use crate::checkout::Lane;
use crate::load::Settings;
use crate::script::{self, Script};

/// Plays the same outage of a payment service to three checkouts, on real sockets, and shows what became of their
/// callers. Takes about 45 s.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Play only this lane; may be given again
    #[arg(long, value_enum)]
    pub(crate) lane: Vec<Lane>,

    /// Play the script this many times as fast
    ///
    /// Time-outs, backoff and the breaker's times stay as the attributes say. So the faster, the less of an outage fits
    /// between them, and the closer the lanes come to each other.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,

    /// Callers a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rps: u32,

    /// How long the naive lane waits for its one try; an attempt in the others gets 150ms, as another can follow
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = time_out)]
    pub(crate) naive_timeout: Duration,

    /// What the service goes through: healthy, slow, hanging, 503, 429 or refusing, each with a duration
    ///
    /// By default an outage of 9 s within 15 s; with --serve one that takes its time, over and over
    #[arg(long)]
    pub(crate) script: Option<Script>,

    /// Play the script to the guarded lane over and over, with a dashboard to watch it and buttons to break the service and heal it
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9898", conflicts_with_all = ["lane", "picture"])]
    pub(crate) serve: Option<SocketAddr>,

    /// Play the script to several processes instead, each by itself and then as a fleet that shares its breaker through this
    /// Redis: `redis://127.0.0.1`, say
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["lane", "picture", "serve", "naive_timeout"])]
    pub(crate) redis: Option<String>,

    /// How many processes, with --redis; each sends its share of the callers
    #[arg(long, default_value_t = 5, requires = "redis", value_parser = clap::value_parser!(u32).range(2..=50))]
    pub(crate) instances: u32,

    /// Be one of those processes
    #[arg(long, hide = true, exclusive = true)]
    pub(crate) instance: bool,

    /// Where to write the picture [default: outage.svg in cargo's target directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) picture: Option<PathBuf>,
}

impl Args {
    /// The lanes to play, in their order; all if none is named.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let wanted = |lane: &Lane| self.lane.is_empty() || self.lane.contains(lane);
        Lane::ALL.into_iter().filter(wanted).collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        let default = if self.serve.is_some() { script::LOOP } else { script::OUTAGE };
        let script = self.script.clone().unwrap_or_else(|| Script::known(default));
        Settings { script: script.at_speed(self.speed), rps: self.rps, naive_timeout: self.naive_timeout }
    }

    pub(crate) fn picture(&self) -> io::Result<PathBuf> {
        match &self.picture {
            Some(path) => Ok(path.clone()),
            None => Ok(target_directory()?.join("outage.svg")),
        }
    }
}

/// Where cargo builds; asked at run time, so that a binary that was moved does not write to where it was built.
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

fn time_out(text: &str) -> Result<Duration, String> {
    let time_out = script::duration(text)?;
    if !(Duration::from_millis(10)..=Duration::from_mins(1)).contains(&time_out) {
        return Err("not in 10ms..=1m".into());
    }
    Ok(time_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Args, String> {
        Args::try_parse_from(args.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_arguments_all_lanes_play() -> Result<(), String> {
        let args = parse("demo")?;
        assert_eq!(args.lanes(), Lane::ALL);
        assert_eq!(args.settings().script.total(), Duration::from_secs(15));
        Ok(())
    }

    #[test]
    fn serving_plays_a_longer_script_at_an_address() -> Result<(), String> {
        let args = parse("demo --serve")?;
        assert_eq!(args.serve, Some(SocketAddr::from(([127, 0, 0, 1], 9898))));
        assert!(args.settings().script.total() > Duration::from_mins(1));
        assert_eq!(parse("demo --serve [::1]:0")?.serve.map(|address| address.port()), Some(0));
        Ok(())
    }

    #[test]
    fn a_fleet_has_five_instances_unless_it_is_told_otherwise() -> Result<(), String> {
        assert_eq!(parse("demo --redis redis://127.0.0.1")?.instances, 5);
        assert_eq!(parse("demo --instances 7 --redis redis://127.0.0.1")?.instances, 7);
        Ok(())
    }

    #[test]
    fn lanes_play_in_their_order() -> Result<(), String> {
        assert_eq!(parse("demo --lane guarded --lane naive")?.lanes(), [Lane::Naive, Lane::Guarded]);
        Ok(())
    }

    #[test]
    fn bad_input_is_named_with_what_is_possible() {
        for (args, expected) in [
            ("--rps 0", "0 is not in 1..=1000"),
            ("--rps 99999", "99999 is not in 1..=1000"),
            ("--speed 0", "not in 0.1..=20"),
            ("--speed nan", "not in 0.1..=20"),
            ("--speed 1e9", "not in 0.1..=20"),
            ("--speed fast", "not a number"),
            ("--naive-timeout 5", "write a number and a unit"),
            ("--naive-timeout 0s", "not in 10ms..=1m"),
            ("--lane fast", "possible values: naive, retry, guarded"),
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
