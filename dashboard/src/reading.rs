//! What there is to show at one moment, and what is new in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use crate::entry::{Breaker, Group, OneRateLimit, Places, RateLimitGroup, Retry, moment};

/// The entries at one moment, each with its JSON, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    at: f64,
    /// Since when the dashboard exists: what was before it does not know.
    started: f64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
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
}

/// As `/api/breakers` names them.
const SECTIONS: [(&str, Section); 7] = [
    ("breakers", Section::Breakers),
    ("groups", Section::Groups),
    ("keys", Section::Keys),
    ("retries", Section::Retries),
    ("rate_limits", Section::RateLimits),
    ("rate_limit_groups", Section::RateLimitGroups),
    ("bulkheads", Section::Bulkheads),
];

/// Takes readings, and gives each to all who ask within a moment: many pages cost what one does.
#[derive(Debug)]
pub(crate) struct Readings {
    started: f64,
    latest: Mutex<Option<(Instant, Arc<Reading>)>>,
}

/// How old a reading may be.
const FRESH: Duration = Duration::from_millis(200);

/// Keys of a name that are shown one by one: those that need looking at first.
const KEYS: usize = 20;

impl Readings {
    pub(crate) fn new() -> Self {
        Self { started: moment(SystemTime::now()), latest: Mutex::default() }
    }

    pub(crate) fn latest(&self) -> Arc<Reading> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((at, reading)) if at.elapsed() < FRESH => reading.clone(),
            _ => {
                let reading = Arc::new(Reading::take(self.started));
                *latest = Some((Instant::now(), reading.clone()));
                reading
            }
        }
    }
}

impl Reading {
    fn take(started: f64) -> Self {
        let now = SystemTime::now();
        let mut reading = Self { at: moment(now), started, entries: BTreeMap::new() };
        for breaker in steadfast::breakers() {
            let breaker = Breaker::of(breaker, now);
            reading.add(breaker.id(), Section::Breakers, &breaker);
        }
        for breakers in steadfast::all_keyed_breakers() {
            let group = Group::of(breakers);
            reading.add(group.id(), Section::Groups, &group);
            for breaker in breakers.unhealthiest(KEYS) {
                let breaker = Breaker::of(&*breaker, now);
                reading.add(breaker.id(), Section::Keys, &breaker);
            }
        }
        for retry in steadfast::retries() {
            let retry = Retry::of(retry);
            reading.add(retry.id(), Section::Retries, &retry);
        }
        for limit in steadfast::rate_limits() {
            let limit = OneRateLimit::of(limit);
            reading.add(limit.id(), Section::RateLimits, &limit);
        }
        for limits in steadfast::all_keyed_rate_limits() {
            let group = RateLimitGroup::of(limits, KEYS);
            reading.add(group.id(), Section::RateLimitGroups, &group);
        }
        for bulkhead in steadfast::bulkheads() {
            let places = Places::of(bulkhead);
            reading.add(places.id(), Section::Bulkheads, &places);
        }
        reading
    }

    fn add(&mut self, id: &str, section: Section, entry: &impl Serialize) {
        // Maps with keys that are no strings are all that cannot be JSON, and there are none.
        if let Ok(json) = serde_json::to_string(entry) {
            self.entries.insert(id.to_owned(), Entry { section, json });
        }
    }

    /// Everything, section by section: what `/api/breakers` answers.
    pub(crate) fn by_kind(&self, can_act: bool) -> String {
        let sections = SECTIONS.map(|(name, section)| {
            let of_section = self.entries.values().filter(|entry| entry.section == section);
            format!("\"{name}\":[{}]", join(of_section.map(|entry| entry.json.as_str())))
        });
        format!("{{{},{}}}", self.head(can_act), sections.join(","))
    }

    /// Everything, in one list.
    pub(crate) fn all(&self, can_act: bool) -> String {
        let all = join(self.entries.values().map(|entry| entry.json.as_str()));
        format!("{{{},\"set\":[{all}]}}", self.head(can_act))
    }

    fn head(&self, can_act: bool) -> String {
        format!("\"now\":{},\"started\":{},\"can_act\":{can_act}", self.at, self.started)
    }

    /// What has changed since `before`, and what is gone; `None` if nothing.
    pub(crate) fn since(&self, before: &Self) -> Option<String> {
        let is_new = |(id, entry): &(&String, &Entry)| before.entries.get(*id).is_none_or(|old| old.json != entry.json);
        let set = join(self.entries.iter().filter(is_new).map(|(_, entry)| entry.json.as_str()));
        let gone: Vec<_> = before.entries.keys().filter(|id| !self.entries.contains_key(*id)).collect();
        if set.is_empty() && gone.is_empty() {
            return None;
        }
        let gone = serde_json::to_string(&gone).ok()?;
        Some(format!("{{\"now\":{},\"set\":[{set}],\"gone\":{gone}}}", self.at))
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

    fn reading(entries: &[(&str, &str)]) -> Reading {
        let entry = |(id, json): &(&str, &str)| {
            ((*id).to_owned(), Entry { section: Section::Breakers, json: (*json).to_owned() })
        };
        Reading { at: 1.5, started: 1.0, entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let before = reading(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(before.since(&before), None);
        let after = reading(&[("a", "1"), ("b", "4"), ("d", "5")]);
        assert_eq!(after.since(&before).as_deref(), Some(r#"{"now":1.5,"set":[4,5],"gone":["c"]}"#));
        assert_eq!(after.all(true), r#"{"now":1.5,"started":1,"can_act":true,"set":[1,4,5]}"#);
    }
}
