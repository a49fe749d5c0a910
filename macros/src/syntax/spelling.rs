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

/// `slidingWindowSize` as `sliding_window_size`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The value of `option` that is meant by a value of another library or of another type: `constant` is `fixed`, and `backoff = 100ms` is
/// `fixed(100ms)`. Only values among `known` are returned.
pub(crate) fn meant(option: &str, value: &str, known: &[&str]) -> Option<String> {
    let is_duration = value.starts_with(|c: char| c.is_ascii_digit()) && value.ends_with(|c: char| c.is_alphabetic());
    let name = match (option, value) {
        (_, "no" | "off" | "false" | "never" | "zero" | "None" | "disabled") => "none",
        ("jitter", "yes" | "on" | "true" | "enabled" | "random" | "uniform") => "full",
        ("jitter", "half") => "equal",
        ("jitter", share) if share.parse::<f64>().is_ok() => "proportional",
        ("backoff", "constant" | "const" | "delay" | "interval" | "wait") => "fixed",
        ("backoff", "expo" | "exp" | "exponential_backoff" | "doubling" | "yes" | "on" | "true") => "exponential",
        ("backoff", "random" | "decorrelated_jitter") => "decorrelated",
        ("backoff", "fib") => "fibonacci",
        ("backoff", "incremental" | "increasing") => "linear",
        ("backoff", _) if is_duration => "fixed",
        ("window", "count" | "requests" | "size" | "count_based" | "last") => "calls",
        ("window", "duration" | "seconds" | "sliding" | "time_based" | "period") => "time",
        ("algorithm", "token_bucket" | "leaky_bucket" | "bucket") => "gcra",
        ("algorithm", "sliding" | "window" | "sliding_log") => "sliding_window",
        _ => return None,
    };
    let takes_value = is_duration || name == "proportional";
    known.contains(&name).then(|| if takes_value { format!("{name}({value})") } else { name.to_owned() })
}

/// The parameter that is meant by one of another library: `min` is `base`. Only one among `known` is returned.
pub(crate) fn meant_parameter<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = match key {
        "min" | "min_delay" | "initial" | "initial_delay" | "initial_interval" | "start" | "delay" | "base_delay"
        | "first" => "base",
        "max_delay" | "max_interval" | "cap" | "limit" | "ceiling" | "up_to" => "max",
        "multiplier" | "rate" | "exponent" | "power" | "growth" => "factor",
        "increment" | "increase" => "step",
        _ => return None,
    };
    known.iter().copied().find(|known| *known == name)
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
    fn values_of_other_libraries() {
        let backoffs = ["exponential", "fixed", "none"];
        for (option, value, expected) in [
            ("backoff", "constant", Some("fixed")),
            ("backoff", "100ms", Some("fixed(100ms)")),
            ("backoff", "expo", Some("exponential")),
            ("backoff", "false", Some("none")),
            ("backoff", "fib", None), // not among the known values
            ("backoff", "square", None),
            ("jitter", "0.1", None),
            ("window", "constant", None),
        ] {
            assert_eq!(meant(option, value, &backoffs).as_deref(), expected, "{option} {value}");
        }
        assert_eq!(meant("jitter", "0.1", &["full", "proportional"]).as_deref(), Some("proportional(0.1)"));
        assert_eq!(meant_parameter("min_delay", &["base", "max"]), Some("base"));
        assert_eq!(meant_parameter("multiplier", &["base", "max"]), None);
        assert_eq!(meant_parameter("base", &["base", "max"]), None);
    }

    #[test]
    fn camel_case_is_split() {
        for (name, expected) in
            [("slidingWindowSize", "sliding_window_size"), ("max_attempts", "max_attempts"), ("TTL", "t_t_l"), ("", "")]
        {
            assert_eq!(snake_case(name), expected);
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
