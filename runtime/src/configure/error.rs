use std::{error::Error, fmt, io, path::Path};

use super::place::Place;
use crate::escape::escaped;

/// Settings from outside that can't be applied. Nothing was.
///
/// Its `Display` is a line for each mistake, the first 100 at most.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigError {
    mistakes: Vec<ConfigIssue>,
    /// There may be mistakes beyond those that are listed.
    may_have_more: bool,
    source: Option<io::Error>,
}

/// A mistake in a setting. All texts are [`escaped`], and of bounded length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// The place: a file with line and column, line and column of a text, or the name of a variable.
    pub place: String,
    /// The setting, such as `breaker.payments.failure_threshold`; empty where that is the place already.
    pub key: String,
    /// The mistake, and what would be right.
    pub message: String,
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Issues {
    found: Vec<(usize, ConfigIssue)>,
    may_have_more: bool,
}

/// Mistakes that are listed.
const MOST: usize = 100;
/// Characters of a value or a name that are shown.
const SHOWN: usize = 60;
/// Characters of a place, a key or a message.
const LONGEST: usize = 1_000;
/// Names that are listed where one is unknown.
const LISTED: usize = 20;
/// Bytes of a name up to which one that is like it is looked for.
const COMPARED: usize = 100;

impl ConfigError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        // The text of the error itself is that of the source.
        let message = format!("can't be read: {}", source.kind());
        let mistake = ConfigIssue { place: bounded(&path.display().to_string()), key: String::new(), message };
        Self { mistakes: vec![mistake], may_have_more: false, source: Some(source) }
    }

    /// The mistakes that were found, in the order of the text; the first 100 at most.
    #[must_use]
    pub fn mistakes(&self) -> &[ConfigIssue] {
        &self.mistakes
    }
}

impl Issues {
    pub(super) fn add(&mut self, place: &Place, key: &str, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let mistake =
            ConfigIssue { place: bounded(&place.name()), key: bounded(key), message: bounded(&message.into()) };
        self.found.push((place.position(), mistake));
    }

    /// Whether as many were found as are listed: there is no need to look for more.
    pub(super) fn is_full(&mut self) -> bool {
        let is_full = self.found.len() >= MOST;
        self.may_have_more |= is_full;
        is_full
    }

    pub(super) fn none(self) -> Result<(), ConfigError> {
        let Self { mut found, may_have_more } = self;
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(position, _)| *position);
        // Functions that share a name share its mistakes.
        found.dedup();
        let mistakes = found.into_iter().map(|(_, mistake)| mistake).collect();
        Err(ConfigError { mistakes, may_have_more, source: None })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        if self.may_have_more { write!(f, "\nonly the first {MOST} mistakes are listed") } else { Ok(()) }
    }
}

impl fmt::Display for ConfigIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, message } = self;
        write!(f, "{place}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(message)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A value as it is shown: not all of what may be a whole document.
pub(super) fn shown(value: &str) -> String {
    format!("`{}`", shortened(value, SHOWN))
}

/// A name as a part of a key.
pub(super) fn named(name: &str) -> String {
    shortened(name, SHOWN)
}

/// An unknown name: the one like it, and those that there are.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("unknown {what} {}; there is none", shown(name));
    }
    let near = nearest(name, known).map(|(_, near)| format!(", did you mean `{near}`?"));
    let separator = if near.is_some() { "" } else { ";" };
    let list = known.iter().take(LISTED).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    let more = match known.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("unknown {what}{}{separator} there are {list}{more}", near.unwrap_or_default())
}

/// Returns the known name that `name` is probably a misspelling of, and their edit distance.
///
/// This is the one with the smallest edit distance (optimal string alignment), if that is at most a third of the longer name; of equally
/// near ones the first. Otherwise it is the first known name of which `name` is a whole part, as `attempts` is of `max_attempts`.
///
/// The attributes make the same suggestions: `nearest` in `macros/src/syntax/spelling.rs`. A test on each side holds the same cases.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<(usize, &'k str)> {
    if name.len() > COMPARED {
        return None;
    }
    let candidates = known.iter().filter(|candidate| candidate.len().abs_diff(name.len()) <= COMPARED);
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .or_else(|| {
            let whole = known.iter().find(|known| name.len() > 2 && known.split('_').any(|part| part == name))?;
            Some((whole.len() - name.len(), *whole))
        })
}

fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn bounded(text: &str) -> String {
    escaped(&shortened(text, LONGEST)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    /// A test in `macros/src/syntax/spelling.rs` has the same cases.
    #[test]
    fn nearest_name() {
        let known =
            ["max_attempts", "max_elapsed", "backoff", "jitter", "retry_if", "window", "min_calls", "max_calls"];
        let long = "a".repeat(101);
        for (name, expected) in [
            ("max_attempts", Some("max_attempts")),
            ("max_attemps", Some("max_attempts")),
            ("maxattempts", Some("max_attempts")),
            ("attempts", Some("max_attempts")),
            ("elapsed", Some("max_elapsed")),
            ("max", Some("max_attempts")),
            ("if", None),
            ("jiter", Some("jitter")),
            ("ijtter", Some("jitter")),
            ("back_off", Some("backoff")),
            ("retryif", Some("retry_if")),
            ("windwos", Some("window")),
            ("mox_calls", Some("max_calls")),
            ("mx_calls", Some("max_calls")),
            ("m_calls", Some("min_calls")),
            ("calls", Some("min_calls")),
            ("colour", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(nearest(name, &known).map(|(_, near)| near), expected, "{name}");
        }
    }
}
