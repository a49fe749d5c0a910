//! The options that make up a `BreakerConfig`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Expr, Result};

use crate::{
    args::parameters::{Number, Parameters, factor, rate, share},
    duration::Time,
    errors::Errors,
    options::{Count, Given, Options, word},
    spelling::{list, nearest},
};

/// The settings, where at least one is given.
pub(crate) struct Settings {
    /// The constructor that they begin with.
    base: Ident,
    /// The calls that follow.
    calls: Vec<Call>,
}

/// `.method(arguments)`
struct Call {
    method: &'static str,
    arguments: Vec<Box<dyn ToTokens>>,
    /// Whether the argument is a `Window` yet to be named with the crate's path.
    window: Option<&'static str>,
}

/// The value of `window`.
enum Window {
    Calls(Count),
    Time(Time),
    /// A const expression of type `Window`.
    Expression(Expr),
}

const PRESETS: [&str; 4] = ["critical", "non_critical", "flaky_api", "database"];
/// What a window holds at most; the runtime has the same limit.
const MAX_CALLS: u32 = 1_048_576;

impl Settings {
    /// Takes what belongs to the settings, and the names of what was given.
    pub(super) fn take(options: &mut Options, errors: &mut Errors) -> (Option<Self>, Vec<Ident>) {
        let preset = options.value("preset", "preset = critical", errors, preset);
        let threshold = options.value("failure_threshold", "failure_threshold = 5", errors, |value| {
            Count::parse("failure_threshold", "with 0 the circuit would open before any call", value)
        });
        let by_rate = ByRate::take(options, threshold.as_ref(), errors);
        let recovery = options.value("recovery_timeout", "recovery_timeout = 30s", errors, recovery_timeout);
        let recovery_jitter = options
            .value("recovery_jitter", "recovery_jitter = 0.1", errors, |value| share("`recovery_jitter`", value));
        let trials = options.value("half_open_max_calls", "half_open_max_calls = 3", errors, |value| {
            at_most_255(Count::parse("half_open_max_calls", "with 0 the circuit could never close again", value)?)
        });
        let ramp_up = options.value("ramp_up", "ramp_up = 30s", errors, Time::parse);
        let observe_only = options.flag("observe_only", errors);

        let mut list = List::default();
        let base = match preset {
            Some(Given { key, value }) => {
                list.keys.push(key);
                value
            }
            None => Ident::new("new", Span::call_site()),
        };
        list.add("failure_threshold", threshold);
        by_rate.add_to(&mut list);
        if let Some(Given { key, value }) = recovery {
            list.keys.push(key);
            list.calls.push(value);
        }
        list.add("recovery_jitter", recovery_jitter);
        list.add("half_open_max_calls", trials);
        list.add("ramp_up", ramp_up);
        list.add("observe_only", observe_only);
        let List { calls, keys } = list;
        ((!keys.is_empty()).then_some(Self { base, calls }), keys)
    }

    /// The settings as a const expression.
    pub(crate) fn config(&self, krate: &TokenStream) -> TokenStream {
        let base = Ident::new(&self.base.to_string(), Span::call_site().located_at(self.base.span()));
        let calls = self.calls.iter().map(|Call { method, arguments, window }| {
            let method = Ident::new(method, Span::call_site());
            match window.map(|kind| Ident::new(kind, Span::call_site())) {
                Some(kind) => quote!(.#method(#krate::Window::#kind(#(#arguments),*))),
                None => quote!(.#method(#(#arguments),*)),
            }
        });
        quote!(#krate::BreakerConfig::#base() #(#calls)*)
    }
}

/// What judges by a window.
struct ByRate {
    window: Option<Given<Window>>,
    failure_rate: Option<Given<Number>>,
    min_calls: Option<Given<Count>>,
    slow_call: Option<Given<Time>>,
    slow_call_rate: Option<Given<Number>>,
}

impl ByRate {
    fn take(options: &mut Options, threshold: Option<&Given<Count>>, errors: &mut Errors) -> Self {
        // A window that was written but not understood is one mistake, and reported.
        let has_window = options.mentions("window", &super::OPTIONS);
        let has_slow_call = options.mentions("slow_call", &["slow_call"]);
        let this = Self {
            window: options.value("window", "window = calls(100)", errors, window),
            failure_rate: options
                .value("failure_rate", "failure_rate = 0.5", errors, |value| rate("failure_rate", value)),
            min_calls: options.value("min_calls", "min_calls = 10", errors, |value| {
                Count::parse("min_calls", "no call is no evidence", value)
            }),
            slow_call: options.value("slow_call", "slow_call = 2s", errors, slow_call),
            slow_call_rate: options
                .value("slow_call_rate", "slow_call_rate = 0.5", errors, |value| rate("slow_call_rate", value)),
        };
        if has_window {
            this.check(threshold, has_slow_call, errors);
        } else if let Some(key) = this.keys().into_iter().flatten().next() {
            errors.at(key, format!("`{key}` needs a window: add `window = calls(100)` or `window = time(60s)`"));
        }
        this
    }

    /// What makes no sense beside the window.
    fn check(&self, threshold: Option<&Given<Count>>, has_slow_call: bool, errors: &mut Errors) {
        if let Some(threshold) = threshold {
            errors.at(
                &threshold.key,
                "`failure_threshold` counts failures in a row, but with a `window` their share decides: use `failure_rate`, \
                 or remove the `window`",
            );
        }
        if let (Some(rate), false) = (&self.slow_call_rate, has_slow_call) {
            errors.at(&rate.key, "`slow_call_rate` needs to know which calls are slow: add `slow_call = 2s`");
        }
        let size = match &self.window {
            Some(Given { value: Window::Calls(calls), .. }) => calls.known(),
            _ => None,
        };
        if let (Some(size), Some(Given { value: Count::Literal(least, literal), .. })) = (size, &self.min_calls)
            && *least > size
        {
            let message =
                format!("`min_calls` must not be above the {size} calls of the window: it would never be reached");
            errors.at_span(literal.span(), message);
        }
    }

    /// The names of the options that need the window.
    fn keys(&self) -> [Option<&Ident>; 4] {
        let Self { failure_rate, min_calls, slow_call, slow_call_rate, .. } = self;
        [key(failure_rate.as_ref()), key(min_calls.as_ref()), key(slow_call.as_ref()), key(slow_call_rate.as_ref())]
    }

    fn add_to(self, list: &mut List) {
        if let Some(Given { key, value }) = self.window {
            list.keys.push(key);
            let (arguments, window): (Box<dyn ToTokens>, _) = match value {
                Window::Calls(calls) => (Box::new(calls), Some("calls")),
                Window::Time(time) => (Box::new(time), Some("time")),
                Window::Expression(value) => (Box::new(value), None),
            };
            list.calls.push(Call { method: "window", arguments: vec![arguments], window });
        }
        list.add("failure_rate", self.failure_rate);
        list.add("min_calls", self.min_calls);
        list.add("slow_call", self.slow_call);
        list.add("slow_call_rate", self.slow_call_rate);
    }
}

#[derive(Default)]
struct List {
    calls: Vec<Call>,
    keys: Vec<Ident>,
}

impl List {
    fn add<T: ToTokens + 'static>(&mut self, method: &'static str, given: Option<Given<T>>) {
        if let Some(Given { key, value }) = given {
            self.keys.push(key);
            self.calls.push(Call { method, arguments: vec![Box::new(value)], window: None });
        }
    }
}

fn key<T>(given: Option<&Given<T>>) -> Option<&Ident> {
    given.map(|given| &given.key)
}

fn preset(value: Expr) -> Result<Ident> {
    let Some(name) = word(&value) else {
        return Err(Error::new_spanned(value, format!("`preset` is one of {}", list(&PRESETS))));
    };
    let text = name.to_string();
    if PRESETS.contains(&text.as_str()) {
        return Ok(name.clone());
    }
    let near = nearest(&text, &PRESETS).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
    Err(Error::new_spanned(name, format!("unknown preset `{text}`{near}\nthere are {}", list(&PRESETS))))
}

fn window(value: Expr) -> Result<Window> {
    const FORMS: &str = "`window` is `calls(100)` or `time(60s)`";

    match &value {
        Expr::Call(call) if word(&call.func).is_some() => {}
        Expr::Lit(_) => return Err(Error::new_spanned(value, FORMS)),
        _ if word(&value).is_some_and(|word| word.to_string().starts_with(char::is_lowercase)) => {
            return Err(Error::new_spanned(value, FORMS));
        }
        _ => return Ok(Window::Expression(value)),
    }
    let (name, mut parameters) = Parameters::of(value, "window", &["calls", "time"])?;
    let size = parameters.take("");
    parameters.finish()?;
    let Some(size) = size else {
        return Err(Error::new(name.span(), format!("`{name}` needs its size: {FORMS}")));
    };
    if name == "calls" {
        let calls = Count::parse("calls", "a window of no calls judges nothing", size)?;
        return match calls {
            Count::Literal(MAX_CALLS.., literal) if literal.base10_parse::<u32>()? > MAX_CALLS => Err(Error::new(
                literal.span(),
                format!("a window holds at most {MAX_CALLS} calls: every failure looks at all of them"),
            )),
            calls => Ok(Window::Calls(calls)),
        };
    }
    let time = Time::parse(size)?;
    match &time {
        Time::Literal(duration, span) if duration.as_millis() == 0 => {
            Err(Error::new(*span, "a window must be at least a millisecond long"))
        }
        _ => Ok(Window::Time(time)),
    }
}

fn slow_call(value: Expr) -> Result<Time> {
    longer_than_zero(Time::parse(value)?, "`slow_call` must be longer than zero: every call would be slow")
}

fn recovery_timeout(value: Expr) -> Result<Call> {
    const REST: &str = "`recovery_timeout` must be longer than zero: an open circuit has to rest";

    let function = match &value {
        Expr::Call(call) => word(&call.func),
        other => word(other),
    };
    // Any other function may be the user's own.
    let is_growing = function.is_some_and(|name| nearest(&name.to_string(), &["exponential"]).is_some());
    if !is_growing {
        let timeout = longer_than_zero(Time::parse(value)?, REST)?;
        return Ok(Call { method: "recovery_timeout", arguments: vec![Box::new(timeout)], window: None });
    }
    let (_, mut parameters) = Parameters::of(value, "recovery_timeout", &["exponential"])?;
    let default = |seconds| Time::Literal(std::time::Duration::from_secs(seconds), Span::call_site());
    let (base, max) = parameters.base_and_max(default(30), default(300))?;
    let factor = parameters.take("factor").map_or(Ok(Number::known(2.0)), factor)?;
    parameters.finish()?;
    let base = longer_than_zero(base, REST)?;
    let arguments: Vec<Box<dyn ToTokens>> = vec![Box::new(base), Box::new(factor), Box::new(max)];
    Ok(Call { method: "exponential_recovery", arguments, window: None })
}

fn longer_than_zero(time: Time, message: &str) -> Result<Time> {
    match &time {
        Time::Literal(duration, span) if duration.is_zero() => Err(Error::new(*span, message)),
        _ => Ok(time),
    }
}

fn at_most_255(count: Count) -> Result<Count> {
    match count {
        Count::Literal(256.., literal) => {
            Err(Error::new(literal.span(), "`half_open_max_calls` must be at most 255: more is load, not a trial"))
        }
        other => Ok(other),
    }
}
