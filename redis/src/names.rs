//! Which keys and channels belong to whom.

use std::{fmt::Write, sync::Arc};

/// What a breaker is called in Redis, and its keys there. What stands in braces is what a cluster goes by: all of them are in one slot.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) id: Arc<str>,
    pub(crate) state: String,
    pub(crate) votes: String,
    pub(crate) lease: String,
    pub(crate) audit: String,
    pub(crate) failures: String,
}

impl Keys {
    pub(crate) fn new(application: &str, breaker: &str, key: Option<&str>) -> Self {
        let id = id(breaker, key);
        let tag = format!("steadfast:{{{}:{id}}}", plain(application));
        let key = |part: &str| format!("{tag}:{part}");
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

/// What a breaker or a limit is called in Redis; each of the keys has one of its own.
pub(crate) fn id(name: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{}:{}", plain(name), plain(key)),
        None => plain(name),
    }
}

/// The breaker that is called so in Redis, and its key; `None` if none can be.
pub(crate) fn breaker_of(id: &str) -> Option<(String, Option<String>)> {
    match id.split_once(':') {
        Some((breaker, key)) => Some((unplain(breaker)?, Some(unplain(key)?))),
        None => Some((unplain(id)?, None)),
    }
}

/// Under what a breaker is known to be shared, or those of all its keys.
pub(crate) fn registered(breaker: &str, is_keyed: bool) -> String {
    format!("{}{}", plain(breaker), if is_keyed { ":" } else { "" })
}

/// A key, or the channel, of an application as a whole.
pub(crate) fn of_application(application: &str, part: &str) -> String {
    format!("steadfast:{{{}}}:{part}", plain(application))
}

/// The channel of an application. Databases have keys of their own, but all of a Redis have the same channels.
pub(crate) fn channel(application: &str, database: i64) -> String {
    match database {
        0 => of_application(application, "changes"),
        other => of_application(application, &format!("changes:{other}")),
    }
}

/// The key of a rate limit. That of the overflow has a colon more than that of any key, which has none in it.
pub(crate) fn of_limit(application: &str, limit: &str, key: Option<&str>, overflow: bool) -> String {
    let mark = if overflow { "::overflow" } else { "" };
    format!("steadfast:{{{}:{}{mark}}}:limit", plain(application), id(limit, key))
}

/// A name that can't be taken for two: without what separates names, each such character as `%` and its number.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '%' | ':' | '{' | '}' | '\0'..='\x1f' => _ = write!(plain, "%{:02X}", u32::from(character)),
            _ => plain.push(character),
        }
    }
    plain
}

/// The name that [`plain`] has made this of.
fn unplain(plain: &str) -> Option<String> {
    let mut parts = plain.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let number = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        name.push(number.into());
        name.push_str(part.get(2..)?);
    }
    Some(name)
}

/// Text that takes no more than one field of a line.
pub(crate) fn field(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{Keys, breaker_of, of_application, of_limit};

    #[test]
    fn no_two_names_give_one_key() {
        let state = |application, breaker| Keys::new(application, breaker, None).state;
        assert_eq!(state("shop", "payments"), "steadfast:{shop:payments}:state");
        assert_ne!(state("a:b", "c"), state("a", "b:c"));
        assert_ne!(state("a%3A", "b"), state("a:", "b"));
        assert_eq!(state("a}b", "c{"), "steadfast:{a%7Db:c%7B}:state");
        assert_eq!(Keys::new("shop", "hosts", Some("eu:1")).state, "steadfast:{shop:hosts:eu%3A1}:state");
        assert_ne!(Keys::new("a", "b:c", None).state, Keys::new("a", "b", Some("c")).state);
        assert_eq!(of_application("shop", "changes"), "steadfast:{shop}:changes");
        assert_ne!(of_limit("a", "b", Some("c"), false), of_limit("a", "b:c", None, false));
        for key in [None, Some(""), Some("overflow"), Some(":overflow"), Some("::overflow")] {
            assert_ne!(of_limit("a", "b", key, false), of_limit("a", "b", None, true));
        }
    }

    #[test]
    fn a_breaker_is_found_by_what_it_is_called() {
        for (breaker, key) in
            [("payments", None), ("hosts", Some("eu:1")), ("50%", Some("")), ("a:b", Some("{c}%7D\n"))]
        {
            let id = Keys::new("shop", breaker, key).id;
            assert_eq!(breaker_of(&id), Some((breaker.to_owned(), key.map(str::to_owned))), "{id}");
        }
        assert_eq!(breaker_of("50%"), None);
        assert_eq!(breaker_of("50%zz"), None);
        assert_eq!(breaker_of("50%é"), None);
    }

    #[test]
    fn a_breaker_has_one_slot() {
        let Keys { state, votes, lease, audit, failures, .. } = Keys::new("shop", "pay}ments", None);
        let tag = |key: &str| key.split_once('{').and_then(|(_, rest)| Some(rest.split_once('}')?.0.to_owned()));
        let tags = [&state, &votes, &lease, &audit, &failures].map(|key| tag(key));
        assert!(tags.iter().all(|tag| tag.as_deref() == Some("shop:pay%7Dments")), "{tags:?}");
    }
}
