//! The checks of the function against the requirements of its attributes. What several attributes require is reported once.

use proc_macro2::{Ident, Span};
use syn::{GenericArgument, PathArguments, Type};

use super::layers::StackLayer;
use crate::{
    attributes::{Attribute as _, Requirements, retry::Retry},
    errors::Errors,
    item::{function::Function, uses::mentions},
};

/// Reports a function that an attribute of the stack cannot be on.
pub(super) fn check(layers: &[StackLayer], function: &Function, errors: &mut Errors) {
    if let [first, ..] = layers {
        function.check(first.name, errors);
    }
    if let Some(StackLayer { name, requirements, .. }) = layers.iter().find(|layer| !layer.accepts_any_output) {
        function.check_output(name, requirements.output, errors);
    }
    let requirements = || layers.iter().map(|layer| layer.requirements);
    let find = |of: fn(Requirements) -> Option<&'static str>| requirements().find_map(of);
    match (find(|requirements| requirements.is_async), find(|requirements| requirements.timer)) {
        (Some(error), _) if !function.is_async() => {
            let runs_task = mentions(function.body.stream(), &Ident::new("block_on", Span::call_site()));
            let help = if runs_task {
                "\nif `#[tokio::test]` or `#[tokio::main]` is above, put it below the attributes of steadfast"
            } else {
                ""
            };
            errors.at(function.signature.fn_token, format!("{error}{help}"));
        }
        (_, Some(error)) if function.is_async() && !cfg!(feature = "tokio") => {
            errors.at(function.signature.asyncness, error);
        }
        _ => {}
    }
    let judges_errors = |layer: &StackLayer| layer.name == Retry::NAME && !layer.accepts_any_output;
    if let (true, Some(output)) = (layers.iter().any(judges_errors), function.output()) {
        check_inner_result(output, errors);
    }
}

/// Reports a `Result` inside of the returned `Result` or `Option`. A retry would treat its errors as success.
fn check_inner_result(output: &Type, errors: &mut Errors) {
    let Some((outer, Some(value))) = result_or_option(output) else { return };
    if !matches!(result_or_option(value), Some(("Result", _))) {
        return;
    }
    let [success, is_failure] =
        if outer == "Result" { ["Ok(Ok(_))", "is_err()"] } else { ["Some(Ok(_))", "is_none()"] };
    errors.at(
        value,
        format!(
            "the inner `Result` is the value of a successful call: `#[retry]` does not retry its errors\n\
             return one `Result`, or select what to retry: `retry_if_result = |result| !matches!(result, {success})`\n\
             if only the outer `{outer}` counts: `retry_if_result = |result| result.{is_failure}`"
        ),
    );
}

/// The name and the first type argument of a type that is written as a `Result` or an `Option`.
fn result_or_option(ty: &Type) -> Option<(&'static str, Option<&Type>)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let name = ["Result", "Option"].into_iter().find(|name| last.ident == name)?;
    let value = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(value) => Some(value),
            _ => None,
        }),
        _ => None,
    };
    Some((name, value))
}
