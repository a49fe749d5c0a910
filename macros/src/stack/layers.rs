//! One attribute of the stack, parsed into a layer.

use proc_macro2::{Span, TokenStream};

use crate::{
    attributes::{Arguments, Layer, Requirements, Row},
    errors::Errors,
    item::function::Function,
    syntax::options::Options,
};

/// A layer, and the attribute that it was parsed from.
pub(super) struct StackLayer {
    /// The name of the attribute.
    pub(super) name: &'static str,
    /// The span of the attribute.
    pub(super) span: Span,
    /// True if the attribute has `allow_order`, which disables the order lints for the whole stack.
    pub(super) allows_order: bool,
    pub(super) layer: Box<dyn Layer>,
}

impl StackLayer {
    /// Parses the arguments of an attribute, and checks the function against its requirements.
    pub(super) fn parse(row: &Row, args: TokenStream, span: Span, function: &Function, errors: &mut Errors) -> Self {
        let (values, mut options) = if row.takes_values {
            Options::parse_with_values(args, row.grammar, errors)
        } else {
            (Vec::new(), Options::parse(args, row.grammar, errors))
        };
        let allows_order = options.allows_order(errors);
        check_function(row, &options, function, errors);
        let layer = (row.parse)(Arguments { values, options, attribute: span, function }, errors);
        Self { name: row.name, span, allows_order, layer }
    }
}

fn check_function(row: &Row, options: &Options, function: &Function, errors: &mut Errors) {
    let Requirements { output, value_predicate, is_async, timer } = row.requirements;
    function.check(row.name, errors);
    if !value_predicate.is_some_and(|option| options.has(option)) {
        function.check_output(row.name, output, errors);
    }
    match (is_async, timer) {
        (Some(error), _) if !function.is_async() => errors.at(function.signature.fn_token, error),
        (_, Some(error)) if function.is_async() && !cfg!(feature = "tokio") => {
            errors.at(function.signature.asyncness, error);
        }
        _ => {}
    }
}
