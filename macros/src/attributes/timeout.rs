//! `#[timeout(...)]`: cancels an `async` function after a time limit.

mod expand;
mod options;

use syn::Path;

pub(crate) use self::options::Timeout;
use super::{Arguments, Attribute, Layer, Position, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    syntax::options::Grammar,
};

impl Attribute for Timeout {
    const NAME: &'static str = "timeout";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const TAKES_VALUES: bool = true;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call that times out returns an error or `None`",
        value_predicate: None,
        is_async: Some(
            "a timeout needs an `async fn`: a function that blocks its thread cannot be cancelled\n\
             use the time limit of the blocking operation, such as `TcpStream::set_read_timeout`, or make the function `async`",
        ),
        timer: Some("a timeout needs a timer: enable steadfast's feature `tokio`"),
    };

    fn parse(Arguments { values, options, attribute, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(values, options, attribute, errors)
    }
}

impl Layer for Timeout {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn expand(&self, call: &Call, _: Position, context: &mut Context) -> Call {
        expand::expand(self, call, context)
    }
}
