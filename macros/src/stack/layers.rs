//! One attribute of the stack, parsed into a layer.

use proc_macro2::{Span, TokenStream};

use crate::{
    attributes::{Arguments, Layer, Requirements, Row},
    errors::Errors,
    item::{arguments, function::Function, patterns::bindings},
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
    pub(super) requirements: Requirements,
    /// True if a predicate judges the returned value, so that it can have any type.
    pub(super) accepts_any_output: bool,
    /// The option that selects a breaker, and the key, as text.
    pub(super) breaker: Option<[String; 2]>,
    pub(super) layer: Box<dyn Layer>,
}

impl StackLayer {
    /// Parses the arguments of an attribute.
    pub(super) fn parse(row: &Row, args: TokenStream, span: Span, function: &Function, errors: &mut Errors) -> Self {
        let (values, mut options) = if row.takes_values {
            Options::parse_with_values(args, row.grammar, errors)
        } else {
            (Vec::new(), Options::parse(args, row.grammar, errors))
        };
        let arguments: Vec<_> =
            arguments::typed(&function.signature).flat_map(|argument| bindings(&argument.pat)).collect();
        options.refuse_called_predicates(|name| arguments.iter().any(|argument| argument.name == *name), errors);
        let allows_order = options.allows_order(errors);
        let value_options = row.requirements.value_options;
        let accepts_any_output = !value_options.is_empty() && value_options.iter().all(|option| options.has(option));
        let breaker = breaker(&options);
        let layer = (row.parse)(Arguments { values, options, attribute: span, function }, errors);
        Self { name: row.name, span, allows_order, requirements: row.requirements, accepts_any_output, breaker, layer }
    }
}

fn breaker(options: &Options) -> Option<[String; 2]> {
    let own = ["name", "breaker"].into_iter().find_map(|option| options.value_text(option))?;
    Some([own, options.value_text("key").unwrap_or_default()])
}
