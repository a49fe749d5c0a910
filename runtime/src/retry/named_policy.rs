//! Named policies, which settings from a file or the environment can replace.

#[cfg(feature = "config")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::{RetryPolicy, statistics::Statistics};
#[cfg(feature = "config")]
use crate::layers::ExternalOptions;
#[cfg(not(feature = "config"))]
use crate::layers::SettingSource;
use crate::{
    by_address::ByAddress,
    isolation::isolated,
    layers::{Setting, settings},
};

/// The policy of a `#[retry(name = "...")]`, or another policy with a name, which can be replaced while calls use it.
///
/// A call keeps the policy that it began with, so policies are never freed. A policy that is set again reuses its entry: memory grows
/// with the number of distinct policies, not with the number of replacements.
#[derive(Debug)]
pub struct NamedPolicy {
    name: &'static str,
    declared: RetryPolicy,
    statistics: &'static Statistics,
    /// The number of the current policy; 0 is the declared one.
    current: AtomicUsize,
    /// The options that the file and the environment have set, as the bits of an [`ExternalOptions`].
    #[cfg(feature = "config")]
    external_options: AtomicU64,
    /// All replacements by number, starting at 1. Row `r` has the `2^r` numbers from `2^r` on, so that entries never move.
    replacements: [OnceBox<Vec<OnceBox<RetryPolicy>>>; ROWS],
}

/// Enough for 16 million policies.
const ROWS: usize = 24;

impl NamedPolicy {
    /// Creates a named policy from its declaration.
    #[must_use]
    pub const fn new(name: &'static str, mut policy: RetryPolicy, statistics: &'static Statistics) -> Self {
        policy.statistics = Some(ByAddress(statistics));
        policy.is_listed = false;
        let replacements = [const { OnceBox::new() }; ROWS];
        Self {
            name,
            declared: policy,
            statistics,
            current: AtomicUsize::new(0),
            #[cfg(feature = "config")]
            external_options: AtomicU64::new(0),
            replacements,
        }
    }

    /// Returns the current policy.
    #[inline]
    pub fn current(&'static self) -> &'static RetryPolicy {
        self.isolated().replaced()
    }

    /// Returns this policy, or its counterpart in the isolation that this thread has entered.
    #[inline]
    pub(crate) fn isolated(&'static self) -> &'static Self {
        isolated(self, || Self::new(self.name, self.declared, Box::leak(Box::new(Statistics::new()))))
    }

    #[inline]
    fn replaced(&self) -> &RetryPolicy {
        // ORDERING: Acquire, paired with the Release in `replace`: the policy of that number is visible.
        match self.current.load(Ordering::Acquire) {
            0 => &self.declared,
            number => self.numbered(number).unwrap_or(&self.declared),
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The counts of the calls under this policy.
    pub(crate) const fn statistics(&self) -> &'static Statistics {
        self.statistics
    }

    fn numbered(&self, number: usize) -> Option<&RetryPolicy> {
        let (row, column) = row_and_column(number);
        self.replacements.get(row)?.get()?.get(column)?.get()
    }

    #[cfg(feature = "config")]
    pub(crate) const fn declared(&self) -> RetryPolicy {
        self.declared
    }

    /// The options of the current policy, each with the place from which its value is.
    pub(super) fn settings(&self) -> Vec<Setting> {
        #[cfg(feature = "config")]
        // ORDERING: Relaxed: at the moment of a change, an option may be listed with the source that it has after it.
        let options = ExternalOptions::from_bits(self.external_options.load(Ordering::Relaxed));
        #[cfg(feature = "config")]
        let source = |index| options.source(index);
        #[cfg(not(feature = "config"))]
        let source = |_| SettingSource::Code;
        settings(self.replaced(), source)
    }

    /// Sets the current policy, with the options that the file and the environment have set; `None` restores the declared one. Returns true if
    /// the policy has changed. Must not be called by two threads at the same time.
    #[cfg(feature = "config")]
    pub(crate) fn replace(&self, policy: Option<RetryPolicy>, options: ExternalOptions) -> bool {
        // ORDERING: Relaxed, as above.
        self.external_options.store(options.bits(), Ordering::Relaxed);
        let policy = policy.unwrap_or(self.declared);
        if *self.replaced() == policy {
            return false;
        }
        let number = if policy == self.declared { 0 } else { self.number_of(policy) };
        // ORDERING: Release, paired with the Acquire in `current`: the entry that `number_of` has written is visible.
        self.current.store(number, Ordering::Release);
        true
    }

    /// Returns the number of a policy that was set before, or stores it under the next number.
    #[cfg(feature = "config")]
    fn number_of(&self, policy: RetryPolicy) -> usize {
        let mut number = 1;
        while let Some(known) = self.numbered(number) {
            if *known == policy {
                return number;
            }
            number += 1;
        }
        let (row, column) = row_and_column(number);
        // Beyond the last row, the number has no entry, and `current` returns the declared policy.
        if let Some(row) = self.replacements.get(row) {
            let columns = row.get_or_init(|| Box::new((0..number - column).map(|_| OnceBox::new()).collect()));
            _ = columns.get(column).map(|entry| entry.set(Box::new(policy)));
        }
        number
    }
}

/// Returns the row and column of a number that is not 0.
fn row_and_column(number: usize) -> (usize, usize) {
    let row = number.checked_ilog2().unwrap_or(0);
    (row as usize, number - (1 << row))
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use super::*;

    #[test]
    fn only_distinct_policies_take_memory() {
        static STATISTICS: Statistics = Statistics::new();
        let named = NamedPolicy::new("replaced", RetryPolicy::new(), &STATISTICS);
        let stored = || (1..).map_while(|number| named.numbered(number)).count();
        for round in 0..20_000 {
            let policy = named.declared().max_attempts(4 + round % 7);
            assert!(named.replace(Some(policy), ExternalOptions::new()));
            assert!(!named.replace(Some(policy), ExternalOptions::new()));
            assert_eq!(*named.replaced(), policy);
            assert!(named.replace(None, ExternalOptions::new()));
            assert_eq!(*named.replaced(), named.declared());
        }
        assert_eq!(stored(), 7);
        for attempts in 1..=100 {
            let policy = named.declared().max_attempts(attempts);
            named.replace(Some(policy), ExternalOptions::new());
            assert_eq!(*named.replaced(), policy);
        }
        assert_eq!(stored(), 99, "all but the declared one");
    }
}
