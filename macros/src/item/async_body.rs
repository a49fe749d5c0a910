//! The body of a function that only returns an `async` block, as `#[async_trait]` writes it.

use proc_macro2::{Group, Ident, TokenStream};
use quote::ToTokens;
use syn::{Block, Expr, Local, Pat, Stmt, parse2};

/// The body of a function that only returns an `async` block, perhaps in a box.
pub(crate) struct AsyncBody {
    /// The statements at its start that only rename arguments. They run once; the statements after them run for each attempt.
    pub(crate) renames: Vec<Local>,
    pub(crate) rest: TokenStream,
}

impl AsyncBody {
    /// Input: `{ async move { body } }` or `{ Box::pin(async move { body }) }`. Returns `None` for any other body.
    pub(crate) fn of(body: &Group) -> Option<Self> {
        let block: Block = parse2(body.to_token_stream()).ok()?;
        let [Stmt::Expr(only, None)] = block.stmts.as_slice() else { return None };
        let Expr::Async(inner) = unboxed(only) else { return None };
        // `#[async_trait]` begins with an unreachable `return` that determines the type. Here it is moved after the renames.
        let statements = &inner.block.stmts;
        let hints = statements.iter().take_while(|statement| is_type_hint(statement)).count();
        let (hints, statements) = statements.split_at(hints);
        let renames: Vec<_> = statements
            .iter()
            .map_while(|statement| match statement {
                Stmt::Local(local) if is_rename(local) => Some(local.clone()),
                _ => None,
            })
            .collect();
        let rest = hints.iter().chain(statements.iter().skip(renames.len()));
        Some(Self { rest: rest.map(ToTokens::to_token_stream).collect(), renames })
    }
}

/// `inner` of `Box::pin(inner)`; any other expression unchanged.
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
fn is_type_hint(statement: &Stmt) -> bool {
    let Stmt::Expr(Expr::If(branch), None) = statement else { return false };
    matches!(&*branch.cond, Expr::Let(binding) if binding.pat.to_token_stream().to_string().contains("__ret"))
}

/// `let a = a;`, `let (a, b) = __arg1;`, `let (a, b) = { let __arg1 = __arg1; __arg1 };`
fn is_rename(local: &Local) -> bool {
    local.init.as_ref().is_some_and(|init| init.diverge.is_none() && source(&init.expr).is_some())
}

/// The argument that is the value of a rename.
fn source(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Block(block) => match block.block.stmts.as_slice() {
            [Stmt::Local(first), Stmt::Expr(last, None)] if is_rename(first) => source(last),
            _ => None,
        },
        _ => None,
    }
}

/// The argument that a statement renames.
pub(crate) fn renamed(rename: &Local) -> Option<&Ident> {
    rename.init.as_ref().and_then(|init| source(&init.expr))
}

/// The name that `#[async_trait]` gives to `self`.
pub(crate) fn renamed_self(renames: &[Local]) -> Option<Ident> {
    renames.iter().find_map(|rename| match &rename.pat {
        Pat::Ident(pattern) if renamed(rename)? == "self" => Some(pattern.ident.clone()),
        _ => None,
    })
}
