//! The entries of the page and of the JSON: one for each breaker, key, group, retry, limit, fallback, timeout and budget. Times are in
//! seconds since 1970, durations in seconds.

pub(crate) mod breaker;
pub(crate) mod calls;
pub(crate) mod condition;
pub(crate) mod fields;
pub(crate) mod group;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod minute;
pub(crate) mod recent;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::{
    breaker::BreakerEntry,
    calls::{BudgetEntry, FallbackEntry, RetryEntry, TimeoutEntry},
    fields::{Fields, Object},
    group::BreakerGroupEntry,
    limits::{BulkheadEntry, BulkheadGroupEntry, RateLimitEntry, RateLimitGroupEntry},
};

/// An entry of any kind.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most entries are breakers, and each is allocated by itself")]
pub(crate) enum Entry {
    /// A breaker, with or without a key.
    Breaker(BreakerEntry),
    Group(BreakerGroupEntry),
    Retry(RetryEntry),
    RateLimit(RateLimitEntry),
    RateLimitGroup(RateLimitGroupEntry),
    Bulkhead(BulkheadEntry),
    BulkheadGroup(BulkheadGroupEntry),
    Fallback(FallbackEntry),
    Timeout(TimeoutEntry),
    Budget(BudgetEntry),
}

/// Evaluates an expression for the entry in each variant.
macro_rules! each {
    ($self:expr, $entry:ident => $value:expr) => {
        match $self {
            Entry::Breaker($entry) => $value,
            Entry::Group($entry) => $value,
            Entry::Retry($entry) => $value,
            Entry::RateLimit($entry) => $value,
            Entry::RateLimitGroup($entry) => $value,
            Entry::Bulkhead($entry) => $value,
            Entry::BulkheadGroup($entry) => $value,
            Entry::Fallback($entry) => $value,
            Entry::Timeout($entry) => $value,
            Entry::Budget($entry) => $value,
        }
    };
}

/// A list of `/api/breakers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Breakers,
    Groups,
    Keys,
    Retries,
    RateLimits,
    RateLimitGroups,
    Bulkheads,
    BulkheadGroups,
    Fallbacks,
    Timeouts,
    Budgets,
}

impl Section {
    pub(crate) const ALL: [Self; 11] = [
        Self::Breakers,
        Self::Groups,
        Self::Keys,
        Self::Retries,
        Self::RateLimits,
        Self::RateLimitGroups,
        Self::Bulkheads,
        Self::BulkheadGroups,
        Self::Fallbacks,
        Self::Timeouts,
        Self::Budgets,
    ];

    /// Returns the name of the list in `/api/breakers`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Breakers => "breakers",
            Self::Groups => "groups",
            Self::Keys => "keys",
            Self::Retries => "retries",
            Self::RateLimits => "rate_limits",
            Self::RateLimitGroups => "rate_limit_groups",
            Self::Bulkheads => "bulkheads",
            Self::BulkheadGroups => "bulkhead_groups",
            Self::Fallbacks => "fallbacks",
            Self::Timeouts => "timeouts",
            Self::Budgets => "budgets",
        }
    }
}

impl Entry {
    pub(crate) fn section(&self) -> Section {
        match self {
            Self::Breaker(breaker) if breaker.is_keyed() => Section::Keys,
            Self::Breaker(_) => Section::Breakers,
            Self::Group(_) => Section::Groups,
            Self::Retry(_) => Section::Retries,
            Self::RateLimit(_) => Section::RateLimits,
            Self::RateLimitGroup(_) => Section::RateLimitGroups,
            Self::Bulkhead(_) => Section::Bulkheads,
            Self::BulkheadGroup(_) => Section::BulkheadGroups,
            Self::Fallback(_) => Section::Fallbacks,
            Self::Timeout(_) => Section::Timeouts,
            Self::Budget(_) => Section::Budgets,
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        each!(self, entry => &entry.id)
    }

    pub(crate) fn name(&self) -> &str {
        each!(self, entry => entry.name())
    }

    /// Returns the breaker; `None` for other kinds.
    pub(crate) fn as_breaker(&self) -> Option<&BreakerEntry> {
        match self {
            Self::Breaker(breaker) => Some(breaker),
            _ => None,
        }
    }

    /// Appends every field.
    pub(crate) fn write_all(&self, object: &mut Object<'_>) {
        each!(self, entry => entry.write_all(object));
    }

    /// Appends the fields without a default.
    pub(crate) fn write_set(&self, object: &mut Object<'_>) {
        each!(self, entry => entry.write_set(object));
    }

    /// Appends the fields that differ from those of `old`, an entry with the same id.
    pub(crate) fn write_changes(&self, old: &Self, object: &mut Object<'_>) {
        match (self, old) {
            (Self::Breaker(new), Self::Breaker(old)) => new.write_changes(old, object),
            (Self::Group(new), Self::Group(old)) => new.write_changes(old, object),
            (Self::Retry(new), Self::Retry(old)) => new.write_changes(old, object),
            (Self::RateLimit(new), Self::RateLimit(old)) => new.write_changes(old, object),
            (Self::RateLimitGroup(new), Self::RateLimitGroup(old)) => new.write_changes(old, object),
            (Self::Bulkhead(new), Self::Bulkhead(old)) => new.write_changes(old, object),
            (Self::BulkheadGroup(new), Self::BulkheadGroup(old)) => new.write_changes(old, object),
            (Self::Fallback(new), Self::Fallback(old)) => new.write_changes(old, object),
            (Self::Timeout(new), Self::Timeout(old)) => new.write_changes(old, object),
            (Self::Budget(new), Self::Budget(old)) => new.write_changes(old, object),
            // Entries of different kinds have different ids.
            (new, _) => new.write_all(object),
        }
    }
}

/// Returns the seconds since 1970, rounded to hundredths.
pub(crate) fn unix_seconds(time: SystemTime) -> f64 {
    hundredths(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64())
}

/// Rounds to hundredths.
pub(crate) fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Returns the earlier value of a time if both are the same time to within a twentieth of a second. Times are derived from two clocks, so
/// that they would otherwise differ from one reading to the next.
pub(crate) fn steady(new: Option<f64>, old: Option<f64>) -> Option<f64> {
    match (new, old) {
        (Some(new), Some(old)) if (new - old).abs() < 0.05 => Some(old),
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stays_the_same_within_a_twentieth_of_a_second() {
        assert_eq!(steady(Some(10.01), Some(10.0)), Some(10.0));
        assert_eq!(steady(Some(10.06), Some(10.0)), Some(10.06));
        assert_eq!((steady(None, Some(10.0)), steady(Some(10.0), None)), (None, Some(10.0)));
    }
}
