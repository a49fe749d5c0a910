//! `#[rate_limit(...)]`: limits the number of calls in a sliding window of time.

mod expand;
mod options;

use syn::Path;

pub(crate) use self::options::RateLimit;
use super::{Arguments, Attribute, Layer, Position, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    syntax::{instance::Instance, options::Grammar},
};

impl Attribute for RateLimit {
    const NAME: &'static str = "rate_limit";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call above the limit returns an error or `None`\n\
                 or make the value of such a call: `rejection = |limited| ...`",
        value_options: &["rejection"],
        is_async: None,
        timer: None,
    };

    fn parse(Arguments { options, attribute, function, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(options, attribute, function, errors)
    }
}

impl Layer for RateLimit {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn limit(&self) -> Option<&Instance> {
        Some(&self.instance)
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
