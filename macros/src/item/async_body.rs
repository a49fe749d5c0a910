//! The body of a function that returns an `async` block, as `#[async_trait]` writes it.

use std::collections::HashSet;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Block, Expr, ExprAsync, ExprClosure, ExprReturn, FnArg, Item, Local, Macro, Pat, Signature, Stmt, parse2,
    visit::{self, Visit},
};

use super::{moves::Moved, ownership::Ownership, patterns::bindings, uses::mentions};

/// The body of a function that returns an `async` block, perhaps in a box.
pub(crate) struct AsyncBody {
    /// The statements before the `async` block. They run once, at the call, as in the plain function.
    pub(crate) leading: Vec<Stmt>,
    /// The arguments that the leading statements move or shadow.
    pub(crate) consumed: HashSet<Ident>,
    /// The statements at the start of the `async` block that only rename arguments. They run once; the statements after them run for each
    /// attempt.
    pub(crate) renames: Vec<Local>,
    pub(crate) rest: TokenStream,
}

impl AsyncBody {
    /// Input: `{ leading; async move { body } }` or `{ leading; Box::pin(async move { body }) }`. Returns `None` for any other body.
    ///
    /// Returns `None` as well if a leading statement returns, or consumes an argument that `is_used` by the attributes: then the whole body
    /// runs for each attempt.
    pub(crate) fn of(body: &Group, signature: &Signature, is_used: impl Fn(&Ident) -> bool) -> Option<Self> {
        let block: Block = parse2(body.to_token_stream()).ok()?;
        let (Stmt::Expr(last, None), leading) = block.stmts.split_last()? else { return None };
        let Expr::Async(inner) = unboxed(last) else { return None };
        if leading.iter().any(returns) {
            return None;
        }
        let consumed = consumed(leading, signature);
        if consumed.iter().any(is_used) {
            return None;
        }
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
        let rest = rest.map(ToTokens::to_token_stream).collect();
        Some(Self { leading: leading.to_vec(), consumed, renames, rest })
    }

    /// The variables that the leading statements bind.
    pub(crate) fn locals(&self) -> impl Iterator<Item = &Local> {
        self.leading.iter().filter_map(|statement| match statement {
            Stmt::Local(local) => Some(local),
            _ => None,
        })
    }
}

/// The arguments that the statements move or shadow.
fn consumed(statements: &[Stmt], signature: &Signature) -> HashSet<Ident> {
    let names = |input: &FnArg| match input {
        FnArg::Receiver(receiver) => vec![Ident::new("self", receiver.self_token.span)],
        FnArg::Typed(input) => bindings(&input.pat).into_iter().map(|binding| binding.name).collect(),
    };
    let all: Vec<_> = signature.inputs.iter().flat_map(names).collect();
    // A `&` can be used after a move.
    let shared: Vec<_> =
        signature.inputs.iter().filter(|input| Ownership::of(input) == Ownership::Shared).flat_map(names).collect();
    let moved = Moved::by(&quote!({ #(#statements)* }), all.iter().cloned());
    let mut shadowed = HashSet::new();
    for statement in statements {
        if let Stmt::Local(local) = statement {
            shadowed.extend(bindings(&local.pat).into_iter().map(|binding| binding.name));
        }
    }
    let is_consumed = |name: &Ident| shadowed.contains(name) || moved.contains(name) && !shared.contains(name);
    all.into_iter().filter(is_consumed).collect()
}

/// Returns true if the statement may return from the function.
fn returns(statement: &Stmt) -> bool {
    struct Find(bool);
    impl<'ast> Visit<'ast> for Find {
        fn visit_expr_return(&mut self, _: &'ast ExprReturn) {
            self.0 = true;
        }

        fn visit_macro(&mut self, call: &'ast Macro) {
            self.0 |= mentions(call.tokens.clone(), &Ident::new("return", Span::call_site()));
            visit::visit_macro(self, call);
        }

        // A `return` in these does not return from the function.
        fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
        fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
        fn visit_item(&mut self, _: &'ast Item) {}
    }

    let mut find = Find(false);
    find.visit_stmt(statement);
    find.0
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

/// Replaces `self` in the expressions of an attribute by the name that `#[async_trait]` gives to it. A path such as `self::limit` remains.
pub(crate) fn rename_self(tokens: TokenStream, renamed: Option<&Ident>) -> TokenStream {
    let Some(renamed) = renamed else { return tokens };
    let mut tokens = tokens.into_iter().peekable();
    let mut output = TokenStream::new();
    while let Some(token) = tokens.next() {
        let is_path = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
        output.extend([match token {
            TokenTree::Ident(ident) if ident == "self" && !is_path => {
                TokenTree::Ident(Ident::new(&renamed.to_string(), renamed.span().located_at(ident.span())))
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), rename_self(group.stream(), Some(renamed)));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        }]);
    }
    output
}
