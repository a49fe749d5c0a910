//! Clean builds: the build time of a crate with all its dependencies.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};

use super::{GeneratedCrates, cargo, write};
use crate::timing::median;

/// The figures of a clean build.
#[derive(Clone, Debug)]
pub struct CleanBuild {
    /// The crates that are built.
    pub name: &'static str,
    /// The number of crates, dependencies included.
    pub crates: usize,
    /// Seconds of `cargo build`.
    pub debug: f64,
    /// Seconds of `cargo build --release`.
    pub release: f64,
}

/// The name, the folder, and the lines of the manifest that declare the dependencies.
type Subject = (&'static str, &'static str, fn(&Path) -> String);

const SUBJECTS: &[Subject] = &[
    ("steadfast, default features", "clean-steadfast", |root| {
        format!("steadfast = {{ path = '{}' }}\n", root.join("runtime").display())
    }),
    ("backon + backon-macros, default features", "clean-backon", |_| {
        "backon = \"1\"\nbackon-macros = \"1\"\n".to_owned()
    }),
    ("tower-resilience-circuitbreaker", "clean-tower-resilience", |_| {
        "tower-resilience-circuitbreaker = \"0\"\n".to_owned()
    }),
    ("backon + backon-macros + tower-resilience-circuitbreaker", "clean-both", |_| {
        "backon = \"1\"\nbackon-macros = \"1\"\ntower-resilience-circuitbreaker = \"0\"\n".to_owned()
    }),
];

/// Makes clean builds of all subjects, which take turns.
pub fn clean_builds(generated: &GeneratedCrates, quick: bool) -> Result<Vec<CleanBuild>> {
    for (_, package, dependencies) in SUBJECTS {
        let folder = generated.folder.join(package);
        let manifest = format!(
            "[workspace]\n\n[package]\nname = \"{package}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
             [dependencies]\n{}",
            dependencies(&generated.root)
        );
        write(&folder.join("Cargo.toml"), &manifest)?;
        write(&folder.join("src/main.rs"), "fn main() {}\n")?;
        fs::copy(generated.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        cargo(&folder, &["fetch"])?;
    }
    let mut times = vec![(Vec::new(), Vec::new()); SUBJECTS.len()];
    for _ in 0..if quick { 1 } else { 2 } {
        for ((_, package, _), (debug, release)) in SUBJECTS.iter().zip(&mut times) {
            debug.push(time(generated, package, &["build"])?);
            release.push(time(generated, package, &["build", "--release"])?);
        }
    }
    let builds = SUBJECTS.iter().zip(times).map(|((name, package, _), (debug, release))| {
        let crates = crates(&generated.folder.join(package))?;
        Ok(CleanBuild { name, crates, debug: median(&debug), release: median(&release) })
    });
    builds.collect()
}

fn time(generated: &GeneratedCrates, package: &str, arguments: &[&str]) -> Result<f64> {
    let folder = generated.folder.join(package);
    let target = folder.join("target");
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    let start = Instant::now();
    cargo(&folder, arguments)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Returns the number of crates that are built on this machine, without the empty crate that depends on them.
fn crates(folder: &Path) -> Result<usize> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(["tree", "--prefix", "none", "--edges", "normal,build", "--no-dedupe", "--format", "{p}"])
        .current_dir(folder)
        .output()
        .context("cargo could not be run")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut crates: Vec<_> = text.lines().collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(crates.len() - 1)
}
