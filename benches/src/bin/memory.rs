//! Prints the memory of breakers and the allocations of calls, one line each, for `cargo xtask bench`.

use anyhow::Result;
use steadfast_benches::{keyed::Keyed, memory, rows};

fn main() -> Result<()> {
    let (breaker, text) = memory::keyed()?;
    println!("keyed\tsteadfast, one of a million keys\t{breaker}");
    println!("keyed\tthe text of its key\t{text}");
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
