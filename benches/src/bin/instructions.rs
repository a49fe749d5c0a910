//! Guards the number of instructions per call. `cargo xtask test` runs it, `cargo xtask bless` rewrites the expected counts.

use std::{env, path::Path};

use anyhow::{Result, bail};
use steadfast_benches::instructions::{bless, count, guard, guarded, make_calls};

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = package.join("instructions.toml");
    let counts = || {
        let program = env::current_exe()?;
        count(&program, &["calls"], &program.with_file_name("callgrind"))
    };
    match env::args().nth(1).as_deref() {
        Some("calls") => make_calls(&guarded()),
        Some("guard") => guard(&counts()?, &file),
        Some("bless") => bless(&counts()?, &file),
        _ => bail!("usage: instructions guard|bless"),
    }
}
