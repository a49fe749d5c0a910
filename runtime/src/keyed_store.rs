//! Bounded storage of one instance per key (host, tenant, user), used by keyed breakers, rate limits and bulkheads.
//!
//! [`store`] creates the instances and holds their shared settings, [`bounded_map`] finds them by key, [`eviction`] selects the one to
//! evict when the map is full, and [`ranking`] selects those that are reported individually.

#[cfg(feature = "keyed")]
mod bounded_map;
#[cfg(feature = "keyed")]
mod entry;
#[cfg(feature = "keyed")]
mod eviction;
pub(crate) mod key;
#[cfg(feature = "keyed")]
#[cfg(test)]
mod models;
#[cfg(feature = "keyed")]
mod ranking;
#[cfg(feature = "keyed")]
mod store;
#[cfg(feature = "keyed")]
mod text;

#[cfg(feature = "keyed")]
pub(crate) use self::{
    entry::{KeyedEntry, SharedSettings},
    eviction::EvictionClass,
    ranking::top_by,
    store::{KeyedStore, StoreTotals},
};
