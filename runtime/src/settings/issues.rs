//! Errors in external settings, collected so that all of them are reported at once.

use std::{error::Error, fmt, io, path::Path};

use super::source::Source;
use crate::escape::escaped;

/// The error for external settings that cannot be applied. No setting was changed.
///
/// Its `Display` text has one line for each issue, up to the first 100.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigError {
    issues: Vec<ConfigIssue>,
    /// True if there may be issues beyond the listed ones.
    may_have_more: bool,
    source: Option<io::Error>,
}

/// An issue with one setting. All texts are [`escaped`] and bounded in length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigIssue {
    /// The place: file, line and column; line and column of a text; or the name of a variable.
    pub place: String,
    /// The setting, such as `breaker.payments.failure_threshold`; empty if `place` contains it already.
    pub key: String,
    /// A description of the issue, and in most cases its fix.
    pub message: String,
}

/// The issues found so far, each with the sort key of its place.
#[derive(Debug, Default)]
pub(crate) struct Issues {
    found: Vec<(usize, ConfigIssue)>,
    may_have_more: bool,
}

/// The maximum number of issues in an error.
const MAX_ISSUES: usize = 100;
/// The maximum length of a value or a name in a message, in characters.
const MAX_QUOTED: usize = 60;
/// The maximum length of a place, a key or a message, in characters.
const MAX_TEXT: usize = 1_000;
/// The maximum number of known names that are listed for an unknown one.
const MAX_LISTED: usize = 20;
/// The maximum length of an unknown name that is compared with known ones, in bytes.
const MAX_COMPARED: usize = 100;

impl ConfigError {
    /// Creates the error for a file that cannot be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        // The message contains only the kind, since `Error::source` returns the full error.
        let message = format!("cannot be read: {}", source.kind());
        let issue = ConfigIssue { place: bounded(&path.display().to_string()), key: String::new(), message };
        Self { issues: vec![issue], may_have_more: false, source: Some(source) }
    }

    /// Returns the issues in the order of their places, at most the first 100.
    #[must_use]
    pub fn issues(&self) -> &[ConfigIssue] {
        &self.issues
    }
}

impl Issues {
    /// Adds an issue, unless the list is full.
    pub(crate) fn add(&mut self, source: &Source, key: &str, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let (place, key, message) = (bounded(&source.describe()), bounded(key), bounded(&message.into()));
        self.found.push((source.position(), ConfigIssue { place, key, message }));
    }

    /// Returns true if the list is full, so that the search for issues can end. In this case, records that there may be more issues.
    pub(crate) fn is_full(&mut self) -> bool {
        let is_full = self.found.len() >= MAX_ISSUES;
        self.may_have_more |= is_full;
        is_full
    }

    /// Returns the issues as an error, if there are any.
    pub(crate) fn into_result(self) -> Result<(), ConfigError> {
        let Self { mut found, may_have_more } = self;
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(position, _)| *position);
        // Functions that share a name report each issue once per function.
        found.dedup();
        let issues = found.into_iter().map(|(_, issue)| issue).collect();
        Err(ConfigError { issues, may_have_more, source: None })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            issue.fmt(f)?;
        }
        if self.may_have_more { write!(f, "\nonly the first {MAX_ISSUES} issues are listed") } else { Ok(()) }
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

/// Returns the value in backticks, shortened.
pub(crate) fn quoted(value: &str) -> String {
    format!("`{}`", shortened(value))
}

/// Returns the name in the form for keys, shortened.
pub(crate) fn shortened(name: &str) -> String {
    truncated(name, MAX_QUOTED)
}

/// Returns the message for an unknown name, with the most similar known name and a list of the known names.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("unknown {what} {}; none is declared", quoted(name));
    }
    let suggestion = nearest(name, known).map(|(_, near)| format!(", did you mean `{near}`?"));
    let separator = if suggestion.is_some() { "" } else { ";" };
    let list = known.iter().take(MAX_LISTED).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let more = match known.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("unknown {what}{}{separator} there are {list}{more}", suggestion.unwrap_or_default())
}

/// Returns the known name that `name` is probably a misspelling of, and their edit distance; `None` if none is similar.
///
/// This is the one with the smallest edit distance (optimal string alignment), if that is at most a third of the longer name; of several
/// with the same distance, the first. Otherwise it is the first known name of which `name` is a whole part, as `attempts` is of
/// `max_attempts`; its distance is then the difference in length.
///
/// The attributes make the same suggestions: `nearest` in `macros/src/syntax/spelling.rs`. A test on each side has the same cases.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<(usize, &'k str)> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    let candidates = known.iter().filter(|candidate| candidate.len().abs_diff(name.len()) <= MAX_COMPARED);
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .or_else(|| {
            let whole = known.iter().find(|known| name.len() > 2 && known.split('_').any(|part| part == name))?;
            Some((whole.len() - name.len(), *whole))
        })
}

fn truncated(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn bounded(text: &str) -> String {
    escaped(&truncated(text, MAX_TEXT)).into_owned()
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
