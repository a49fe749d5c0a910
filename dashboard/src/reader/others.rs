//! Readings of everything but breakers.

use super::{Counted, MAX_KEYS_PER_NAME, Pass};
use crate::entry::{
    Entry,
    calls::{BudgetEntry, FallbackEntry, RetryEntry, TimeoutEntry},
    id::{ItemId, Kind},
    limits::{BulkheadEntry, BulkheadGroupEntry, RateLimitEntry, RateLimitGroupEntry},
    minute::Callers,
};

impl Pass<'_> {
    /// Reads fallbacks, which also give the callers' view of breakers, and all limits, retries, timeouts and budgets.
    pub(super) fn read_others(&mut self) {
        self.read_fallbacks();
        for timeout in steadfast::timeouts() {
            let counted = Counted::new(TimeoutEntry::totals(&timeout), &[0], timeout);
            let id = ItemId::new(Kind::Timeout, counted.source.name);
            self.put(id, counted, |timeout, id, minute, _| {
                Entry::Timeout(TimeoutEntry::new(id, timeout, minute.map(Into::into)))
            });
        }
        for budget in steadfast::retry_budgets() {
            let counted = Counted::new(BudgetEntry::totals(&budget), &[0, 1], budget);
            let id = ItemId::new(Kind::Budget, counted.source.name);
            self.put(id, counted, |budget, id, minute, _| {
                Entry::Budget(BudgetEntry::new(id, budget, minute.map(Into::into)))
            });
        }
        for retry in steadfast::retries() {
            let counted = Counted::new(RetryEntry::totals(&retry), &[1, 2], retry);
            let id = ItemId::new(Kind::Retry, counted.source.name);
            self.put(id, counted, |retry, id, minute, _| {
                Entry::Retry(RetryEntry::new(id, retry, minute.map(Into::into)))
            });
        }
        self.read_limits();
    }

    fn read_fallbacks(&mut self) {
        for fallback in steadfast::fallbacks() {
            let id = ItemId::new(Kind::Fallback, fallback.name);
            let counted = Counted::new(FallbackEntry::totals(&fallback), &[1, 2, 3], fallback.clone());
            self.put(id.clone(), counted, |fallback, id, minute, _| {
                Entry::Fallback(FallbackEntry::new(id, fallback, minute.map(Into::into)))
            });
            let minute = self.reader.items.get(&id).and_then(|item| item.minute.as_ref());
            let minute = minute.map(|minute| Callers::of(&minute.counts));
            self.reader.callers.add(&fallback, minute);
        }
    }

    fn read_limits(&mut self) {
        for limit in steadfast::rate_limits() {
            let counts = limit.snapshot();
            let counted = Counted::new(RateLimitEntry::totals(&counts), &[1], counts);
            self.put(ItemId::new(Kind::RateLimit, limit.name()), counted, |counts, id, minute, _| {
                Entry::RateLimit(RateLimitEntry::new(id, counts, minute.map(Into::into)))
            });
        }
        for limits in steadfast::all_keyed_rate_limits() {
            let counts = limits.snapshot();
            let counted = Counted::new(RateLimitGroupEntry::totals(&counts), &[1], counts);
            let worst = limits.most_rejected(MAX_KEYS_PER_NAME);
            self.put(ItemId::new(Kind::RateLimitGroup, limits.name()), counted, |counts, id, minute, _| {
                let worst = worst.iter().map(|limit| limit.snapshot());
                Entry::RateLimitGroup(RateLimitGroupEntry::new(id, counts, worst, minute.map(Into::into)))
            });
        }
        for bulkhead in steadfast::bulkheads() {
            let counts = bulkhead.snapshot();
            let counted = Counted::new(BulkheadEntry::totals(&counts), &[1], counts);
            self.put(ItemId::new(Kind::Bulkhead, bulkhead.name()), counted, |counts, id, minute, _| {
                Entry::Bulkhead(BulkheadEntry::new(id, counts, minute.map(Into::into)))
            });
        }
        for bulkheads in steadfast::all_keyed_bulkheads() {
            let counts = bulkheads.snapshot();
            let counted = Counted::new(BulkheadGroupEntry::totals(&counts), &[1], counts);
            let worst = bulkheads.most_rejected(MAX_KEYS_PER_NAME);
            self.put(ItemId::new(Kind::BulkheadGroup, bulkheads.name()), counted, |counts, id, minute, _| {
                let worst = worst.iter().map(|bulkhead| bulkhead.snapshot());
                Entry::BulkheadGroup(BulkheadGroupEntry::new(id, counts, worst, minute.map(Into::into)))
            });
        }
    }
}
