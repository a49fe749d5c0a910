//! Queries of URLs, and the filter of `/api/breakers`.

use crate::{
    entry::{Entry, Section, condition::Condition},
    log::EventKind,
};

/// The parameters of a URL, decoded.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parses the query of a URL, which may have only these parameters.
    ///
    /// # Errors
    ///
    /// The message names the parameter that is wrong, and lists the valid ones.
    pub(crate) fn parse(query: Option<&str>, valid: &[&str]) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| format!("`{pair}` is not percent-encoded UTF-8"))?;
            if !valid.contains(&name.as_str()) {
                return Err(format!("unknown parameter `{name}`: the valid ones are {}", list(valid.iter().copied())));
            }
            let value = decode(value).ok_or_else(|| format!("`{name}` is not percent-encoded UTF-8"))?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// Returns all values of a parameter.
    pub(crate) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter; `None` if it is not given.
    ///
    /// # Errors
    ///
    /// If the parameter is given more than once.
    pub(crate) fn possibly_empty(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        match values.next() {
            Some(_) => Err(format!("`{name}` is given more than once")),
            None => Ok(value),
        }
    }

    /// Returns the value of a parameter; `None` if it is not given.
    ///
    /// # Errors
    ///
    /// If the parameter is empty or given more than once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, String> {
        match self.possibly_empty(name)? {
            Some("") => Err(format!("`{name}` is empty")),
            value => Ok(value),
        }
    }

    /// Returns the value of a parameter that is required.
    pub(crate) fn required(&self, name: &str) -> Result<&str, String> {
        self.one(name)?.ok_or_else(|| format!("the parameter `{name}` is missing"))
    }

    /// Returns a number; `None` if it is not given.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let number = |value: &str| value.parse().map_err(|_| format!("`{name}` must be a whole number, not `{value}`"));
        self.one(name)?.map(number).transpose()
    }

    /// Returns a limit of 1 or more, at most `max`.
    pub(crate) fn limit(&self, default: usize, max: usize) -> Result<usize, String> {
        match self.number("limit")? {
            None => Ok(default),
            Some(0) => Err("`limit` must be at least 1".to_owned()),
            Some(limit) => Ok(usize::try_from(limit).unwrap_or(max).min(max)),
        }
    }

    /// Returns true for `1`, and false if the parameter is not given or `0`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.one(name)? {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(format!("`{name}` must be 0 or 1, not `{other}`")),
        }
    }

    /// Returns the conditions or states of the parameter `state`, separated by commas; empty if it is not given.
    pub(crate) fn states(&self) -> Result<Vec<Condition>, String> {
        let find = |name: &str| Condition::ALL.into_iter().find(|condition| condition.name() == name);
        self.names("state", find, &Condition::ALL.map(Condition::name))
    }

    /// Returns the kind of events of the parameter `kind`; `None` if it is not given.
    pub(crate) fn event_kind(&self) -> Result<Option<EventKind>, String> {
        match self.one("kind")? {
            None => Ok(None),
            Some("state") => Ok(Some(EventKind::State)),
            Some("override") => Ok(Some(EventKind::Override)),
            Some(other) => Err(format!("unknown kind `{other}`: the valid ones are `state`, `override`")),
        }
    }

    fn names<T>(&self, name: &str, find: impl Fn(&str) -> Option<T>, valid: &[&str]) -> Result<Vec<T>, String> {
        let Some(value) = self.one(name)? else { return Ok(Vec::new()) };
        let parse = |item: &str| {
            find(item)
                .ok_or_else(|| format!("unknown {name} `{item}`: the valid ones are {}", list(valid.iter().copied())))
        };
        value.split(',').map(parse).collect()
    }
}

/// The filter of `/api/breakers`. An entry has to fulfil each condition that is given.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    states: Vec<Condition>,
    pub(crate) name: Option<String>,
    pub(crate) key: Option<String>,
    search: Option<String>,
    sections: Vec<Section>,
    pub(crate) limit: usize,
}

/// The parameters of `/api/breakers`.
const PARAMETERS: [&str; 6] = ["state", "name", "key", "search", "section", "limit"];

impl Filter {
    /// Parses the query of `/api/breakers`.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, String> {
        let query = Query::parse(query, &PARAMETERS)?;
        let find = |name: &str| Section::ALL.into_iter().find(|section| section.name() == name);
        Ok(Self {
            states: query.states()?,
            name: query.one("name")?.map(Into::into),
            // The empty text is a key like any other.
            key: query.possibly_empty("key")?.map(Into::into),
            search: query.one("search")?.map(str::to_lowercase),
            sections: query.names("section", find, &Section::ALL.map(Section::name))?,
            limit: query.limit(usize::MAX, usize::MAX)?,
        })
    }

    /// Returns true if the answer has this section.
    pub(crate) fn has_section(&self, section: Section) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }

    /// Returns true if the entry is in the answer. Only breakers and keys have a state, and only keys a key.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let breaker = entry.as_breaker();
        let key = breaker.and_then(|breaker| breaker.key.as_deref());
        let has_state = self.states.is_empty()
            || breaker.is_some_and(|breaker| breaker.condition.is_one_of(&self.states, breaker.state.0));
        let has_text = |text: &str| contains(self.search.as_deref(), text);
        has_state
            && self.name.as_deref().is_none_or(|name| name == entry.name())
            && self.key.as_deref().is_none_or(|wanted| Some(wanted) == key)
            && (has_text(entry.name()) || key.is_some_and(has_text))
    }
}

/// Returns true if `text` contains `search`, in lower case; also if there is nothing to search for.
pub(crate) fn contains(search: Option<&str>, text: &str) -> bool {
    search.is_none_or(|search| text.to_lowercase().contains(search))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Decodes a part of a query: `+` is a space, `%2B` a plus. Returns `None` if the text is malformed.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse(Some("a=x%20y+z%2B&b=&id=1&id=%C3%A9&&c"), &["a", "b", "c", "id"])
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(query.one("a"), Ok(Some("x y z+")));
        assert_eq!(query.all("id").collect::<Vec<_>>(), ["1", "é"]);
        assert_eq!(query.one("b"), Err("`b` is empty".to_owned()));
        assert_eq!(query.possibly_empty("b"), Ok(Some("")));
        assert_eq!(query.one("c"), Err("`c` is empty".to_owned()));
        assert_eq!(query.one("id"), Err("`id` is given more than once".to_owned()));
        assert_eq!(query.required("d"), Err("the parameter `d` is missing".to_owned()));
    }

    #[test]
    fn malformed_queries_are_errors() {
        for (query, message) in [
            ("name=%", "`name` is not percent-encoded UTF-8"),
            ("name=%4", "`name` is not percent-encoded UTF-8"),
            ("name=%+1", "`name` is not percent-encoded UTF-8"),
            ("name=%zz", "`name` is not percent-encoded UTF-8"),
            ("name=%ff", "`name` is not percent-encoded UTF-8"),
            ("%ff=1", "`%ff=1` is not percent-encoded UTF-8"),
            (
                "nam=a",
                "unknown parameter `nam`: the valid ones are `state`, `name`, `key`, `search`, `section`, `limit`",
            ),
            (
                "state=open,shut",
                "unknown state `shut`: the valid ones are `open`, `hung`, `half-open`, `ramping`, `forced-open`, `observing`, \
                 `disabled`, `closed`",
            ),
            (
                "state=open,",
                "unknown state ``: the valid ones are `open`, `hung`, `half-open`, `ramping`, `forced-open`, `observing`, `disabled`, `closed`",
            ),
            (
                "section=breaker",
                "unknown section `breaker`: the valid ones are `breakers`, `groups`, `keys`, `retries`, `rate_limits`, \
                 `rate_limit_groups`, `bulkheads`, `bulkhead_groups`, `fallbacks`, `timeouts`, `budgets`",
            ),
            ("state=", "`state` is empty"),
            ("name=&key=", "`name` is empty"),
            ("key=a&key=b", "`key` is given more than once"),
            ("limit=0", "`limit` must be at least 1"),
            ("limit=-1", "`limit` must be a whole number, not `-1`"),
            ("limit=x", "`limit` must be a whole number, not `x`"),
        ] {
            assert_eq!(Filter::parse(Some(query)).err().as_deref(), Some(message), "{query}");
        }
        assert_eq!(Filter::parse(Some("key=")).ok().and_then(|filter| filter.key), Some(String::new()));
        assert!(Filter::parse(None).is_ok() && Filter::parse(Some("")).is_ok());
    }
}
