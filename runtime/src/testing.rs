#![doc = include_str!("../docs/testing.md")]

mod clock;
mod script;
mod seed;

#[cfg(feature = "tokio")]
pub(crate) use self::clock::note_sleep;
pub use self::{
    clock::{Entered, FakeClock},
    script::Script,
    seed::{Seeded, seed_jitter},
};
pub(crate) use self::{
    clock::{now, sleeps},
    seed::random,
};
