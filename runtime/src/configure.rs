//! Settings from a file or the environment, applied while the program runs.
//!
//! [`mod@file`] and [`environment`] parse their sources into sections. [`plan`] merges the sections of all layers into the settings in the
//! code and checks the result.
//!
//! **Invariant:** all or nothing. No setting is applied before all settings are checked, and all issues are reported at once. One layer is
//! replaced at a time, as a whole.

mod environment;
mod file;
mod plan;

use std::{
    env,
    ffi::OsString,
    fs, mem,
    path::Path,
    sync::{Mutex, PoisonError},
};

use self::plan::Plan;
use crate::{
    ConfigLayer, events,
    isolation::isolated,
    settings::{ConfigError, Issues, Section},
};

/// The external layers, as last applied.
#[derive(Debug)]
struct ExternalSettings {
    file: Vec<Section>,
    environment: Vec<Section>,
}

/// Returns the applied layers. The lock is held while a layer is read, checked and replaced, so that concurrent changes are serialized.
fn external() -> &'static Mutex<ExternalSettings> {
    static EXTERNAL: Mutex<ExternalSettings> = Mutex::new(ExternalSettings::new());
    isolated(&EXTERNAL, || Mutex::new(ExternalSettings::new()))
}

impl ExternalSettings {
    const fn new() -> Self {
        Self { file: Vec::new(), environment: Vec::new() }
    }

    /// The layers, from the lowest to the highest.
    fn layers(&self) -> impl Iterator<Item = &[Section]> {
        [self.file.as_slice(), self.environment.as_slice()].into_iter()
    }

    /// The sections of a layer.
    const fn layer(&mut self, layer: ConfigLayer) -> &mut Vec<Section> {
        match layer {
            ConfigLayer::Environment => &mut self.environment,
            _ => &mut self.file,
        }
    }
}

/// Applies the settings in a TOML text to the circuit breakers, retries, rate limits and bulkheads of the program.
///
/// Each name has a table with the options of its attribute. Values are written as in the attribute, but in quotes unless they are numbers,
/// `true` or `false`.
///
/// | table | options |
/// | --- | --- |
/// | `[breaker.name]` | the options of [`#[circuit_breaker]`](macro@crate::circuit_breaker); `window = "none"` selects the failure threshold, and `failure_threshold = "none"` removes it beside a window |
/// | `[retry.name]` | `max_attempts`, `backoff`, `jitter`, `max_elapsed` and `max_retry_after`, of each `#[retry]` with that `name`, and of each registered [`RetryPolicy`](crate::RetryPolicy) |
/// | `[rate_limit.name]` | `limit`, `per`, `algorithm` and `max_wait`; `max_wait = "none"` disables waiting |
/// | `[bulkhead.name]` | `max_concurrent` and `max_wait` |
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
/// let error = steadfast::configure_from_toml("[breaker.billing]\nfailure_treshold = 0").unwrap_err();
/// assert!(error.to_string().contains("line 2, column 1: breaker.billing.failure_treshold: unknown option"));
/// # Ok::<(), steadfast::ConfigError>(())
/// ```
///
/// # Layers
///
/// Settings have four layers, from the lowest to the highest: the code, the file, the environment ([`configure_from_env`]), and the
/// settings that are set at run time by [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure) and its counterparts. Each
/// option has the value of the highest layer that contains it. Settings set at run time replace all options, until `reset_config`.
///
/// The text replaces the layer of the file as a whole, even if it was not read from a file: a setting that the new text does not
/// contain reverts to the value in the code. Concurrent calls take effect one after the other. Each successful call emits an
/// [event](crate::events::Event::ConfigApplied) with the settings that have changed.
///
/// Counts are kept; see [`CircuitBreaker::reconfigure`](crate::CircuitBreaker::reconfigure),
/// [`RateLimit::reconfigure`](crate::RateLimit::reconfigure) and [`Bulkhead::reconfigure`](crate::Bulkhead::reconfigure). A retried call
/// in flight keeps the policy that it began with.
///
/// # Errors
///
/// Returns all issues of the text, each with its place. No setting is changed in that case. An issue can also be in the layer of the
/// environment if it contradicts the new text, such as a `failure_rate` without a window.
pub fn configure_from_toml(text: &str) -> Result<(), ConfigError> {
    apply(ConfigLayer::File, |issues| Ok(file::sections(text, None, issues)))
}

/// Applies the settings in a TOML file, as [`configure_from_toml`] does.
///
/// Call this function again after the file has changed. An empty file removes the layer.
///
/// # Errors
///
/// Returns an error if the file cannot be read or has issues. No setting is changed in that case.
pub fn configure_from_file(path: impl AsRef<Path>) -> Result<(), ConfigError> {
    let path = path.as_ref();
    apply(ConfigLayer::File, |issues| {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        Ok(file::sections(&text, Some(path), issues))
    })
}

/// Applies the settings in the environment: `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10`,
/// `STEADFAST_RETRY_CHARGE_MAX_ATTEMPTS=5`, `STEADFAST_RATE_LIMIT_SEARCH_LIMIT=50`, `STEADFAST_BULKHEAD_REPORTS_MAX_CONCURRENT=10`.
///
/// Name and option are in upper case, with `_` for each character that is not an ASCII letter or digit. Values are written as in the
/// attribute, without quotes: `STEADFAST_BREAKER_PAYMENTS_RECOVERY_TIMEOUT=30s`. If one name is a prefix of another, such as `api` of
/// `api_failure`, a variable applies to the name that is followed by a known option. If that is the case for both names, the variable is
/// ambiguous, which is an error.
///
/// The variables replace the layer of the environment as a whole. This layer is above that of the file, regardless of which was applied
/// last: see [`configure_from_toml`].
///
/// # Errors
///
/// Returns all issues of variables that begin with `STEADFAST_BREAKER_`, `STEADFAST_RETRY_`, `STEADFAST_RATE_LIMIT_` or
/// `STEADFAST_BULKHEAD_`. No setting is changed in that case. An issue can also be in the layer of the file if it contradicts the
/// variables.
pub fn configure_from_env() -> Result<(), ConfigError> {
    apply(ConfigLayer::Environment, |issues| {
        // Lossy conversion is harmless: no variable of this crate has a name that is not Unicode, and no setting accepts such a value.
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let variables = env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Ok(environment::sections(variables, issues))
    })
}

/// Applies the settings in the given variables, as [`configure_from_env`] does with the variables of the process.
///
/// ```
/// # #[steadfast::circuit_breaker(name = "postage")]
/// # fn send() -> Option<()> { None }
/// let variables = [("STEADFAST_BREAKER_POSTAGE_RECOVERY_TIMEOUT".to_owned(), "soon".to_owned())];
/// let error = steadfast::configure_from_vars(variables).unwrap_err();
/// assert!(error.to_string().starts_with("STEADFAST_BREAKER_POSTAGE_RECOVERY_TIMEOUT: "));
/// ```
///
/// # Errors
///
/// Returns the same errors as [`configure_from_env`].
pub fn configure_from_vars(variables: impl IntoIterator<Item = (String, String)>) -> Result<(), ConfigError> {
    let variables = variables.into_iter().collect();
    apply(ConfigLayer::Environment, |issues| Ok(environment::sections(variables, issues)))
}

/// Replaces a layer with the sections that `read` returns, if the merged settings of all layers are valid.
fn apply(
    layer: ConfigLayer,
    read: impl FnOnce(&mut Issues) -> Result<Vec<Section>, ConfigError>,
) -> Result<(), ConfigError> {
    let (plan, changes) = {
        let mut external = external().lock().unwrap_or_else(PoisonError::into_inner);
        let mut issues = Issues::default();
        let sections = read(&mut issues)?;
        let before = mem::replace(external.layer(layer), sections);
        let mut plan = Plan::new(&external, &mut issues);
        if let Err(error) = issues.into_result() {
            *external.layer(layer) = before;
            return Err(error);
        }
        let changes = plan.replace();
        (plan, changes)
    };
    plan.apply();
    events::config_applied(layer, || changes);
    Ok(())
}
