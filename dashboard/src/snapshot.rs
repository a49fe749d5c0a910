//! A snapshot of the whole registry as JSON, and the difference between two of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use crate::entry::{
    BreakerEntry, BreakerGroupEntry, BulkheadEntry, BulkheadGroupEntry, RateLimitEntry, RateLimitGroupEntry,
    RetryEntry, unix_seconds,
};

/// The JSON of every registered item at one point in time, by id.
#[derive(Debug, Default)]
pub(crate) struct RegistrySnapshot {
    /// The time of the snapshot, in seconds since 1970.
    at: f64,
    /// The time at which the dashboard was created, in seconds since 1970. Events before it are unknown.
    started: f64,
    items: BTreeMap<String, Item>,
}

#[derive(Debug)]
struct Item {
    section: Section,
    json: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Breakers,
    Keys,
    Groups,
    Retries,
    RateLimits,
    RateLimitGroups,
    Bulkheads,
    BulkheadGroups,
}

/// The sections with their field names in `/api/breakers`.
const SECTIONS: [(&str, Section); 8] = [
    ("breakers", Section::Breakers),
    ("groups", Section::Groups),
    ("keys", Section::Keys),
    ("retries", Section::Retries),
    ("rate_limits", Section::RateLimits),
    ("rate_limit_groups", Section::RateLimitGroups),
    ("bulkheads", Section::Bulkheads),
    ("bulkhead_groups", Section::BulkheadGroups),
];

/// The latest snapshot. All requests within [`MAX_AGE`] share it, so that many open pages cost as much as one.
#[derive(Debug)]
pub(crate) struct SnapshotCache {
    started: f64,
    latest: Mutex<Option<(Instant, Arc<RegistrySnapshot>)>>,
}

/// The maximum age at which a snapshot is reused.
const MAX_AGE: Duration = Duration::from_millis(200);

/// The number of keys per name that are listed one by one, the unhealthiest first.
const MAX_KEYS_PER_NAME: usize = 20;

impl SnapshotCache {
    pub(crate) fn new() -> Self {
        Self { started: unix_seconds(SystemTime::now()), latest: Mutex::default() }
    }

    pub(crate) fn latest(&self) -> Arc<RegistrySnapshot> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((at, snapshot)) if at.elapsed() < MAX_AGE => snapshot.clone(),
            _ => {
                let snapshot = Arc::new(RegistrySnapshot::capture(self.started));
                *latest = Some((Instant::now(), snapshot.clone()));
                snapshot
            }
        }
    }
}

impl RegistrySnapshot {
    fn capture(started: f64) -> Self {
        let now = SystemTime::now();
        let mut snapshot = Self { at: unix_seconds(now), started, items: BTreeMap::new() };
        for breaker in steadfast::breakers() {
            let entry = BreakerEntry::new(breaker, now);
            snapshot.add(&entry.id, Section::Breakers, &entry);
        }
        for breakers in steadfast::all_keyed_breakers() {
            let entry = BreakerGroupEntry::new(breakers);
            snapshot.add(&entry.id, Section::Groups, &entry);
            for breaker in breakers.unhealthiest(MAX_KEYS_PER_NAME) {
                let entry = BreakerEntry::new(&*breaker, now);
                snapshot.add(&entry.id, Section::Keys, &entry);
            }
        }
        for retry in steadfast::retries() {
            let entry = RetryEntry::new(retry);
            snapshot.add(&entry.id, Section::Retries, &entry);
        }
        for limit in steadfast::rate_limits() {
            let entry = RateLimitEntry::new(limit);
            snapshot.add(&entry.id, Section::RateLimits, &entry);
        }
        for limits in steadfast::all_keyed_rate_limits() {
            let entry = RateLimitGroupEntry::new(limits, MAX_KEYS_PER_NAME);
            snapshot.add(&entry.id, Section::RateLimitGroups, &entry);
        }
        for bulkhead in steadfast::bulkheads() {
            let entry = BulkheadEntry::new(bulkhead);
            snapshot.add(&entry.id, Section::Bulkheads, &entry);
        }
        for bulkheads in steadfast::all_keyed_bulkheads() {
            let entry = BulkheadGroupEntry::new(bulkheads, MAX_KEYS_PER_NAME);
            snapshot.add(&entry.id, Section::BulkheadGroups, &entry);
        }
        snapshot
    }

    fn add(&mut self, id: &str, section: Section, entry: &impl Serialize) {
        // Serialization fails only for maps with keys other than strings, and the entries contain none.
        if let Ok(json) = serde_json::to_string(entry) {
            self.items.insert(id.to_owned(), Item { section, json });
        }
    }

    /// Returns the body of `/api/breakers`: every entry, by section.
    pub(crate) fn by_section(&self, can_override: bool) -> String {
        let sections = SECTIONS.map(|(name, section)| {
            let of_section = self.items.values().filter(|item| item.section == section);
            format!("\"{name}\":[{}]", join(of_section.map(|item| item.json.as_str())))
        });
        format!("{{{},{}}}", self.common_fields(can_override), sections.join(","))
    }

    /// Returns the first event of `/api/live`: every entry, in one list.
    pub(crate) fn all(&self, can_override: bool) -> String {
        let entries = join(self.items.values().map(|item| item.json.as_str()));
        format!("{{{},\"entries\":[{entries}]}}", self.common_fields(can_override))
    }

    fn common_fields(&self, can_override: bool) -> String {
        format!("\"now\":{},\"started\":{},\"can_override\":{can_override}", self.at, self.started)
    }

    /// Returns a later event of `/api/live`: the entries that differ from `before`, and the ids that no longer exist. Returns `None` if
    /// nothing has changed.
    pub(crate) fn changes_since(&self, before: &Self) -> Option<String> {
        let is_changed = |(id, item): &(&String, &Item)| before.items.get(*id).is_none_or(|old| old.json != item.json);
        let entries = join(self.items.iter().filter(is_changed).map(|(_, item)| item.json.as_str()));
        let removed: Vec<_> = before.items.keys().filter(|id| !self.items.contains_key(*id)).collect();
        if entries.is_empty() && removed.is_empty() {
            return None;
        }
        let removed = serde_json::to_string(&removed).ok()?;
        Some(format!("{{\"now\":{},\"entries\":[{entries}],\"removed\":{removed}}}", self.at))
    }
}

fn join<'e>(entries: impl Iterator<Item = &'e str>) -> String {
    let mut joined = String::new();
    for entry in entries {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(entry);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(items: &[(&str, &str)]) -> RegistrySnapshot {
        let item = |(id, json): &(&str, &str)| {
            ((*id).to_owned(), Item { section: Section::Breakers, json: (*json).to_owned() })
        };
        RegistrySnapshot { at: 1.5, started: 1.0, items: items.iter().map(item).collect() }
    }

    #[test]
    fn changes_contain_only_changed_and_removed_entries() {
        let before = snapshot(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(before.changes_since(&before), None);
        let after = snapshot(&[("a", "1"), ("b", "4"), ("d", "5")]);
        assert_eq!(after.changes_since(&before).as_deref(), Some(r#"{"now":1.5,"entries":[4,5],"removed":["c"]}"#));
        assert_eq!(after.all(true), r#"{"now":1.5,"started":1,"can_override":true,"entries":[1,4,5]}"#);
    }
}
