//! The names of Redis keys and channels.
//!
//! All keys of a breaker have the same hash tag (the part in braces), so a cluster stores them in one slot.

use std::{fmt::Write, sync::Arc};

/// The id of a breaker and its Redis keys.
#[derive(Debug)]
pub(crate) struct BreakerKeys {
    pub(crate) id: Arc<str>,
    pub(crate) state: String,
    pub(crate) votes: String,
    pub(crate) lease: String,
    pub(crate) audit: String,
    pub(crate) failures: String,
}

impl BreakerKeys {
    pub(crate) fn new(application: &str, breaker: &str, key: Option<&str>) -> Self {
        let id = breaker_id(breaker, key);
        let prefix = format!("steadfast:{{{}:{id}}}", encode(application));
        let key = |suffix: &str| format!("{prefix}:{suffix}");
        Self {
            id: id.as_str().into(),
            state: key("state"),
            votes: key("votes"),
            lease: key("lease"),
            audit: key("audit"),
            failures: key("failures"),
        }
    }
}

/// Returns the id of a breaker or rate limit within its application: the name, and the key if there is one.
pub(crate) fn breaker_id(name: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{}:{}", encode(name), encode(key)),
        None => encode(name),
    }
}

/// Parses an id into the breaker's name and its key; `None` if it is malformed.
pub(crate) fn parse_breaker_id(id: &str) -> Option<(String, Option<String>)> {
    match id.split_once(':') {
        Some((breaker, key)) => Some((decode(breaker)?, Some(decode(key)?))),
        None => Some((decode(id)?, None)),
    }
}

/// Returns the entry of a breaker in the application's set of shared breakers. Keyed breakers have one entry for all keys.
pub(crate) fn registration(breaker: &str, is_keyed: bool) -> String {
    format!("{}{}", encode(breaker), if is_keyed { ":" } else { "" })
}

/// Returns a Redis key that belongs to the application as a whole.
pub(crate) fn application_key(application: &str, suffix: &str) -> String {
    format!("steadfast:{{{}}}:{suffix}", encode(application))
}

/// Returns the application's channel. It contains the database number, since the databases of a Redis share their channels.
pub(crate) fn channel(application: &str, database: i64) -> String {
    match database {
        0 => application_key(application, "changes"),
        other => application_key(application, &format!("changes:{other}")),
    }
}

/// Returns the Redis key of a rate limit. That of the overflow limit contains one more colon than any other, since encoded names and keys
/// contain none.
pub(crate) fn rate_limit_key(application: &str, limit: &str, key: Option<&str>, overflow: bool) -> String {
    let mark = if overflow { "::overflow" } else { "" };
    format!("steadfast:{{{}:{}{mark}}}:limit", encode(application), breaker_id(limit, key))
}

/// Percent-encodes separators and control characters, so that different names give different Redis keys.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '%' | ':' | '{' | '}' | '\0'..='\x1f' => _ = write!(encoded, "%{:02X}", u32::from(character)),
            _ => encoded.push(character),
        }
    }
    encoded
}

/// Reverses [`encode`]; `None` if the text is malformed.
fn decode(encoded: &str) -> Option<String> {
    let mut parts = encoded.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let number = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        name.push(number.into());
        name.push_str(part.get(2..)?);
    }
    Some(name)
}

/// Makes a text safe as one field of a line: replaces control characters with spaces and truncates the text to 200 characters.
pub(crate) fn sanitize_field(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{BreakerKeys, application_key, parse_breaker_id, rate_limit_key};

    #[test]
    fn different_names_have_different_keys() {
        let state = |application, breaker| BreakerKeys::new(application, breaker, None).state;
        assert_eq!(state("shop", "payments"), "steadfast:{shop:payments}:state");
        assert_ne!(state("a:b", "c"), state("a", "b:c"));
        assert_ne!(state("a%3A", "b"), state("a:", "b"));
        assert_eq!(state("a}b", "c{"), "steadfast:{a%7Db:c%7B}:state");
        assert_eq!(BreakerKeys::new("shop", "hosts", Some("eu:1")).state, "steadfast:{shop:hosts:eu%3A1}:state");
        assert_ne!(BreakerKeys::new("a", "b:c", None).state, BreakerKeys::new("a", "b", Some("c")).state);
        assert_eq!(application_key("shop", "changes"), "steadfast:{shop}:changes");
        assert_ne!(rate_limit_key("a", "b", Some("c"), false), rate_limit_key("a", "b:c", None, false));
        for key in [None, Some(""), Some("overflow"), Some(":overflow"), Some("::overflow")] {
            assert_ne!(rate_limit_key("a", "b", key, false), rate_limit_key("a", "b", None, true));
        }
    }

    #[test]
    fn ids_round_trip() {
        for (breaker, key) in
            [("payments", None), ("hosts", Some("eu:1")), ("50%", Some("")), ("a:b", Some("{c}%7D\n"))]
        {
            let id = BreakerKeys::new("shop", breaker, key).id;
            assert_eq!(parse_breaker_id(&id), Some((breaker.to_owned(), key.map(str::to_owned))), "{id}");
        }
        assert_eq!(parse_breaker_id("50%"), None);
        assert_eq!(parse_breaker_id("50%zz"), None);
        assert_eq!(parse_breaker_id("50%é"), None);
    }

    #[test]
    fn all_keys_of_a_breaker_share_a_hash_tag() {
        let BreakerKeys { state, votes, lease, audit, failures, .. } = BreakerKeys::new("shop", "pay}ments", None);
        let tag = |key: &str| key.split_once('{').and_then(|(_, rest)| Some(rest.split_once('}')?.0.to_owned()));
        let tags = [&state, &votes, &lease, &audit, &failures].map(|key| tag(key));
        assert!(tags.iter().all(|tag| tag.as_deref() == Some("shop:pay%7Dments")), "{tags:?}");
    }
}
