//! The settings of a breaker, as a `BreakerConfig`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, Result};

use super::window::{Rates, Window};
use crate::{
    errors::Errors,
    syntax::{
        duration::DurationExpr,
        options::{Given, Options},
        parameters::Parameters,
        spelling::{list, nearest},
        values::{Count, Number, factor, share, single_ident},
    },
};

/// The settings of a breaker. At least one is given.
pub(super) struct Settings {
    /// The constructor: `new`, or a preset.
    constructor: Ident,
    setters: Vec<Setter>,
    /// The options that turn calls that hang into failures, each with its value if that is a literal.
    pub(super) hang_limits: Vec<(Ident, Option<Duration>)>,
}

/// `.method(arguments)`
struct Setter {
    method: &'static str,
    arguments: Vec<Box<dyn ToTokens>>,
    /// The constructor of `Window` that wraps the arguments.
    window: Option<&'static str>,
}

/// The default of `half_open_max_calls`, that of the runtime and of its presets.
const DEFAULT_TRIALS: u32 = 3;

const PRESETS: [&str; 4] = ["critical", "non_critical", "flaky_api", "database"];

impl Settings {
    /// Takes the settings and returns them with the keys of the given options. The settings are `None` if no option is given.
    pub(super) fn take(options: &mut Options, errors: &mut Errors) -> (Option<Self>, Vec<Ident>) {
        let preset = options.value("preset", errors, preset);
        let threshold = options.value("failure_threshold", errors, |value| {
            Count::parse("failure_threshold", "with 0 the circuit would open before the first call", value)
        });
        let rates = Rates::take(options, errors);
        let recovery = options.value("recovery_timeout", errors, recovery_timeout);
        let recovery_jitter = options.value("recovery_jitter", errors, |value| share("`recovery_jitter`", value));
        let trials = options.value("half_open_max_calls", errors, |value| {
            at_most_255(
                "half_open_max_calls",
                Count::parse("half_open_max_calls", "with 0 the circuit could never close again", value)?,
            )
        });
        let successes = options.value("half_open_successes", errors, |value| {
            at_most_255(
                "half_open_successes",
                Count::parse("half_open_successes", "with 0 the circuit would close without evidence", value)?,
            )
        });
        check_trials(trials.as_ref(), successes.as_ref(), errors);
        let ramp_up = options.value("ramp_up", errors, DurationExpr::parse);
        let observe_only = options.flag("observe_only", errors);
        let durations = options.flag("durations", errors);
        let hung_call = options.value("hung_call", errors, |value| {
            DurationExpr::parse_positive("`hung_call`", "with zero, every call would be hung", value)
        });
        let cancelled_call = options.value("cancelled_call", errors, |value| {
            let reason = "with zero, every cancelled call would be a failure";
            DurationExpr::parse_positive("`cancelled_call`", reason, value)
        });

        let hang_limits = [&hung_call, &cancelled_call].into_iter().flatten();
        let hang_limits = hang_limits.map(|Given { key, value }| (key.clone(), value.known())).collect();

        let mut given = SetterList::default();
        let constructor = match preset {
            Some(Given { key, value }) => {
                given.keys.push(key);
                value
            }
            None => Ident::new("new", Span::call_site()),
        };
        given.add("failure_threshold", threshold);
        given.add_rates(rates);
        if let Some(Given { key, value }) = recovery {
            given.keys.push(key);
            given.setters.push(value);
        }
        given.add("recovery_jitter", recovery_jitter);
        given.add("half_open_max_calls", trials);
        given.add("half_open_successes", successes);
        given.add("ramp_up", ramp_up);
        given.add("observe_only", observe_only);
        given.add("hung_call", hung_call);
        given.add("cancelled_call", cancelled_call);
        given.add("durations", durations);
        let SetterList { setters, keys } = given;
        ((!keys.is_empty()).then_some(Self { constructor, setters, hang_limits }), keys)
    }

    /// The settings as a const expression: `BreakerConfig::new().failure_threshold(3)`.
    pub(super) fn expression(&self, krate: &TokenStream) -> TokenStream {
        let constructor =
            Ident::new(&self.constructor.to_string(), Span::call_site().located_at(self.constructor.span()));
        let setters = self.setters.iter().map(|Setter { method, arguments, window }| {
            let method = Ident::new(method, Span::call_site());
            match window.map(|window| Ident::new(window, Span::call_site())) {
                Some(window) => quote!(.#method(#krate::Window::#window(#(#arguments),*))),
                None => quote!(.#method(#(#arguments),*)),
            }
        });
        quote!(#krate::BreakerConfig::#constructor() #(#setters)*)
    }
}

/// The setters and the keys of the given options.
#[derive(Default)]
struct SetterList {
    setters: Vec<Setter>,
    keys: Vec<Ident>,
}

impl SetterList {
    fn add<T: ToTokens + 'static>(&mut self, method: &'static str, given: Option<Given<T>>) {
        if let Some(Given { key, value }) = given {
            self.keys.push(key);
            self.setters.push(Setter { method, arguments: vec![Box::new(value)], window: None });
        }
    }

    fn add_rates(&mut self, rates: Rates) {
        if let Some(Given { key, value }) = rates.window {
            self.keys.push(key);
            let (argument, window): (Box<dyn ToTokens>, _) = match value {
                Window::Calls(calls) => (Box::new(calls), Some("calls")),
                Window::Time(time) => (Box::new(time), Some("time")),
                Window::Expression(value) => (Box::new(value), None),
            };
            self.setters.push(Setter { method: "window", arguments: vec![argument], window });
        }
        self.add("failure_rate", rates.failure_rate);
        self.add("min_calls", rates.min_calls);
        self.add("slow_call", rates.slow_call);
        self.add("slow_call_rate", rates.slow_call_rate);
    }
}

fn preset(value: Expr) -> Result<Ident> {
    let Some(name) = single_ident(&value) else {
        return Err(Error::new_spanned(value, format!("`preset` must be one of {}", list(&PRESETS))));
    };
    let text = name.to_string();
    if PRESETS.contains(&text.as_str()) {
        return Ok(name.clone());
    }
    let near = nearest(&text, &PRESETS).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
    Err(Error::new_spanned(name, format!("unknown preset `{text}`{near}\nthe presets are {}", list(&PRESETS))))
}

fn recovery_timeout(value: Expr) -> Result<Setter> {
    let function = match &value {
        Expr::Call(call) => single_ident(&call.func),
        other => single_ident(other),
    };
    // Any other function may be one of the user's own.
    let is_exponential = function.is_some_and(|name| nearest(&name.to_string(), &["exponential"]).is_some());
    if !is_exponential {
        let timeout =
            DurationExpr::parse_positive("`recovery_timeout`", "an open circuit has to stay open for a while", value)?;
        return Ok(Setter { method: "recovery_timeout", arguments: vec![Box::new(timeout)], window: None });
    }
    let (_, mut parameters) = Parameters::parse(value, "recovery_timeout", &["exponential"])?;
    let default = |seconds| DurationExpr::default_of(Duration::from_secs(seconds));
    let (base, max) = parameters.base_and_max(default(30), default(300))?;
    let factor = parameters.take("factor").map_or(Ok(Number::default_of(2.0)), factor)?;
    parameters.finish()?;
    let base = base.positive("`recovery_timeout`", "an open circuit has to stay open for a while")?;
    let arguments: Vec<Box<dyn ToTokens>> = vec![Box::new(base), Box::new(factor), Box::new(max)];
    Ok(Setter { method: "exponential_recovery", arguments, window: None })
}

fn at_most_255(name: &str, count: Count) -> Result<Count> {
    match count {
        Count::Literal(256.., literal) => Err(Error::new(
            literal.span(),
            format!("`{name}` must be at most 255: a dependency that recovers should get few trial calls"),
        )),
        other => Ok(other),
    }
}

/// Reports more successes than trial calls.
fn check_trials(trials: Option<&Given<Count>>, successes: Option<&Given<Count>>, errors: &mut Errors) {
    let trials = trials.map_or(Some(DEFAULT_TRIALS), |trials| trials.value.known());
    if let (Some(trials), Some(Given { value: Count::Literal(successes, literal), .. })) = (trials, successes)
        && *successes > trials
    {
        let message = format!(
            "`half_open_successes` must not be above the {trials} trial calls: raise `half_open_max_calls`, or use a smaller number"
        );
        errors.at_span(literal.span(), message);
    }
}
