//! The attributes: one folder for each, the traits that it implements, and the table that lists all of them.
//!
//! A new attribute needs a folder, a row in [`ATTRIBUTES`] and an entry point in `lib.rs`. Parsing, stacking, spelling hints and the fuzzer
//! use the table. Order lints are [`Layer::order_error`] of the lower attribute.

pub(crate) mod bulkhead;
pub(crate) mod circuit_breaker;
pub(crate) mod fallback;
pub(crate) mod rate_limit;
pub(crate) mod retry;
pub(crate) mod timeout;

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Error, Expr, Path};

use self::{
    bulkhead::Bulkhead, circuit_breaker::CircuitBreaker, fallback::Fallback, rate_limit::RateLimit, retry::Retry,
    timeout::Timeout,
};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::function::Function,
    syntax::{
        duration::DurationExpr,
        instance::Instance,
        options::{Grammar, Options},
    },
};

/// All attributes.
pub(crate) static ATTRIBUTES: &[Row] = &[
    Row::of::<Retry>(),
    Row::of::<CircuitBreaker>(),
    Row::of::<Timeout>(),
    Row::of::<Fallback>(),
    Row::of::<RateLimit>(),
    Row::of::<Bulkhead>(),
];

/// An attribute of this crate. The implementing type is the layer that the attribute adds to the stack.
pub(crate) trait Attribute: Layer + Sized + 'static {
    /// The name of the attribute, by which it is recognised on an item.
    const NAME: &'static str;

    /// The options of the attribute.
    const GRAMMAR: Grammar;

    /// True if the attribute takes values without a key, as in `timeout(2s)`.
    const TAKES_VALUES: bool = false;

    /// The requirements on the function.
    const REQUIREMENTS: Requirements;

    /// Parses and checks the arguments. After an error, the layer is still complete enough for further checks.
    fn parse(arguments: Arguments<'_>, errors: &mut Errors) -> Self;
}

/// The requirements of an attribute on the function.
#[derive(Clone, Copy)]
pub(crate) struct Requirements {
    /// The advice in the error about a return type that cannot express a failure.
    pub(crate) output: &'static str,
    /// The options that together accept any return type: they judge the returned value, and make that of a rejected call.
    pub(crate) value_options: &'static [&'static str],
    /// The error for a function that is not `async`.
    pub(crate) is_async: Option<&'static str>,
    /// The error for an `async` function if the feature `tokio` is off and there is no timer.
    pub(crate) timer: Option<&'static str>,
}

/// The arguments of one attribute on an item.
pub(crate) struct Arguments<'a> {
    /// The values without a key.
    pub(crate) values: Vec<Expr>,
    pub(crate) options: Options,
    /// The span of the attribute.
    pub(crate) attribute: Span,
    pub(crate) function: &'a Function,
}

/// A layer of the stack around the body of a function.
pub(crate) trait Layer {
    /// The path of the runtime, if `crate = path` is given.
    fn krate(&self) -> Option<&Path>;

    /// Returns true if the layer may call the body again after an earlier call has ended. The arguments are then rebound for each call
    /// (`inputs.rebound`), if [`reuse_error`](Self::reuse_error) is given as well.
    fn repeats(&self) -> bool {
        false
    }

    /// Returns true if the layer declares the variable `attempts` of a retry, in whose scope the call of the body is made.
    fn scopes_attempts(&self) -> bool {
        false
    }

    /// Returns true if the layer calls other functions with the arguments of this one.
    fn forwards_arguments(&self) -> bool {
        false
    }

    /// The error for a returned borrow of a `&mut` argument. `None` if the layer uses no argument after its first call.
    fn reuse_error(&self) -> Option<&'static str> {
        None
    }

    /// The rate limit or bulkhead that the layer uses. Two layers of the same attribute must not use the same one.
    fn limit(&self) -> Option<&Instance> {
        None
    }

    /// The circuit breaker that the layer uses.
    fn breaker(&self) -> Option<&Instance> {
        None
    }

    /// The arguments that are cloned although the body does not seem to move them.
    fn clones(&self) -> &[Ident] {
        &[]
    }

    /// The arguments that are lent to each call as a `&mut`.
    fn lends(&self) -> &[Ident] {
        &[]
    }

    /// The user's expressions that are evaluated after a call. They may use the arguments.
    fn evaluated_after(&self) -> TokenStream {
        TokenStream::new()
    }

    /// The user's expressions whose value is borrowed during the call.
    fn borrowed_during(&self) -> TokenStream {
        TokenStream::new()
    }

    /// The dispositions of the calls below that the layer reads.
    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    /// Returns true if the layer neither waits nor calls other functions, so that it can be between a retry and the scope of its attempt.
    fn is_transparent(&self) -> bool {
        false
    }

    /// The error if the layer is below the attribute `above` and that order is almost certainly a mistake.
    fn order_error(&self, above: &str) -> Option<&'static str> {
        _ = above;
        None
    }

    /// The time after which the layer ends a call of the layers below. `None` for all layers but a timeout.
    fn time_limit(&self) -> Option<&DurationExpr> {
        None
    }

    /// The error if the layer almost certainly does not work with the timeouts around it.
    fn timeout_error(&self, timeouts: Timeouts) -> Option<Error> {
        _ = timeouts;
        None
    }

    /// Wraps the call of the layers below.
    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call;
}

/// The dispositions that a layer reads. Each includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    Nothing,
    /// Values that the option `rejection` has made of a call that was rejected or timed out.
    MadeValues,
    /// Rejections by a rate limit or a bulkhead: the function was not called.
    LimitRejections,
    /// Rejections by a circuit breaker as well.
    Everything,
}

/// The position of a layer in its stack.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    /// The number of layers above.
    pub(crate) index: usize,
    /// The dispositions that the layers above read.
    pub(crate) read_above: Reads,
    pub(crate) timeouts: Timeouts,
}

impl Position {
    /// Returns true if a layer above needs the disposition of this layer. The layer has dispositions of its own for readers of at least `own`,
    /// and for all readers if its option `rejection` `makes_values`; it passes on those of the `call` below.
    pub(crate) fn needs_disposition(&self, own: Reads, makes_values: bool, call: &Call) -> bool {
        self.read_above >= own || self.read_above != Reads::Nothing && (call.has_disposition || makes_values)
    }
}

/// The timeouts around a layer.
#[derive(Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) is_limited_above: bool,
    pub(crate) is_limited_below: bool,
    /// The shortest time limit above. `None` if there is no literal.
    pub(crate) shortest_above: Option<Duration>,
}

impl Timeouts {
    /// The timeouts around a layer that has these layers above and below it.
    pub(crate) fn between<'a>(
        above: impl IntoIterator<Item = &'a dyn Layer>,
        below: impl IntoIterator<Item = &'a dyn Layer>,
    ) -> Self {
        let above: Vec<_> = above.into_iter().filter_map(Layer::time_limit).collect();
        Self {
            is_limited_above: !above.is_empty(),
            is_limited_below: below.into_iter().any(|layer| layer.time_limit().is_some()),
            shortest_above: above.into_iter().filter_map(DurationExpr::known).min(),
        }
    }
}

/// A row of the table: an [`Attribute`] without its type.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) grammar: Grammar,
    pub(crate) takes_values: bool,
    pub(crate) requirements: Requirements,
    pub(crate) parse: fn(Arguments<'_>, &mut Errors) -> Box<dyn Layer>,
}

impl Row {
    pub(crate) const fn of<A: Attribute>() -> Self {
        Self {
            name: A::NAME,
            grammar: A::GRAMMAR,
            takes_values: A::TAKES_VALUES,
            requirements: A::REQUIREMENTS,
            parse: |arguments, errors| Box::new(A::parse(arguments, errors)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ATTRIBUTES;

    /// The settings that the runtime reads have the names of the options.
    #[test]
    fn settings_are_options() {
        for (name, source) in [
            ("retry", include_str!("../../runtime/src/retry/merge.rs")),
            ("circuit_breaker", include_str!("../../runtime/src/breaker/config/merge.rs")),
            ("rate_limit", include_str!("../../runtime/src/rate_limit/config/merge.rs")),
            ("bulkhead", include_str!("../../runtime/src/bulkhead/config/merge.rs")),
        ] {
            let row = ATTRIBUTES.iter().find(|row| row.name == name).expect(name);
            let (_, list) = source.split_once("const OPTIONS: ").expect("the settings of the runtime");
            let (list, _) = list.split_once("];").expect("the end of the list");
            let settings: Vec<_> = list.split('"').skip(1).step_by(2).collect();
            assert!(!settings.is_empty(), "{name}");
            for setting in settings {
                assert!(row.grammar.options.iter().any(|(option, _)| *option == setting), "{name}: {setting}");
            }
        }
    }

    /// Each example starts with the name of its option.
    #[test]
    fn examples_begin_with_the_option() {
        for row in ATTRIBUTES {
            for (option, example) in row.grammar.options {
                let rest = example.strip_prefix(option);
                assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '('])), "{example}");
            }
        }
    }
}
