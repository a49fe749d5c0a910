//! The sliding window of a breaker, and the options that depend on it.

use proc_macro2::Ident;
use syn::{Error, Expr, Result};

use crate::{
    errors::Errors,
    syntax::{
        duration::DurationExpr,
        options::{Given, Options},
        parameters::Parameters,
        values::{Count, Number, rate, single_ident},
    },
};

/// The options of a rate-based breaker.
pub(super) struct Rates {
    pub(super) window: Option<Given<Window>>,
    pub(super) failure_rate: Option<Given<Number>>,
    pub(super) min_calls: Option<Given<Count>>,
    pub(super) slow_call: Option<Given<DurationExpr>>,
    pub(super) slow_call_rate: Option<Given<Number>>,
}

/// The value of `window`.
pub(super) enum Window {
    Calls(Count),
    Time(DurationExpr),
    /// A const expression of type `Window`.
    Expression(Expr),
}

/// The largest window of calls. The runtime has the same limit.
const MAX_CALLS: u32 = 1_048_576;

impl Rates {
    pub(super) fn take(options: &mut Options, errors: &mut Errors) -> Self {
        // A window that could not be parsed has already been reported.
        let [may_have_window, may_have_slow_call] = ["window", "slow_call"].map(|name| options.may_have(name));
        let this = Self {
            window: options.value("window", errors, window),
            failure_rate: options.value("failure_rate", errors, |value| rate("failure_rate", value)),
            min_calls: options
                .value("min_calls", errors, |value| Count::parse("min_calls", "without calls there is no rate", value)),
            slow_call: options.value("slow_call", errors, |value| {
                DurationExpr::parse_positive("`slow_call`", "with 0 every call would be slow", value)
            }),
            slow_call_rate: options.value("slow_call_rate", errors, |value| rate("slow_call_rate", value)),
        };
        if may_have_window {
            this.check(may_have_slow_call, errors);
        } else if let Some(key) = this.dependents().into_iter().flatten().next() {
            errors.at(key, format!("`{key}` needs a window: add `window = calls(100)` or `window = time(60s)`"));
        }
        this
    }

    /// Reports options that contradict the window or have no effect with it.
    fn check(&self, may_have_slow_call: bool, errors: &mut Errors) {
        if let (Some(rate), false) = (&self.slow_call_rate, may_have_slow_call) {
            errors.at(&rate.key, "`slow_call_rate` needs a limit above which a call is slow: add `slow_call = 2s`");
        }
        let size = match &self.window {
            Some(Given { value: Window::Calls(calls), .. }) => calls.known(),
            _ => None,
        };
        if let (Some(size), Some(Given { value: Count::Literal(least, literal), .. })) = (size, &self.min_calls)
            && *least > size
        {
            let message =
                format!("`min_calls` must not be above the {size} calls of the window: the circuit would never open");
            errors.at_span(literal.span(), message);
        }
    }

    /// The keys of the options that depend on the window.
    fn dependents(&self) -> [Option<&Ident>; 4] {
        let Self { failure_rate, min_calls, slow_call, slow_call_rate, .. } = self;
        [key(failure_rate.as_ref()), key(min_calls.as_ref()), key(slow_call.as_ref()), key(slow_call_rate.as_ref())]
    }
}

fn key<T>(given: Option<&Given<T>>) -> Option<&Ident> {
    given.map(|given| &given.key)
}

fn window(value: Expr) -> Result<Window> {
    const FORMS: &str = "`calls(100)` or `time(60s)`";

    match &value {
        Expr::Call(call) if single_ident(&call.func).is_some() => {}
        Expr::Lit(_) => return Err(Error::new_spanned(value, format!("`window` must be {FORMS}"))),
        _ if single_ident(&value).is_some_and(|name| name.to_string().starts_with(char::is_lowercase)) => {
            return Err(Error::new_spanned(value, format!("`window` must be {FORMS}")));
        }
        _ => return Ok(Window::Expression(value)),
    }
    let (name, mut parameters) = Parameters::parse(value, "window", &["calls", "time"])?;
    let size = parameters.take("");
    parameters.finish()?;
    let Some(size) = size else {
        return Err(Error::new(name.span(), format!("`{name}` needs a size: write {FORMS}")));
    };
    if name == "calls" {
        let calls = Count::parse("calls", "a window without calls has no rate", size)?;
        return match calls {
            Count::Literal(MAX_CALLS.., literal) if literal.base10_parse::<u32>()? > MAX_CALLS => Err(Error::new(
                literal.span(),
                format!("a window holds at most {MAX_CALLS} calls: each failure reads all of them"),
            )),
            calls => Ok(Window::Calls(calls)),
        };
    }
    let time = DurationExpr::parse(size)?;
    match &time {
        DurationExpr::Literal(duration, span) if duration.as_millis() == 0 => {
            Err(Error::new(*span, "a window must be at least one millisecond long"))
        }
        _ => Ok(Window::Time(time)),
    }
}
