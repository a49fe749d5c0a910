//! The condition of a layer, which selects the outcomes that the layer acts on.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    BinOp, Error, Expr, ExprArray, ExprBinary, ExprCall, ExprMacro, ExprPath, ExprTuple, Path, Result, Type, TypePath,
};

use super::{
    closures,
    options::Options,
    text::one_line,
    values::single_ident,
    variants::{is_camel_case, is_pattern, is_variant, matches},
    written::ExprOrTypes,
};
use crate::errors::Errors;

/// The outcomes that a layer acts on.
pub(crate) enum Condition {
    /// The default, which depends on the attribute and on the type of the error.
    Default,
    /// `any`: every error.
    Any,
    /// Errors of these types, or with one of them in their chain of sources.
    Types(Vec<Type>),
    /// A predicate over the error.
    Error(Expr),
    /// A predicate over the whole returned value.
    Value(Expr),
}

impl Condition {
    /// Takes `name = predicate`, `name = any` or `name(Type, ...)`.
    pub(crate) fn take(options: &mut Options, name: &str, errors: &mut Errors) -> Option<Self> {
        let condition = match options.take(name)?.expression_or_types() {
            Ok(ExprOrTypes::Types(types)) => Self::from_types(name, types),
            Ok(ExprOrTypes::Expression(value)) if is_any(&value) => Ok(Self::Any),
            Ok(ExprOrTypes::Expression(value)) => Self::predicate(name, value).map(Self::Error),
            Err(error) => Err(error),
        };
        errors.handle(condition)
    }

    fn from_types(name: &str, types: Vec<Type>) -> Result<Self> {
        let path = |ty: &'_ Type| match ty {
            Type::Path(TypePath { qself: None, path, .. }) => Some(path.clone()),
            _ => None,
        };
        let paths = || types.iter().filter_map(path);
        if let Some(any) = paths().find(|path| path.is_ident("any")) {
            return Err(Error::new_spanned(any, format!("to match every error, write `{name} = any`")));
        }
        if paths().any(|path| is_variant(&path)) {
            // All variants are one mistake.
            let variants: Vec<_> = paths().filter(is_variant).collect();
            let message = format!(
                "`{}` is a variant, and `{name}(...)` takes error types: {}",
                one_line(&variants[0]),
                advice(name, &variants)
            );
            return Err(Error::new_spanned(&variants[0], message));
        }
        if let Some(function) = paths().find(is_function) {
            return Err(Error::new_spanned(
                &function,
                format!("`{0}` is not a type; to use it as a predicate, write `{name} = {0}`", one_line(&function)),
            ));
        }
        Ok(Self::Types(types))
    }

    /// Returns the value of option `name` unless it cannot be a predicate.
    pub(crate) fn predicate(name: &str, value: Expr) -> Result<Expr> {
        // The option for a condition of the error alone.
        let (by_error, subject) = name.strip_suffix("_result").map_or((name, "error"), |by_error| (by_error, "value"));
        let error = |message: String| Err(Error::new_spanned(&value, message));
        match &value {
            Expr::Lit(_) => error(format!("`{name}` must be a predicate: a closure, or the path of a function")),
            value if is_any(value) => {
                error(format!("`{name}` must be a predicate over the returned value; `any` stands for every error"))
            }
            Expr::Closure(closure) => {
                closures::not_async(name, closure)?;
                // A predicate of `#[retry]` can also take the number of the attempt; `#[retry]` checks it.
                if !name.starts_with("retry_if") && closure.inputs.len() != 1 {
                    return Err(closures::wrong_parameters(name, closure, &format!("the {subject}"), &[subject]));
                }
                Ok(value)
            }
            Expr::Path(ExprPath { qself: None, path, .. }) if is_variant(path) => {
                let advice = advice(by_error, std::slice::from_ref(path));
                error(format!("`{}` is a variant, and not a predicate: {advice}", one_line(path)))
            }
            Expr::Path(ExprPath { qself: None, path, .. }) if is_type(path) => {
                let path = one_line(path);
                error(format!("`{path}` is a type, and not a predicate: write `{by_error}({path})`"))
            }
            Expr::Binary(ExprBinary { op: BinOp::BitOr(_), .. }) => {
                let predicate = matches(alternatives(&value));
                error(format!("`{name}` must be a predicate: write `{name} = {predicate}`"))
            }
            Expr::Call(ExprCall { func, args, .. }) if is_outcome(func) => {
                let is_error = one_line(func) == "Err";
                let advice = match args.first() {
                    Some(Expr::Infer(_)) if is_error => format!("{by_error} = any"),
                    Some(error) if is_error => format!("{by_error} = {}", matches([error.to_token_stream()])),
                    _ if by_error == "if" => "if = |error| ...".to_owned(),
                    _ => format!("{by_error}_result = |value| matches!(value, {})", one_line(&value)),
                };
                error(format!("`{name}` must be a predicate: write `{advice}`"))
            }
            value if is_pattern(value) => {
                let predicate = matches([value.to_token_stream()]);
                error(format!("`{name}` must be a predicate: write `{by_error} = {predicate}`"))
            }
            Expr::Macro(ExprMacro { mac, .. }) if mac.path.is_ident("matches") => {
                let parameter = match mac.tokens.clone().into_iter().next() {
                    Some(TokenTree::Ident(first)) => first.to_string(),
                    _ => subject.to_owned(),
                };
                let predicate = one_line(&value);
                error(format!("`{name}` must be a closure: write `{name} = |{parameter}| {predicate}`"))
            }
            Expr::Array(ExprArray { elems, .. }) | Expr::Tuple(ExprTuple { elems, .. }) => {
                let types = one_line(&elems.to_token_stream());
                error(format!(
                    "`{name}` must be a predicate; a list of error types is in parentheses: `{name}({types})`"
                ))
            }
            _ => Ok(value),
        }
    }

    /// The predicate, if the condition is one.
    pub(crate) const fn expression(&self) -> Option<&Expr> {
        match self {
            Self::Error(predicate) | Self::Value(predicate) => Some(predicate),
            Self::Default | Self::Any | Self::Types(_) => None,
        }
    }

    /// The types; empty if the condition is not a list of types.
    pub(crate) fn types(&self) -> &[Type] {
        match self {
            Self::Types(types) => types,
            _ => &[],
        }
    }
}

fn is_any(value: &Expr) -> bool {
    single_ident(value).is_some_and(|name| name == "any")
}

/// Returns true for a path that is probably a type, and neither a variant nor a constant.
fn is_type(path: &Path) -> bool {
    let last = path.segments.last();
    path.segments.len() > 1 && last.is_some_and(|last| is_camel_case(&last.ident.to_string())) && !is_variant(path)
}

/// Returns true for a path in the place of a type that is probably a function.
fn is_function(path: &Path) -> bool {
    const PRIMITIVES: [&str; 17] = [
        "bool", "char", "str", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        last.arguments.is_none() && name.starts_with(char::is_lowercase) && !PRIMITIVES.contains(&name.as_str())
    })
}

/// Returns true for `Err`, `Ok` and `Some`.
fn is_outcome(function: &Expr) -> bool {
    single_ident(function).is_some_and(|name| name == "Err" || name == "Ok" || name == "Some")
}

/// The operands of `A | B | C`.
fn alternatives(value: &Expr) -> Vec<TokenStream> {
    match value {
        Expr::Binary(ExprBinary { left, op: BinOp::BitOr(_), right, .. }) => {
            [alternatives(left), alternatives(right)].concat()
        }
        other => vec![other.to_token_stream()],
    }
}

/// The advice to match the variants in a predicate, or to mark them for the retry.
fn advice(name: &str, variants: &[Path]) -> String {
    let of = |path: &Path| path.segments.iter().rev().nth(1).map(|segment| segment.ident.to_string());
    if let [kind] = variants
        && of(kind).as_deref() == Some("ErrorKind")
    {
        return format!("write `{name} = |error| error.kind() == {}`", one_line(kind));
    }
    let predicate = matches(variants.iter().map(ToTokens::to_token_stream));
    let mark = "\nor derive `Transient` for the enum, and mark the variant with `#[transient]`";
    format!("write `{name} = {predicate}`{}", if name == "retry_if" { mark } else { "" })
}
