//! `#[timeout(...)]`: cancels an `async` function after a time limit.

mod expand;
mod options;

use proc_macro2::TokenStream;
use syn::{Error, Path};

pub(crate) use self::options::Timeout;
use super::{Arguments, Attribute, Layer, Position, Requirements, Timeouts};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::uses::used_by,
    syntax::{
        duration::{DurationExpr, text},
        options::Grammar,
    },
};

impl Attribute for Timeout {
    const NAME: &'static str = "timeout";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const TAKES_VALUES: bool = true;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call that times out returns an error or `None`\n\
                 or make the value of such a call: `rejection = |timed_out| ...`",
        value_options: &["rejection"],
        is_async: Some(
            "a timeout needs an `async fn`: a function that blocks its thread cannot be cancelled\n\
             use the time limit of the blocking operation, such as `TcpStream::set_read_timeout`, or make the function `async`",
        ),
        timer: Some("a timeout needs a timer: enable steadfast's feature `tokio`"),
    };

    fn parse(Arguments { values, options, attribute, function }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(values, options, attribute, function, errors)
    }
}

impl Layer for Timeout {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn evaluated_after(&self) -> TokenStream {
        self.rejection.as_ref().map(used_by).unwrap_or_default()
    }

    fn time_limit(&self) -> Option<&DurationExpr> {
        self.limit.as_ref()
    }

    fn timeout_error(&self, Timeouts { shortest_above, .. }: Timeouts) -> Option<Error> {
        let (DurationExpr::Literal(limit, span), Some(above)) = (self.limit.as_ref()?, shortest_above) else {
            return None;
        };
        (above <= *limit).then(|| {
            let above = text(above);
            let message = format!(
                "this timeout never ends a call: the one above ends it after {above}\n\
                 use a shorter limit here, or a longer one above\n\
                 if this order is intended: `#[timeout(..., allow_order)]`"
            );
            Error::new(*span, message)
        })
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
