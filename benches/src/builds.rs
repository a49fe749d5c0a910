//! Compile times and code sizes: crates of 500 functions with each kind of retry or breaker, and without.

mod clean;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, SectionKind};

use self::source::{VARIANTS, Variant};
pub use self::{
    clean::{CleanBuild, clean_builds},
    source::FUNCTIONS,
};
use crate::timing::median;

/// The build figures of 500 functions of one kind.
#[derive(Clone, Debug)]
pub struct Built {
    /// The kind.
    pub name: &'static str,
    /// Bytes of machine code at `opt-level = 2`.
    pub text: u64,
    /// Lines of LLVM's intermediate representation at `opt-level = 0`.
    pub lines: usize,
    /// Seconds of `cargo check` of the crate alone.
    pub check: f64,
    /// Seconds of `cargo build --release` of the crate alone.
    pub release: f64,
}

/// The generated crates, in a folder below `target`.
#[derive(Debug)]
pub struct GeneratedCrates {
    folder: PathBuf,
    root: PathBuf,
}

impl GeneratedCrates {
    /// Places the crates in the target folder of the workspace at `root`. Nothing is written yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join("target/bench-builds"), root: root.to_owned() }
    }

    /// Writes, checks and builds all variants, which take turns.
    pub fn annotated(&self, quick: bool) -> Result<Vec<Built>> {
        for variant in VARIANTS {
            self.write(variant)?;
        }
        let members: Vec<_> = VARIANTS.iter().map(|variant| format!("\"{}\"", variant.package)).collect();
        let workspace = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[profile.dev]\ndebug = false\nincremental = false\n\n\
             [profile.release]\nopt-level = 2\n",
            members.join(", ")
        );
        write(&self.folder.join("Cargo.toml"), &workspace)?;
        // Uses the versions of the workspace, so that cargo downloads only missing crates.
        fs::copy(self.root.join("Cargo.lock"), self.folder.join("Cargo.lock"))?;

        // Dependencies are built before anything is timed.
        self.cargo(&["check", "--workspace"])?;
        self.cargo(&["build", "--workspace", "--release"])?;
        let mut times = vec![(Vec::new(), Vec::new()); VARIANTS.len()];
        for _ in 0..if quick { 1 } else { 3 } {
            for (variant, (checks, releases)) in VARIANTS.iter().zip(&mut times) {
                checks.push(self.time(variant, &["check", "--package", variant.package])?);
                releases.push(self.time(variant, &["build", "--release", "--package", variant.package])?);
            }
        }
        let built = VARIANTS.iter().zip(times).map(|(variant, (checks, releases))| {
            let (text, lines) = self.code_size(variant)?;
            Ok(Built { name: variant.name, text, lines, check: median(&checks), release: median(&releases) })
        });
        built.collect()
    }

    fn write(&self, variant: &Variant) -> Result<()> {
        let folder = self.folder.join(variant.package);
        let dependencies = (variant.dependencies)(&self.root);
        let manifest = format!(
            "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n{dependencies}",
            variant.package
        );
        write(&folder.join("Cargo.toml"), &manifest)?;
        write(&folder.join("src/main.rs"), &variant.source())
    }

    /// Returns the bytes of machine code and the lines of IR of the crate itself: its functions, and the instances of generic functions of
    /// its dependencies.
    fn code_size(&self, variant: &Variant) -> Result<(u64, usize)> {
        let emit = |profile: &[&str], kind: &str| -> Result<PathBuf> {
            let file = self.folder.join(format!("{}.{kind}", variant.package));
            let emit = format!("--emit={kind}={}", file.display());
            let rustc = ["rustc", "--package", variant.package].into_iter().chain(profile.iter().copied());
            self.touch(variant)?;
            self.cargo(&rustc.chain(["--", "-Ccodegen-units=1", &emit]).collect::<Vec<_>>())?;
            Ok(file)
        };
        let object = fs::read(emit(&["--release"], "obj")?)?;
        let object = object::File::parse(&*object)?;
        let text =
            object.sections().filter(|section| section.kind() == SectionKind::Text).map(|section| section.size());
        let text = text.sum();
        let lines = fs::read_to_string(emit(&[], "llvm-ir")?)?;
        Ok((text, source::lines_of_functions(&lines)))
    }

    fn time(&self, variant: &Variant, arguments: &[&str]) -> Result<f64> {
        self.touch(variant)?;
        let start = Instant::now();
        self.cargo(arguments)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Rewrites the source, so that cargo recompiles the crate.
    fn touch(&self, variant: &Variant) -> Result<()> {
        write(&self.folder.join(variant.package).join("src/main.rs"), &variant.source())
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        cargo(&self.folder, arguments)
    }
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        // A separate target folder, and none of the flags of the cargo that runs this program.
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_TERM_QUIET", "true")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .context("cargo could not be run")?;
    ensure!(
        output.status.success(),
        "cargo {} in {}: {}",
        arguments.join(" "),
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, text)?)
}
