//! `#[bulkhead(...)]`: limits the number of concurrent calls.

mod expand;
mod options;

use proc_macro2::TokenStream;
use syn::Path;

pub(crate) use self::options::Bulkhead;
use super::{Arguments, Attribute, Layer, Position, Requirements};
use crate::{
    codegen::context::{Call, Context},
    errors::Errors,
    item::uses::used_by,
    syntax::{instance::Instance, options::Grammar},
};

impl Attribute for Bulkhead {
    const NAME: &'static str = "bulkhead";
    const GRAMMAR: Grammar = options::GRAMMAR;
    const REQUIREMENTS: Requirements = Requirements {
        output: "return one of them: a call that the full bulkhead rejects returns an error or `None`\n\
                 or make the value of such a call: `rejection = |full| ...`",
        value_options: &["rejection"],
        is_async: None,
        timer: None,
    };

    fn parse(Arguments { options, attribute, function, .. }: Arguments<'_>, errors: &mut Errors) -> Self {
        Self::parse_options(options, attribute, function, errors)
    }
}

impl Layer for Bulkhead {
    fn krate(&self) -> Option<&Path> {
        self.krate.as_ref()
    }

    fn evaluated_after(&self) -> TokenStream {
        self.instance.run_time().map(used_by).unwrap_or_default()
    }

    fn borrowed_during(&self) -> TokenStream {
        self.instance.borrowed().map(used_by).unwrap_or_default()
    }

    fn limit(&self) -> Option<&Instance> {
        Some(&self.instance)
    }

    fn expand(&self, call: &Call, position: Position, context: &mut Context) -> Call {
        expand::expand(self, call, position, context)
    }
}
