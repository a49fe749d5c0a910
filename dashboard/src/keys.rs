//! The search in all keys of a name: `GET /api/keys`.

use std::time::SystemTime;

use crate::{
    entry::{
        condition::Condition,
        fields::{Object, write_json, write_list},
        limits::LimitedKey,
    },
    filter::{Query, contains},
    item::Items,
    reader::{Reader, Worst},
};

/// A search for keys.
#[derive(Debug)]
pub(crate) struct KeySearch {
    kind: KeyKind,
    name: String,
    search: Option<String>,
    states: Vec<Condition>,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Breaker,
    RateLimit,
    Bulkhead,
}

const DEFAULT_LIMIT: usize = 50;
/// The largest number of keys in one answer.
const MAX_LIMIT: usize = 1_000;

impl KeySearch {
    /// Parses the query of `/api/keys`. An empty `search` or `state` finds every key.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, String> {
        let query = Query::parse(query, &["kind", "name", "search", "state", "limit"])?;
        let kind = match query.required("kind")? {
            "breaker" => KeyKind::Breaker,
            "rate_limit" => KeyKind::RateLimit,
            "bulkhead" => KeyKind::Bulkhead,
            other => {
                return Err(format!("unknown kind `{other}`: the valid ones are `breaker`, `rate_limit`, `bulkhead`"));
            }
        };
        let states = if query.possibly_empty("state")? == Some("") { Vec::new() } else { query.states()? };
        if kind != KeyKind::Breaker && !states.is_empty() {
            return Err("`state` applies to keys of the kind `breaker` only".to_owned());
        }
        Ok(Self {
            kind,
            name: query.required("name")?.to_owned(),
            search: query.possibly_empty("search")?.filter(|search| !search.is_empty()).map(str::to_lowercase),
            states,
            limit: query.limit(DEFAULT_LIMIT, MAX_LIMIT)?,
        })
    }

    /// Returns the answer; `None` if the name is not declared with keys.
    pub(crate) fn run(&self, reader: &Reader) -> Option<Vec<u8>> {
        match self.kind {
            KeyKind::Breaker => self.breakers(reader),
            KeyKind::RateLimit => {
                let limits = steadfast::keyed_rate_limits(&self.name)?;
                Some(self.limits(limits.iter().map(|limit| LimitedKey::RateLimit(limit.snapshot()))))
            }
            KeyKind::Bulkhead => {
                let bulkheads = steadfast::keyed_bulkheads(&self.name)?;
                Some(self.limits(bulkheads.iter().map(|bulkhead| LimitedKey::Bulkhead(bulkhead.snapshot()))))
            }
        }
    }

    fn breakers(&self, reader: &Reader) -> Option<Vec<u8>> {
        let breakers = steadfast::keyed_breakers(&self.name)?;
        let hung_call = breakers.config().get_hung_call();
        let (mut total, mut matches, mut worst) = (0, 0, Worst::new(self.limit));
        for breaker in breakers.iter() {
            total += 1;
            if !contains(self.search.as_deref(), breaker.key()) {
                continue;
            }
            let snapshot = breaker.snapshot();
            let condition = Condition::new(&snapshot, snapshot.admitted_share, hung_call);
            if !condition.is_one_of(&self.states, snapshot.state) {
                continue;
            }
            matches += 1;
            if let Some(rank) = worst.rank(condition, &snapshot) {
                worst.add(rank, (breaker, snapshot));
            }
        }
        let items = Items::new(reader, SystemTime::now());
        Some(answer(total, matches, worst.into_items(), |out, (breaker, snapshot)| {
            let mut object = Object::begin(out);
            items.breaker_entry(&*breaker, snapshot).write_all(&mut object);
            object.end();
        }))
    }

    fn limits(&self, keys: impl Iterator<Item = LimitedKey>) -> Vec<u8> {
        let (mut total, mut found) = (0, Vec::new());
        for key in keys {
            total += 1;
            if contains(self.search.as_deref(), key.key().unwrap_or_default()) {
                found.push(key);
            }
        }
        let matches = found.len();
        found.sort_by(|left, right| right.rejected().cmp(&left.rejected()).then_with(|| left.key().cmp(&right.key())));
        answer(total, matches, found.into_iter().take(self.limit), |out, key| write_json(out, &key))
    }
}

fn answer<T>(
    total: usize,
    matches: usize,
    keys: impl Iterator<Item = T>,
    write: impl FnMut(&mut Vec<u8>, T),
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    object.value("total", &total);
    object.value("matches", &matches);
    write_list(object.key("keys"), keys, write);
    object.end();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_searches_are_errors() {
        for (query, message) in [
            ("", "the parameter `kind` is missing"),
            ("kind=breaker", "the parameter `name` is missing"),
            ("kind=retry&name=a", "unknown kind `retry`: the valid ones are `breaker`, `rate_limit`, `bulkhead`"),
            ("kind=bulkhead&name=a&state=open", "`state` applies to keys of the kind `breaker` only"),
            ("kind=bulkhead&name=a&search=x&search=y", "`search` is given more than once"),
            ("kind=breaker&name=a&limit=0", "`limit` must be at least 1"),
        ] {
            assert_eq!(KeySearch::parse(Some(query)).err().as_deref(), Some(message), "{query}");
        }
        assert!(KeySearch::parse(Some("kind=breaker&name=hosts&search=&state=&limit=50")).is_ok());
    }
}
