//! steadfast measured side by side with its peers and with handwritten code: `cargo xtask bench`.
//!
//! [`work`] is the measured work. [`ours`], [`by_hand`] and one file per peer in `peers` wrap it, all with equivalent settings.
//! [`contestant`] calls them and checks that the work was done. `rows` groups them for comparison, with `family` (the other attributes) and
//! `values` (results of every size). `timing`, [`instructions`], `contention` and `memory` measure them.

#![allow(clippy::unused_async, reason = "the measured work is async and always ready")]

pub mod by_hand;
pub mod contestant;
pub mod instructions;
pub mod ours;
pub mod work;

#[cfg(feature = "peers")]
pub mod builds;
#[cfg(feature = "peers")]
pub mod contention;
#[cfg(feature = "peers")]
pub mod family;
#[cfg(feature = "peers")]
pub mod hang;
#[cfg(feature = "peers")]
pub mod keyed;
#[cfg(feature = "peers")]
pub mod memory;
#[cfg(feature = "peers")]
pub mod peers;
#[cfg(feature = "peers")]
pub mod recovery;
#[cfg(feature = "peers")]
pub mod report;
#[cfg(feature = "peers")]
pub mod rows;
#[cfg(feature = "peers")]
pub mod sizes;
#[cfg(feature = "peers")]
pub mod timing;
#[cfg(feature = "peers")]
pub mod values;
