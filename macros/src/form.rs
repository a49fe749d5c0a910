//! How a function makes its call: at once, as an `async fn`, or by returning a future.
//!
//! `#[async_trait]` turns an `async fn` into a function that returns a boxed future before our attributes see it, so
//! that form is as common as the others.

use proc_macro2::{Group, TokenStream};
use quote::ToTokens;
use syn::{
    AssocType, Block, Expr, FnArg, GenericArgument, Ident, Local, Pat, Path, PathArguments, Receiver, ReceiverKind,
    Signature, Stmt, Type, TypeGroup, TypeParamBound, TypeParen, parse2,
};

/// How a function makes its call.
pub(crate) enum Form {
    /// `fn f() -> R`
    Sync,
    /// `async fn f() -> R`
    Async,
    /// `fn f() -> impl Future<Output = R>`, or with a box around it: `Pin<Box<dyn Future<Output = R>>>`
    Future { output: Box<Type>, boxed: bool },
}

impl Form {
    pub(crate) fn of(signature: &Signature) -> Self {
        if signature.asyncness.is_some() {
            return Self::Async;
        }
        let syn::ReturnType::Type(_, output) = &signature.output else { return Self::Sync };
        let future = match &**output {
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
        arguments(&last.arguments).find_map(|argument| match argument {
            GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => Some(ty),
            _ => None,
        })
    })
}

/// `R` of `Pin<Box<dyn Future<Output = R>>>` and of `BoxFuture<'a, R>`.
fn boxed_output(path: &Path) -> Option<&Type> {
    let last = path.segments.last()?;
    let inner = arguments(&last.arguments).find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })?;
    match (last.ident.to_string().as_str(), inner) {
        ("BoxFuture" | "LocalBoxFuture", output) => Some(output),
        ("Pin", Type::Path(boxed)) => {
            let boxed = boxed.path.segments.last().filter(|last| last.ident == "Box")?;
            arguments(&boxed.arguments).find_map(|argument| match argument {
                GenericArgument::Type(Type::TraitObject(object)) => output_of(&object.bounds),
                _ => None,
            })
        }
        _ => None,
    }
}

fn arguments(arguments: &PathArguments) -> impl Iterator<Item = &GenericArgument> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    }
    .into_iter()
    .flatten()
}

/// The body of a function that does nothing but return an `async` block, perhaps in a box.
pub(crate) struct AsyncBody {
    /// The statements at its start that only give arguments another name, as `#[async_trait]` does. They run once; what
    /// follows them runs for each attempt.
    pub(crate) renames: Vec<Local>,
    pub(crate) rest: TokenStream,
}

impl AsyncBody {
    /// Input: `{ async move { body } }` or `{ Box::pin(async move { body }) }`. `None` for any other body.
    pub(crate) fn of(body: &Group) -> Option<Self> {
        let block: Block = parse2(body.to_token_stream()).ok()?;
        let [Stmt::Expr(only, None)] = block.stmts.as_slice() else { return None };
        let Expr::Async(inner) = unboxed(only) else { return None };
        // `#[async_trait]` begins with a `return` that is never reached, to pin the type; it may as well come later.
        let statements = &inner.block.stmts;
        let pins = statements.iter().take_while(|statement| is_pin(statement)).count();
        let (pins, statements) = statements.split_at(pins);
        let renames: Vec<_> = statements
            .iter()
            .map_while(|statement| match statement {
                Stmt::Local(local) if is_rename(local) => Some(local.clone()),
                _ => None,
            })
            .collect();
        let rest = pins.iter().chain(statements.iter().skip(renames.len()));
        Some(Self { rest: rest.map(ToTokens::to_token_stream).collect(), renames })
    }
}

/// `Box::pin(inner)` without its box.
fn unboxed(expr: &Expr) -> &Expr {
    let Expr::Call(call) = expr else { return expr };
    let Expr::Path(path) = &*call.func else { return expr };
    let names: Vec<_> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    match (names.as_slice(), call.args.first()) {
        ([.., last_but_one, last], Some(inner)) if last_but_one == "Box" && last == "pin" => inner,
        _ => expr,
    }
}

/// `if let Some(__ret) = None::<R> { return __ret; }`
fn is_pin(statement: &Stmt) -> bool {
    let Stmt::Expr(Expr::If(branch), None) = statement else { return false };
    matches!(&*branch.cond, Expr::Let(binding) if binding.pat.to_token_stream().to_string().contains("__ret"))
}

/// `let a = a;`, `let (a, b) = __arg1;`, `let (a, b) = { let __arg1 = __arg1; __arg1 };`
fn is_rename(local: &Local) -> bool {
    local.init.as_ref().is_some_and(|init| init.diverge.is_none() && source(&init.expr).is_some())
}

/// The name that a rename is for.
pub(crate) fn source(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Block(block) => match block.block.stmts.as_slice() {
            [Stmt::Local(first), Stmt::Expr(last, None)] if is_rename(first) => source(last),
            _ => None,
        },
        _ => None,
    }
}

/// How a function holds an argument, as far as its type says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    Owned,
    Shared,
    Mutable,
    /// `Pin<&mut T>`
    Pinned,
}

impl Holding {
    pub(crate) fn of(argument: &FnArg) -> Self {
        match argument {
            FnArg::Receiver(receiver) => Self::of_receiver(receiver),
            FnArg::Typed(argument) => Self::of_type(&argument.ty),
        }
    }

    pub(crate) fn of_receiver(receiver: &Receiver) -> Self {
        match &receiver.kind {
            ReceiverKind::Reference(_, _, Some(_)) => Self::Mutable,
            ReceiverKind::Reference(_, _, None) => Self::Shared,
            ReceiverKind::Typed(_, ty) => Self::of_type(ty),
            _ => Self::Owned,
        }
    }

    pub(crate) fn of_type(ty: &Type) -> Self {
        match plain(ty) {
            Type::Reference(reference) if reference.mutability.is_some() => Self::Mutable,
            Type::Reference(_) => Self::Shared,
            Type::Path(path) if is_pinned_mut(&path.path) => Self::Pinned,
            _ => Self::Owned,
        }
    }
}

/// `Pin<&mut T>`
fn is_pinned_mut(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| {
        let is_mut = |argument: &GenericArgument| {
            matches!(argument, GenericArgument::Type(Type::Reference(reference)) if reference.mutability.is_some())
        };
        last.ident == "Pin" && arguments(&last.arguments).any(is_mut)
    })
}

/// A type without what only groups it: parentheses, and the invisible ones around a `$t:ty`.
pub(crate) fn plain(mut ty: &Type) -> &Type {
    while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) = ty {
        ty = elem;
    }
    ty
}

/// Whether an argument goes by this name.
pub(crate) fn is_called(argument: &FnArg, name: &Ident) -> bool {
    match argument {
        FnArg::Receiver(_) => name == "self",
        FnArg::Typed(argument) => matches!(&*argument.pat, Pat::Ident(pattern) if pattern.ident == *name),
    }
}
