//! Settings from outside: a file, the environment.
//!
//! A text becomes sections of assignments, each with its place; [`plan`] puts those of all layers on top of the settings in the code and
//! checks them. [`value`] reads the words of the attributes.
//!
//! **Invariant:** all or nothing. Nothing is applied before everything is checked, and all mistakes are reported at once. One layer
//! is replaced at a time, as a whole.

mod breaker;
mod bulkhead;
mod environment;
mod error;
mod file;
mod place;
mod plan;
mod rate_limit;
mod retry;
mod value;

use std::{
    env,
    ffi::OsString,
    fs, mem,
    path::Path,
    sync::{Mutex, PoisonError},
};

pub use self::error::{ConfigError, ConfigIssue};
use self::{error::Issues, place::Place, plan::Plan};
use crate::{ConfigLayer, events};

/// What can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Breaker => &breaker::OPTIONS,
            Self::Retry => &retry::OPTIONS,
            Self::RateLimit => &rate_limit::OPTIONS,
            Self::Bulkhead => &bulkhead::OPTIONS,
        }
    }
}

/// The layers from outside, as they were applied last.
#[derive(Debug)]
struct Outside {
    file: Vec<Section>,
    environment: Vec<Section>,
}

/// Held while a layer is read, checked and put in place of the one before, so that two that are applied at once do not mix.
static OUTSIDE: Mutex<Outside> = Mutex::new(Outside { file: Vec::new(), environment: Vec::new() });

impl Outside {
    /// The lowest first.
    fn layers(&self) -> impl Iterator<Item = &[Section]> {
        [self.file.as_slice(), self.environment.as_slice()].into_iter()
    }

    const fn layer(&mut self, layer: ConfigLayer) -> &mut Vec<Section> {
        match layer {
            ConfigLayer::Environment => &mut self.environment,
            _ => &mut self.file,
        }
    }
}

/// Applies the settings in a TOML text to the breakers, retries, rate limits and bulkheads of the program, live.
///
/// There is a table for each breaker, with the options of
/// [`#[circuit_breaker]`](macro@crate::circuit_breaker) and their values in the same words; what is no number, `true` or
/// `false` stands in quotes. `window = "none"` goes back from a window to failures in a row. A `#[retry]` that has a `name` is
/// set in `[retry.name]`: `max_attempts`, `backoff`, `jitter` and `max_elapsed`. `[rate_limit.name]` has `limit`, `per`, `max_wait` and
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
/// # Layers
///
/// Settings have layers: the code, the file, the environment ([`configure_from_env`]), and what is set live by
/// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) and the like. Each option holds as the highest layer says that
/// gives it; what is set live holds as a whole, until `reset_config`.
///
/// A text replaces the layer of the file as a whole, whether it comes from a file or not: a table or a line that is not there any
/// more goes back to what the code says. Texts that are applied at once, by several threads, never mix. An
/// [event](crate::events::Event::ConfigApplied) tells of each, with the settings that have changed.
///
/// Nothing that a breaker or a limit counted is lost, see
/// [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure), [`RateLimit::reconfigure`](crate::RateLimit::reconfigure) and
/// [`Bulkhead::reconfigure`](crate::Bulkhead::reconfigure); a retried call that is under way goes on as it began.
///
/// # Errors
///
/// All mistakes of the text, each with its place; then nothing has changed. Mistakes in the layer of the environment are among them,
/// where it does not go with the text: a `failure_rate` whose window is gone.
pub fn configure_from_toml(text: &str) -> Result<(), ConfigError> {
    apply(ConfigLayer::File, |mistakes| Ok(file::sections(text, None, mistakes)))
}

/// Applies the settings in a TOML file, as [`configure_from_toml`] does. Call it again to apply what has changed; a file that is
/// empty puts all settings back.
///
/// # Errors
///
/// The file can't be read, or has mistakes; then nothing has changed.
pub fn configure_from_file(path: impl AsRef<Path>) -> Result<(), ConfigError> {
    let path = path.as_ref();
    apply(ConfigLayer::File, |mistakes| {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        Ok(file::sections(&text, Some(path), mistakes))
    })
}

/// Applies the settings in the environment: `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10`,
/// `STEADFAST_RETRY_CHARGE_MAX_ATTEMPTS=5`, `STEADFAST_RATE_LIMIT_SEARCH_LIMIT=50`, `STEADFAST_BULKHEAD_REPORTS_MAX_CONCURRENT=10`.
///
/// The name is in upper case, with `_` for all that is no letter and no digit; so is the option. Values are in
/// the words of the attribute, without quotes: `STEADFAST_BREAKER_PAYMENTS_RECOVERY_TIMEOUT=30s`. Where one name begins with another, as
/// `api_failure` does with `api`, a variable is about the one that leaves an option which exists; where both do, it is a mistake.
///
/// The variables replace the layer of the environment as a whole. That layer is on top of the file's, whichever was applied last:
/// see [`configure_from_toml`].
///
/// # Errors
///
/// All mistakes in variables that begin with `STEADFAST_BREAKER_`, `STEADFAST_RETRY_`, `STEADFAST_RATE_LIMIT_` or
/// `STEADFAST_BULKHEAD_`; then nothing has changed.
pub fn configure_from_env() -> Result<(), ConfigError> {
    apply(ConfigLayer::Environment, |mistakes| {
        // What is not Unicode can't be one of ours, or has a value that can't be right.
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let variables = env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Ok(environment::sections(variables, mistakes))
    })
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
    let variables = variables.into_iter().collect();
    apply(ConfigLayer::Environment, |mistakes| Ok(environment::sections(variables, mistakes)))
}

/// Replaces a layer by what is read, if that goes with the code and the other layer.
fn apply(
    layer: ConfigLayer,
    read: impl FnOnce(&mut Issues) -> Result<Vec<Section>, ConfigError>,
) -> Result<(), ConfigError> {
    let (plan, changes) = {
        let mut outside = OUTSIDE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mistakes = Issues::default();
        let sections = read(&mut mistakes)?;
        let before = mem::replace(outside.layer(layer), sections);
        let mut plan = Plan::of(&outside, &mut mistakes);
        if let Err(error) = mistakes.none() {
            *outside.layer(layer) = before;
            return Err(error);
        }
        let changes = plan.carry_out();
        (plan, changes)
    };
    plan.apply_settings();
    events::emit_config_applied(layer, || changes);
    Ok(())
}
