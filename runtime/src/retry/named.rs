//! Policies that go by a name, by which settings from outside find them.

use once_cell::race::OnceBox;

use super::{
    RetryPolicy,
    statistics::{Counted, Statistics},
};

/// The policy of a `#[retry(name = "...")]`, which can be replaced while it is in use.
///
/// A call goes by the policy that it began with. Each replacement stays in memory until the program ends: that is how a
/// reader needs no lock, and policies change when somebody edits a file.
#[derive(Debug)]
pub struct NamedPolicy {
    name: &'static str,
    version: Version,
    statistics: &'static Statistics,
}

#[derive(Debug)]
struct Version {
    policy: RetryPolicy,
    next: OnceBox<Version>,
}

impl NamedPolicy {
    /// The policy as it is declared, and where its calls are counted.
    #[must_use]
    pub const fn new(name: &'static str, mut policy: RetryPolicy, statistics: &'static Statistics) -> Self {
        policy.statistics = Some(Counted(statistics));
        Self { name, version: Version { policy, next: OnceBox::new() }, statistics }
    }

    /// The policy in force. One load for each time that it was replaced, and one more.
    #[inline]
    pub fn current(&self) -> &RetryPolicy {
        let mut version = &self.version;
        while let Some(next) = version.next.get() {
            version = next;
        }
        &version.policy
    }

    /// The name it is found by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What became of its calls.
    pub(super) const fn statistics(&self) -> &'static Statistics {
        self.statistics
    }

    #[cfg(feature = "config")]
    pub(crate) const fn declared(&self) -> RetryPolicy {
        self.version.policy
    }

    #[cfg(feature = "config")]
    pub(crate) fn replace(&self, policy: RetryPolicy) {
        if *self.current() == policy {
            return;
        }
        let mut version = &self.version;
        // Another thread may add its own meanwhile; then this one comes after it.
        while version.next.set(Box::new(Version { policy, next: OnceBox::new() })).is_err() {
            match version.next.get() {
                Some(next) => version = next,
                None => return,
            }
        }
    }
}
