//! Named policies that no attribute declares.
//!
//! A policy is a plain value without a place for counts, so the table contains a [`NamedPolicy`] for each different policy with a name. It
//! only grows: a chain of entries for each hash of a name, in which an entry never moves. A lookup takes no lock.

use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::{RetryPolicy, named_policy::NamedPolicy, statistics::Statistics};
use crate::registry::{REGISTERED, Registrable};

/// The first entries of the chains.
static CHAINS: [OnceBox<Entry>; 64] = [const { OnceBox::new() }; 64];

/// The number of entries.
static ENTRIES: AtomicUsize = AtomicUsize::new(0);

/// The maximum number of entries, for a program that makes up policies as it runs.
const MAX_ENTRIES: usize = 1_024;

struct Entry {
    declared: RetryPolicy,
    named: NamedPolicy,
    next: OnceBox<Self>,
}

impl Registrable for RetryPolicy {}

/// Returns the policy that a call under `policy` uses: with a name, one that counts the call and that external settings can replace.
#[inline]
#[must_use]
pub(crate) fn in_force(policy: &RetryPolicy) -> &RetryPolicy {
    if policy.is_listed { find(policy).map_or(policy, |named| named.current()) } else { policy }
}

/// Returns the policies that `register!` lists.
pub(super) fn registered() -> impl Iterator<Item = &'static NamedPolicy> {
    REGISTERED.iter().filter_map(|registered| find(registered.downcast()?))
}

/// Returns all entries, those of policies that `register!` lists included.
pub(super) fn all() -> impl Iterator<Item = &'static NamedPolicy> {
    registered().for_each(drop); // adds the entries
    CHAINS
        .iter()
        .flat_map(|chain| std::iter::successors(chain.get(), |entry| entry.next.get()))
        .map(|entry| &entry.named)
}

/// Returns the entry of a policy, which is added if there is none; `None` if the policy has no name or the table is full.
fn find(policy: &RetryPolicy) -> Option<&'static NamedPolicy> {
    let name = policy.name.filter(|_| policy.is_listed)?;
    let mut link = CHAINS.get(hash(name) % CHAINS.len())?;
    loop {
        match link.get() {
            Some(entry) if entry.declared == *policy => return Some(&entry.named),
            Some(entry) => link = &entry.next,
            None => add(link, name, policy)?,
        }
    }
}

/// Adds an entry at the end of a chain, unless another thread has added one; `None` if the table is full.
#[cold]
fn add(link: &OnceBox<Entry>, name: &'static str, policy: &RetryPolicy) -> Option<()> {
    // ORDERING: Relaxed: the number implies nothing about other memory. Threads that add entries at once may exceed the maximum.
    if ENTRIES.load(Ordering::Relaxed) >= MAX_ENTRIES {
        return None;
    }
    let named = NamedPolicy::new(name, *policy, Box::leak(Box::new(Statistics::new())));
    if link.set(Box::new(Entry { declared: *policy, named, next: OnceBox::new() })).is_ok() {
        // ORDERING: Relaxed: as above.
        ENTRIES.fetch_add(1, Ordering::Relaxed);
    }
    Some(())
}

/// Returns the FNV-1a hash of a name.
fn hash(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash >> 32).unwrap_or_default()
}
