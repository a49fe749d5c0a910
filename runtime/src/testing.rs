#![doc = include_str!("../docs/testing.md")]

mod script;

pub use self::script::Script;
pub use crate::{
    clock::fake::{Entered, FakeClock},
    isolation::{Isolated, Isolation, Scoped, isolate},
    random::seeded::{Seeded, seed_jitter},
};
