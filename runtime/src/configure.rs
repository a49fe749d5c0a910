//! Settings from outside: a file, the environment.
//!
//! A text becomes sections of assignments, each with the place that it comes from; [`plan`] checks them against what the code declares. [`value`] reads the words of the attributes.
//!
//! **Invariant:** all or nothing. Nothing is applied before everything is checked, and all mistakes are reported at once.

mod breaker;
mod bulkhead;
mod environment;
mod error;
mod file;
mod plan;
mod rate_limit;
mod retry;
mod value;

use std::{env, fs, path::Path};

pub use self::error::{ConfigError, Mistake};
use self::{
    error::{Mistakes, Place},
    plan::Plan,
};

/// What can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Breaker,
    Retry,
    RateLimit,
    Bulkhead,
}

/// What was written about one of them.
#[derive(Debug)]
struct Section {
    kind: Kind,
    name: String,
    /// Where it stands, for errors.
    place: Place,
    assignments: Vec<Assignment>,
}

/// A setting as it was written.
#[derive(Debug)]
struct Assignment {
    option: String,
    value: String,
    place: Place,
    /// What errors call it, where the place does not say it.
    key: String,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Breaker, Self::Retry, Self::RateLimit, Self::Bulkhead];

    const fn table(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Retry => "retry",
            Self::RateLimit => "rate_limit",
            Self::Bulkhead => "bulkhead",
        }
    }
}

/// Applies the settings in a TOML text to the breakers, retries, rate limits and bulkheads of the program, live.
///
/// There is a table for each breaker, with the options of
/// [`#[circuit_breaker]`](macro@crate::circuit_breaker) and their values in the same words; what is no number, `true` or
/// `false` stands in quotes. `window = "none"` goes back from a window to failures in a row. A `#[retry]` that has a `name` is
/// set in `[retry.name]`: `max_attempts`, `backoff`, `jitter` and `max_elapsed`. `[rate_limit.name]` has `limit`, `per`, `wait` and
/// `algorithm`, `[bulkhead.name]` has `max_concurrent` and `max_wait`; `"none"` for a wait lets nobody wait.
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{breaker, circuit_breaker};
///
/// #[circuit_breaker(name = "billing", failure_threshold = 3)]
/// fn bill() -> io::Result<()> {
///     Ok(())
/// }
///
/// steadfast::configure_from_toml(r#"
///     [breaker.billing]
///     failure_threshold = 10
///     recovery_timeout = "exponential(base = 10s, factor = 2, max = 5m)"
/// "#)?;
/// let config = breaker("billing").unwrap().config();
/// assert!(config.to_string().starts_with("failure_threshold = 10"));
///
/// let mistake = steadfast::configure_from_toml("[breaker.billing]\nfailure_treshold = 0").unwrap_err();
/// assert!(mistake.to_string().contains("line 2, column 1: breaker.billing.failure_treshold: unknown option"));
/// # Ok::<(), steadfast::ConfigError>(())
/// ```
///
/// What a table leaves out is as the code declares it, not as it was set last: a line that is removed goes back. What
/// has no table stays as it is. Nothing that a breaker or a limit counted is lost, see
/// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure), [`RateLimit::reconfigure`](crate::RateLimit::reconfigure) and
/// [`Bulkhead::reconfigure`](crate::Bulkhead::reconfigure); a retried call that is under way goes on as it began.
///
/// # Errors
///
/// All mistakes of the text, each with its place; then nothing has changed.
pub fn configure_from_toml(text: &str) -> Result<(), ConfigError> {
    configure_from_text(text, None)
}

/// Applies the settings in a TOML file, as [`configure_from_toml`] does. Call it again to apply what has changed.
///
/// # Errors
///
/// The file can't be read, or has mistakes; then nothing has changed.
pub fn configure_from_file(path: impl AsRef<Path>) -> Result<(), ConfigError> {
    let path = path.as_ref();
    match fs::read_to_string(path) {
        Ok(text) => configure_from_text(&text, Some(path)),
        Err(error) => Err(ConfigError::unreadable(path, error)),
    }
}

/// Applies the settings in the environment: `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10`,
/// `STEADFAST_RETRY_CHARGE_MAX_ATTEMPTS=5`, `STEADFAST_RATE_LIMIT_SEARCH_LIMIT=50`, `STEADFAST_BULKHEAD_REPORTS_MAX_CONCURRENT=10`.
///
/// The name is in upper case, with `_` for all that is no letter and no digit; so is the option. Values are in
/// the words of the attribute, without quotes: `STEADFAST_BREAKER_PAYMENTS_RECOVERY_TIMEOUT=30s`. Otherwise as with
/// [`configure_from_toml`]; what one of the two has set, the other takes for unset.
///
/// # Errors
///
/// All mistakes in variables that begin with `STEADFAST_BREAKER_`, `STEADFAST_RETRY_`, `STEADFAST_RATE_LIMIT_` or
/// `STEADFAST_BULKHEAD_`; then nothing has changed.
pub fn configure_from_env() -> Result<(), ConfigError> {
    // What is not Unicode can't be one of ours, or has a value that can't be right.
    let variables =
        env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    configure_from_vars(variables)
}

/// Applies settings in variables, as [`configure_from_env`] does with those of the process.
///
/// ```
/// # #[steadfast::circuit_breaker(name = "postage")]
/// # fn send() -> Option<()> { None }
/// let variables = [("STEADFAST_BREAKER_POSTAGE_RECOVERY_TIMEOUT".to_owned(), "soon".to_owned())];
/// let mistake = steadfast::configure_from_vars(variables).unwrap_err();
/// assert!(mistake.to_string().starts_with("STEADFAST_BREAKER_POSTAGE_RECOVERY_TIMEOUT: "));
/// ```
///
/// # Errors
///
/// As with [`configure_from_env`].
pub fn configure_from_vars(variables: impl IntoIterator<Item = (String, String)>) -> Result<(), ConfigError> {
    let mut mistakes = Mistakes::default();
    let sections = environment::sections(variables, &mut mistakes);
    apply(&sections, mistakes)
}

fn configure_from_text(text: &str, path: Option<&Path>) -> Result<(), ConfigError> {
    let mut mistakes = Mistakes::default();
    let sections = file::sections(text, path, &mut mistakes);
    apply(&sections, mistakes)
}

fn apply(sections: &[Section], mut mistakes: Mistakes) -> Result<(), ConfigError> {
    let plan = Plan::of(sections, &mut mistakes);
    mistakes.none()?;
    plan.carry_out();
    Ok(())
}
