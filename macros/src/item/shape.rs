//! The shape of a function: plain, `async`, or one that returns a future.
//!
//! `#[async_trait]` turns an `async fn` into a function that returns a boxed future before the attributes of this crate see it, so the
//! third shape is as common as the others.

use syn::{
    AssocType, GenericArgument, Path, PathArguments, ReturnType, Signature, Type, TypeGroup, TypeParamBound, TypeParen,
};

/// The shape of a function.
pub(crate) enum Shape {
    /// `fn f() -> R`
    Sync,
    /// `async fn f() -> R`
    Async,
    /// `fn f() -> impl Future<Output = R>`, or `fn f() -> Pin<Box<dyn Future<Output = R>>>` if `boxed`.
    Future { output: Box<Type>, boxed: bool },
}

impl Shape {
    pub(crate) fn of(signature: &Signature) -> Self {
        if signature.asyncness.is_some() {
            return Self::Async;
        }
        let ReturnType::Type(_, output) = &signature.output else { return Self::Sync };
        let future = match ungroup(output) {
            Type::ImplTrait(hidden) => output_of(&hidden.bounds).map(|output| (output, false)),
            Type::Path(path) => boxed_output(&path.path).map(|output| (output, true)),
            _ => None,
        };
        future.map_or(Self::Sync, |(output, boxed)| Self::Future { output: Box::new(output.clone()), boxed })
    }
}

/// `R` of `Future<Output = R> + Send`.
fn output_of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<&'a Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        generic_arguments(&last.arguments).find_map(|argument| match argument {
            GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => Some(ty),
            _ => None,
        })
    })
}

/// `R` of `Pin<Box<dyn Future<Output = R>>>` and of `BoxFuture<'a, R>`.
fn boxed_output(path: &Path) -> Option<&Type> {
    let last = path.segments.last()?;
    let inner = generic_arguments(&last.arguments).find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })?;
    match (last.ident.to_string().as_str(), ungroup(inner)) {
        ("BoxFuture" | "LocalBoxFuture", output) => Some(output),
        ("Pin", Type::Path(boxed)) => {
            let boxed = boxed.path.segments.last().filter(|last| last.ident == "Box")?;
            generic_arguments(&boxed.arguments).find_map(|argument| match argument {
                GenericArgument::Type(object) => match ungroup(object) {
                    Type::TraitObject(object) => output_of(&object.bounds),
                    _ => None,
                },
                _ => None,
            })
        }
        _ => None,
    }
}

/// The generic arguments of a path segment.
pub(crate) fn generic_arguments(arguments: &PathArguments) -> impl Iterator<Item = &GenericArgument> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    }
    .into_iter()
    .flatten()
}

/// The type inside parentheses and inside the invisible groups around a `$t:ty`.
pub(crate) fn ungroup(mut ty: &Type) -> &Type {
    while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) = ty {
        ty = elem;
    }
    ty
}
