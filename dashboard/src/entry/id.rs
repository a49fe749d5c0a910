//! The ids of entries.

use std::sync::Arc;

/// The kind of an entry, with the name and the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id<N, K> {
    pub(crate) kind: Kind,
    pub(crate) name: N,
    pub(crate) key: Option<K>,
}

/// An id of an item of the program: its names are static.
pub(crate) type ItemId = Id<&'static str, Arc<str>>;

/// The kind of an entry, as its id begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Breaker,
    Key,
    Overflow,
    Group,
    Retry,
    RateLimit,
    RateLimitGroup,
    Bulkhead,
    BulkheadGroup,
    Fallback,
    Timeout,
    Budget,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Breaker,
        Self::Key,
        Self::Overflow,
        Self::Group,
        Self::Retry,
        Self::RateLimit,
        Self::RateLimitGroup,
        Self::Bulkhead,
        Self::BulkheadGroup,
        Self::Fallback,
        Self::Timeout,
        Self::Budget,
    ];

    /// Returns the first word of the id.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Key => "key",
            Self::Overflow => "overflow",
            Self::Group => "group",
            Self::Retry => "retry",
            Self::RateLimit => "rate_limit",
            Self::RateLimitGroup => "rate_limits",
            Self::Bulkhead => "bulkhead",
            Self::BulkheadGroup => "bulkheads",
            Self::Fallback => "fallback",
            Self::Timeout => "timeout",
            Self::Budget => "budget",
        }
    }

    /// Returns the value of the field `kind`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Overflow => "key",
            Self::RateLimitGroup => "rate_limit_group",
            Self::BulkheadGroup => "bulkhead_group",
            _ => self.prefix(),
        }
    }
}

impl ItemId {
    pub(crate) fn new(kind: Kind, name: &'static str) -> Self {
        Self { kind, name, key: None }
    }

    pub(crate) fn breaker(name: &'static str, key: Option<&Arc<str>>, is_overflow: bool) -> Self {
        let kind = match key {
            Some(_) => Kind::Key,
            None if is_overflow => Kind::Overflow,
            None => Kind::Breaker,
        };
        Self { kind, name, key: key.cloned() }
    }
}

impl<N: AsRef<str>, K: AsRef<str>> Id<N, K> {
    /// Returns the id, which is unique among all entries. The length of the name marks where the name ends and the key begins.
    pub(crate) fn text(&self) -> Arc<str> {
        let (prefix, name) = (self.kind.prefix(), self.name.as_ref());
        match &self.key {
            Some(key) => format!("{prefix} {} {name} {}", name.len(), key.as_ref()).into(),
            None => format!("{prefix} {name}").into(),
        }
    }
}

impl<'i> Id<&'i str, &'i str> {
    /// Parses an id; `None` if it cannot be the id of an entry.
    pub(crate) fn parse(id: &'i str) -> Option<Self> {
        let (prefix, name) = id.split_once(' ')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.prefix() == prefix)?;
        if kind != Kind::Key {
            return Some(Self { kind, name, key: None });
        }
        let (length, rest) = name.split_once(' ')?;
        let (name, key) = rest.split_at_checked(length.parse().ok()?)?;
        Some(Self { kind, name, key: Some(key.strip_prefix(' ')?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_to_what_it_was_made_of() {
        for (kind, name, key) in [
            (Kind::Breaker, "payments", None),
            (Kind::Breaker, "with  spaces ", None),
            (Kind::Overflow, "hosts", None),
            (Kind::RateLimitGroup, "tenants", None),
            (Kind::Key, "hosts", Some("example.org")),
            (Kind::Key, "my hosts", Some(" 7 a b")),
            (Kind::Key, "größe", Some("")),
            (Kind::Timeout, "shop::search::query", None),
        ] {
            let id = Id { kind, name, key };
            assert_eq!(Id::parse(&id.text()), Some(id));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for wrong in
            ["", "breaker", "circuit a", "key hosts a", "key 9 hosts a", "key 5 hosts", "key 2 größe a", "key 5 hostsa"]
        {
            assert_eq!(Id::<&str, &str>::parse(wrong), None, "{wrong}");
        }
    }
}
