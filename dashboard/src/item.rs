//! Readings of single items: `/api/item`, and keys without a row.

use std::{sync::Arc, time::SystemTime};

use steadfast::{CircuitBreaker, Durations, Keying, Setting, Snapshot};

use crate::{
    entry::{
        Entry,
        breaker::{BreakerEntry, Context, item_id, totals},
        calls::{BudgetEntry, FallbackEntry, RetryEntry, TimeoutEntry},
        fields::{Object, write_list},
        group::BreakerGroupEntry,
        id::{Id, ItemId, Kind},
        limits::{BulkheadEntry, BulkheadGroupEntry, RateLimitEntry, RateLimitGroupEntry},
        minute::BreakerMinute,
        recent::RecentEvent,
        unix_seconds,
    },
    history::{Minute, Ticks, Totals, Track},
    log::LastOverrides,
    reader::{MAX_KEYS_PER_NAME, Reader},
};

/// An item in full.
pub(crate) struct Item {
    id: ItemId,
    entry: Entry,
    settings: Vec<Setting>,
    recent: Vec<RecentEvent>,
}

/// Makes entries of single items at one moment.
pub(crate) struct Items<'r> {
    reader: &'r Reader,
    last_overrides: Arc<LastOverrides>,
    now: SystemTime,
}

impl<'r> Items<'r> {
    pub(crate) fn new(reader: &'r Reader, now: SystemTime) -> Self {
        Self { reader, last_overrides: reader.last_overrides(), now }
    }

    /// Returns the item with this id; `None` if there is none.
    pub(crate) fn find(&self, id: &str) -> Option<Item> {
        let Id { kind, name, key } = Id::<&str, &str>::parse(id)?;
        let item = match kind {
            Kind::Breaker => {
                let breaker = steadfast::breaker(name)?;
                self.breaker(breaker, breaker.settings())
            }
            Kind::Key => {
                let breakers = steadfast::keyed_breakers(name)?;
                self.breaker(&*breakers.get(key?)?, breakers.settings())
            }
            Kind::Overflow => {
                let breakers = steadfast::keyed_breakers(name)?;
                self.breaker(&*breakers.overflow()?, breakers.settings())
            }
            Kind::Group => {
                let breakers = steadfast::keyed_breakers(name)?;
                let counts = breakers.snapshot();
                let id = ItemId::new(kind, breakers.name());
                let minute = self.minute(&id, &BreakerGroupEntry::totals(&counts), counts.durations.as_ref());
                let (callers, of_minute) = self.reader.callers().of(name);
                let minute = minute.map(|minute| BreakerMinute::new(&minute, of_minute));
                let last_override = self.last_override(&id);
                let entry = Entry::Group(BreakerGroupEntry::new(id.text(), counts, last_override, minute, callers));
                Item { id, entry, settings: breakers.settings(), recent: Vec::new() }
            }
            Kind::Retry => {
                let mut retry = steadfast::retries().into_iter().find(|retry| retry.name == name)?;
                let settings = std::mem::take(&mut retry.settings);
                self.simple(kind, retry.name, RetryEntry::totals(&retry), settings, |id, minute| {
                    Entry::Retry(RetryEntry::new(id, retry, minute.map(Into::into)))
                })
            }
            Kind::RateLimit | Kind::RateLimitGroup | Kind::Bulkhead | Kind::BulkheadGroup => self.limit(kind, name)?,
            Kind::Fallback => {
                let fallback = steadfast::fallbacks().into_iter().find(|fallback| fallback.name == name)?;
                let totals = FallbackEntry::totals(&fallback);
                self.simple(kind, fallback.name, totals, Vec::new(), |id, minute| {
                    Entry::Fallback(FallbackEntry::new(id, fallback, minute.map(Into::into)))
                })
            }
            Kind::Timeout => {
                let timeout = steadfast::timeouts().into_iter().find(|timeout| timeout.name == name)?;
                self.simple(kind, timeout.name, TimeoutEntry::totals(&timeout), Vec::new(), |id, minute| {
                    Entry::Timeout(TimeoutEntry::new(id, timeout, minute.map(Into::into)))
                })
            }
            Kind::Budget => {
                let budget = steadfast::retry_budgets().into_iter().find(|budget| budget.name == name)?;
                self.simple(kind, budget.name, BudgetEntry::totals(&budget), Vec::new(), |id, minute| {
                    Entry::Budget(BudgetEntry::new(id, budget, minute.map(Into::into)))
                })
            }
        };
        Some(item)
    }

    fn breaker<K: Keying>(&self, breaker: &CircuitBreaker<K>, settings: Vec<Setting>) -> Item {
        let snapshot = breaker.snapshot();
        let recent = breaker.recent().into_iter().map(RecentEvent::new).collect();
        Item { id: item_id(&snapshot), entry: self.breaker_entry(breaker, snapshot), settings, recent }
    }

    /// Returns the entry of a breaker with or without a key.
    pub(crate) fn breaker_entry<K: Keying>(&self, breaker: &CircuitBreaker<K>, snapshot: Snapshot) -> Entry {
        let id = item_id(&snapshot);
        let minute = self.minute(&id, &totals(&snapshot), snapshot.durations.as_ref());
        let (callers, of_minute) = self.reader.callers().of_breaker(&snapshot);
        let context = Context {
            hung_call: snapshot.oldest_in_flight.and_then(|_| breaker.config().get_hung_call()),
            last_override: self.last_override(&id),
            last_minute: minute.map(|minute| BreakerMinute::new(&minute, of_minute)),
            callers,
        };
        Entry::Breaker(BreakerEntry::new(id.text(), snapshot, context, self.now, None))
    }

    fn limit(&self, kind: Kind, name: &str) -> Option<Item> {
        let item = match kind {
            Kind::RateLimit => {
                let limit = steadfast::rate_limit(name)?;
                let counts = limit.snapshot();
                let totals = RateLimitEntry::totals(&counts);
                self.simple(kind, limit.name(), totals, limit.settings(), |id, minute| {
                    Entry::RateLimit(RateLimitEntry::new(id, counts, minute.map(Into::into)))
                })
            }
            Kind::RateLimitGroup => {
                let limits = steadfast::keyed_rate_limits(name)?;
                let (counts, worst) = (limits.snapshot(), limits.most_rejected(MAX_KEYS_PER_NAME));
                let totals = RateLimitGroupEntry::totals(&counts);
                self.simple(kind, limits.name(), totals, limits.settings(), |id, minute| {
                    let worst = worst.iter().map(|limit| limit.snapshot());
                    Entry::RateLimitGroup(RateLimitGroupEntry::new(id, counts, worst, minute.map(Into::into)))
                })
            }
            Kind::Bulkhead => {
                let bulkhead = steadfast::bulkhead(name)?;
                let counts = bulkhead.snapshot();
                let totals = BulkheadEntry::totals(&counts);
                self.simple(kind, bulkhead.name(), totals, bulkhead.settings(), |id, minute| {
                    Entry::Bulkhead(BulkheadEntry::new(id, counts, minute.map(Into::into)))
                })
            }
            _ => {
                let bulkheads = steadfast::keyed_bulkheads(name)?;
                let (counts, worst) = (bulkheads.snapshot(), bulkheads.most_rejected(MAX_KEYS_PER_NAME));
                let totals = BulkheadGroupEntry::totals(&counts);
                self.simple(kind, bulkheads.name(), totals, bulkheads.settings(), |id, minute| {
                    let worst = worst.iter().map(|bulkhead| bulkhead.snapshot());
                    Entry::BulkheadGroup(BulkheadGroupEntry::new(id, counts, worst, minute.map(Into::into)))
                })
            }
        };
        Some(item)
    }

    /// Makes an item without durations and events.
    fn simple(
        &self,
        kind: Kind,
        name: &'static str,
        totals: Totals,
        settings: Vec<Setting>,
        make: impl FnOnce(Arc<str>, Option<Minute>) -> Entry,
    ) -> Item {
        let id = ItemId::new(kind, name);
        let entry = make(id.text(), self.minute(&id, &totals, None));
        Item { id, entry, settings, recent: Vec::new() }
    }

    fn last_override(&self, id: &ItemId) -> Option<u64> {
        self.last_overrides.of(id.kind, &id.text(), id.name)
    }

    fn minute(&self, id: &ItemId, totals: &Totals, durations: Option<&Durations>) -> Option<Minute> {
        self.reader.track(id)?.last_minute(self.reader.ticks(), unix_seconds(self.now), totals, durations)
    }
}

impl Item {
    /// Appends the answer of `/api/item`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, reader: &Reader) {
        let mut object = Object::begin(out);
        self.entry.write_all(&mut object);
        object.value("settings", &self.settings);
        object.value("recent", &self.recent);
        write_history(object.key("history"), reader.track(&self.id), reader.ticks());
        object.end();
    }
}

/// Appends the samples and state changes of an item. `known_since` is `null` for an item without samples.
pub(crate) fn write_history(out: &mut Vec<u8>, track: Option<&Track>, ticks: &Ticks) {
    let mut object = Object::begin(out);
    object.value("known_since", &track.and_then(|track| track.known_since(ticks)));
    let samples = track.map(|track| track.samples(ticks)).unwrap_or_default();
    let sample = |(at, [successes, failures, rejections, ..]): (f64, [u32; 5])| (at, successes, failures, rejections);
    object.value("samples", &samples.into_iter().map(sample).collect::<Vec<_>>());
    write_list(object.key("changes"), track.into_iter().flat_map(Track::changes), |out, change| {
        crate::entry::fields::write_json(out, change);
    });
    object.end();
}

/// Returns the id of an item that has a row.
pub(crate) fn row_id(id: &str) -> Option<ItemId> {
    let Id { kind, name, key } = Id::<&str, &str>::parse(id)?;
    let name = match kind {
        Kind::Breaker => steadfast::breaker(name)?.name(),
        Kind::Key | Kind::Overflow | Kind::Group => steadfast::keyed_breakers(name)?.name(),
        Kind::RateLimit => steadfast::rate_limit(name)?.name(),
        Kind::RateLimitGroup => steadfast::keyed_rate_limits(name)?.name(),
        Kind::Bulkhead => steadfast::bulkhead(name)?.name(),
        Kind::BulkheadGroup => steadfast::keyed_bulkheads(name)?.name(),
        Kind::Retry => steadfast::retries().into_iter().find(|retry| retry.name == name)?.name,
        Kind::Fallback => steadfast::fallbacks().into_iter().find(|fallback| fallback.name == name)?.name,
        Kind::Timeout => steadfast::timeouts().into_iter().find(|timeout| timeout.name == name)?.name,
        Kind::Budget => steadfast::retry_budgets().into_iter().find(|budget| budget.name == name)?.name,
    };
    Some(ItemId { kind, name, key: key.map(Into::into) })
}
