//! Prints the memory of breakers and the allocations of calls, one line each, for `cargo xtask bench`.

use anyhow::Result;
use steadfast_benches::{keyed::Keyed, memory, rows, timing};

fn main() -> Result<()> {
    // seatbelt's clock is created in a runtime.
    let runtime = timing::runtime()?;
    let _context = runtime.enter();
    for (name, bytes) in memory::keyed()? {
        println!("keyed\t{name}\t{bytes}");
    }
    for (name, bytes) in memory::breakers() {
        println!("breaker\t{name}\t{bytes}");
    }
    let keyed: &'static Keyed = Box::leak(Box::default());
    for row in rows::all(keyed) {
        for contestant in &row.contestants {
            println!("{}\t{}\t{}", row.title, contestant.name, memory::allocations(contestant)?);
        }
    }
    Ok(())
}
