//! Policies that go by a name, by which settings from outside find them.

use std::sync::atomic::{AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::{
    RetryPolicy,
    statistics::{Counted, Statistics},
};

/// The policy of a `#[retry(name = "...")]`, which can be replaced while it is in use.
///
/// A call goes by the policy that it began with, so a policy that was in force once stays in memory. One that comes into force
/// again is found again: memory grows with the number of different policies, and not with the number of replacements.
#[derive(Debug)]
pub struct NamedPolicy {
    name: &'static str,
    declared: RetryPolicy,
    statistics: &'static Statistics,
    /// The number of the policy in force; 0 is the declared one.
    current: AtomicUsize,
    /// Policies that were in force, by their numbers from 1 on: row `r` has the `2^r` numbers from `2^r` on.
    kept: [OnceBox<Vec<OnceBox<RetryPolicy>>>; ROWS],
}

/// Room for 16 million policies.
const ROWS: usize = 24;

impl NamedPolicy {
    /// The policy as it is declared, and where its calls are counted.
    #[must_use]
    pub const fn new(name: &'static str, mut policy: RetryPolicy, statistics: &'static Statistics) -> Self {
        policy.statistics = Some(Counted(statistics));
        let kept = [const { OnceBox::new() }; ROWS];
        Self { name, declared: policy, statistics, current: AtomicUsize::new(0), kept }
    }

    /// The policy in force.
    #[inline]
    pub fn current(&self) -> &RetryPolicy {
        // ORDERING: Acquire pairs with the Release in `replace`: the policy of that number is seen.
        match self.current.load(Ordering::Acquire) {
            0 => &self.declared,
            number => self.numbered(number).unwrap_or(&self.declared),
        }
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

    fn numbered(&self, number: usize) -> Option<&RetryPolicy> {
        let (row, column) = place(number);
        self.kept.get(row)?.get()?.get(column)?.get()
    }

    #[cfg(feature = "config")]
    pub(crate) const fn declared(&self) -> RetryPolicy {
        self.declared
    }

    /// Puts a policy in force, or the declared one; whether it is another than before. One thread at a time does this.
    #[cfg(feature = "config")]
    pub(crate) fn replace(&self, policy: Option<RetryPolicy>) -> bool {
        let policy = policy.unwrap_or(self.declared);
        if *self.current() == policy {
            return false;
        }
        let number = if policy == self.declared { 0 } else { self.keep(policy) };
        // ORDERING: Release: what `keep` has written comes before.
        self.current.store(number, Ordering::Release);
        true
    }

    /// The number of a policy that was in force before, or the next one.
    #[cfg(feature = "config")]
    fn keep(&self, policy: RetryPolicy) -> usize {
        let mut number = 1;
        while let Some(kept) = self.numbered(number) {
            if *kept == policy {
                return number;
            }
            number += 1;
        }
        let (row, column) = place(number);
        // In the last row and beyond, a policy that cannot be kept is the declared one.
        if let Some(row) = self.kept.get(row) {
            let columns = row.get_or_init(|| Box::new((0..number - column).map(|_| OnceBox::new()).collect()));
            _ = columns.get(column).map(|kept| kept.set(Box::new(policy)));
        }
        number
    }
}

/// Row and column of a number, which is not 0.
fn place(number: usize) -> (usize, usize) {
    let row = number.checked_ilog2().unwrap_or(0);
    (row as usize, number - (1 << row))
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use super::*;

    #[test]
    fn replacing_leaves_nothing_behind_but_policies_that_differ() {
        static STATISTICS: Statistics = Statistics::new();
        let named = NamedPolicy::new("replaced", RetryPolicy::new(), &STATISTICS);
        let kept = || (1..).map_while(|number| named.numbered(number)).count();
        for round in 0..20_000 {
            let policy = named.declared().max_attempts(4 + round % 7);
            assert!(named.replace(Some(policy)));
            assert!(!named.replace(Some(policy)));
            assert_eq!(*named.current(), policy);
            assert!(named.replace(None));
            assert_eq!(*named.current(), named.declared());
        }
        assert_eq!(kept(), 7);
        for attempts in 1..=100 {
            let policy = named.declared().max_attempts(attempts);
            named.replace(Some(policy));
            assert_eq!(*named.current(), policy);
        }
        assert_eq!(kept(), 99, "all but the declared one");
    }
}
