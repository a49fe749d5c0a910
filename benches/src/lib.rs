//! steadfast measured side by side with its peers, and with what one would write by hand: `cargo xtask bench`.
//!
//! [`work`] is what is called. [`ours`], [`by_hand`] and one file for each peer in `peers` put something around it, all set to
//! do the same. [`contest`] calls them and proves that the work was done; `rows` says who is compared with whom.

#![allow(clippy::unused_async, reason = "async work that has nothing to wait for is what is measured")]

pub mod by_hand;
pub mod contest;
pub mod instructions;
pub mod ours;
pub mod work;

#[cfg(feature = "peers")]
pub mod builds;
#[cfg(feature = "peers")]
pub mod keyed;
#[cfg(feature = "peers")]
pub mod memory;
#[cfg(feature = "peers")]
pub mod peers;
#[cfg(feature = "peers")]
pub mod report;
#[cfg(feature = "peers")]
pub mod rows;
#[cfg(feature = "peers")]
pub mod sizes;
#[cfg(feature = "peers")]
pub mod storm;
#[cfg(feature = "peers")]
pub mod timing;
