//! Lists of names in messages, and suggestions for misspelled names.

/// The length in bytes up to which similar names are searched for a name.
const MAX_COMPARED: usize = 100;

/// The names in backticks, separated by commas.
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the known name that `name` is probably a misspelling of.
///
/// This is the first of the known names with the smallest edit distance (optimal string alignment), if that is at most a third of the
/// length of the longer name. Otherwise it is the first known name with `name` as a whole part between underscores, as `max_attempts` has
/// `attempts`.
///
/// `nearest` in `runtime/src/settings/issues.rs` makes the same suggestions for the settings that the runtime reads. A test on each side
/// has the same cases.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            known.iter().copied().find(|candidate| name.len() > 2 && candidate.split('_').any(|part| part == name))
        })
}

/// The number of edits between two names: insertions, deletions, substitutions, and swaps of neighbouring letters.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = table[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                let best = changed.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let is_swap = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
                if is_swap { best.min(table[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    table[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test in `runtime/src/settings/issues.rs` has the same cases.
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
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }

    #[test]
    fn distances() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("abc", "abc", 0), ("nmae", "name", 1)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
