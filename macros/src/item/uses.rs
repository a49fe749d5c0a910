//! The uses of the arguments outside of the function's body: by retries, fallbacks, predicates and hooks.

use std::{iter, mem::replace};

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::{
    Arm, Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprLet, ExprPath, ExprWhile, Item, LitStr, Local, Macro, Pat,
    Token, Type,
    ext::IdentExt as _,
    parse::Parser as _,
    parse2,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use super::patterns::bindings;

/// The uses that the layers make of the function's arguments.
pub(crate) struct Uses<'a> {
    /// True if a layer calls the body more than once.
    pub(crate) repeats: bool,
    /// The error for a returned borrow of a `&mut` argument. `None` if no layer uses an argument after the first call of the body.
    pub(crate) reuse_error: Option<&'static str>,
    /// True if a layer calls other functions with all arguments.
    pub(crate) forwards_all: bool,
    /// The arguments that `clone(...)` names.
    pub(crate) clones: Vec<Ident>,
    /// The arguments that `lend(...)` names.
    pub(crate) lends: Vec<Ident>,
    /// The user's expressions that are evaluated after the body has begun.
    pub(crate) after_call: TokenStream,
    /// The user's expressions whose value is borrowed while the body runs.
    pub(crate) during_call: TokenStream,
    /// The arguments of all attributes, as they are written.
    pub(crate) written: &'a TokenStream,
    /// The name that `#[async_trait]` gives to `self`.
    pub(crate) renamed_self: Option<Ident>,
}

impl Uses<'_> {
    /// Returns true if a layer uses the argument after the body has begun, so that the body must not consume the argument.
    pub(crate) fn needs_after_call(&self, name: &Ident) -> bool {
        let is_self = name == "self" || self.renamed_self.as_ref() == Some(name);
        self.repeats || self.forwards_all && !is_self || mentions(self.after_call.clone(), name)
    }

    /// Returns true if an expression that is evaluated after the body has begun names the argument.
    pub(crate) fn mentions_after_call(&self, name: &Ident) -> bool {
        mentions(self.after_call.clone(), name)
    }
}

/// The names that an expression uses and does not bind itself, each as one token: neither fields, methods and parts of paths, nor the
/// parameters of closures and the variables of patterns.
pub(crate) fn used_by(expr: &Expr) -> TokenStream {
    let mut free = FreeNames::default();
    free.visit_expr(expr);
    free.names
}

#[derive(Default)]
struct FreeNames {
    /// The names that are bound at this point.
    bound: Vec<Ident>,
    names: TokenStream,
    /// True in the arguments of a macro, where a string may be a format string.
    in_macro: bool,
}

impl FreeNames {
    fn record(&mut self, name: &Ident) {
        if !self.bound.contains(&name.unraw()) {
            self.names.extend([TokenTree::from(name.clone())]);
        }
    }

    fn bind(&mut self, pattern: &Pat) {
        self.bound.extend(bindings(pattern).iter().map(|binding| binding.name.unraw()));
    }

    /// Visits code outside of which its bindings are not visible.
    fn scope(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.bound.len();
        visit(self);
        self.bound.truncate(outside);
    }

    /// Visits the tokens of a macro that are no list of expressions. A name after a `.` is a field, a method, or the end of a range: `0..n`.
    fn visit_tokens(&mut self, tokens: TokenStream) {
        let mut dots = 0;
        for token in tokens {
            match &token {
                TokenTree::Group(group) => self.visit_tokens(group.stream()),
                TokenTree::Ident(name) if dots != 1 => self.record(name),
                TokenTree::Literal(text) => self.visit_format(&text.to_string()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
            dots = if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.') { dots + 1 } else { 0 };
        }
    }

    /// Visits the names in a format string: `{name}`, `{name:?}`, `{:name$}`.
    fn visit_format(&mut self, text: &str) {
        for part in text.replace("{{", "").split('{').skip(1) {
            let Some((argument, _)) = part.split_once('}') else { continue };
            let (name, spec) = argument.split_once(':').unwrap_or((argument, ""));
            let widths = spec.split_inclusive('$').filter_map(|part| part.strip_suffix('$'));
            let widths = widths.filter_map(|part| part.rsplit(['.', '<', '^', '>', '+', '-', '#']).next());
            for name in iter::once(name).chain(widths) {
                if let Ok(name) = Ident::parse_any.parse_str(name) {
                    self.record(&name);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for FreeNames {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let (None, Some(name)) = (&path.qself, path.path.get_ident()) {
            self.record(name);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        self.scope(|free| {
            closure.inputs.iter().for_each(|pattern| free.bind(pattern));
            free.visit_expr(&closure.body);
        });
    }

    fn visit_expr_let(&mut self, binding: &'ast ExprLet) {
        self.visit_expr(&binding.expr);
        self.bind(&binding.pat);
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        self.scope(|free| {
            free.visit_expr(&branch.cond);
            free.visit_block(&branch.then_branch);
        });
        if let Some((_, otherwise)) = &branch.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, branch: &'ast ExprWhile) {
        self.scope(|free| visit::visit_expr_while(free, branch));
    }

    fn visit_expr_for_loop(&mut self, each: &'ast ExprForLoop) {
        self.visit_expr(&each.expr);
        self.scope(|free| {
            free.bind(&each.pat);
            free.visit_block(&each.body);
        });
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.scope(|free| {
            free.bind(&arm.pat);
            if let Pat::Guard(guard) = &arm.pat {
                free.visit_expr(&guard.guard);
            }
            free.visit_expr(&arm.body);
        });
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scope(|free| visit::visit_block(free, block));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(init) = &local.init {
            visit::visit_local_init(self, init);
        }
        self.bind(&local.pat);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let outside = replace(&mut self.in_macro, true);
        let tokens = &call.tokens;
        if let Some((value, patterns)) = split_matches(call)
            && let Ok(matches) = parse2(quote!(match #value { #patterns => {} }))
        {
            self.visit_expr(&matches);
        } else if let Ok(arguments) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens.clone()) {
            arguments.iter().for_each(|argument| Visit::visit_expr(self, argument));
        } else {
            self.visit_tokens(tokens.clone());
        }
        self.in_macro = outside;
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        if self.in_macro {
            self.visit_format(&text.token().to_string());
        }
    }

    // None of these can name an argument.
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_item(&mut self, _: &'ast Item) {}
}

/// Input: `matches!(value, patterns)`. Output: `value` and `patterns`.
fn split_matches(call: &Macro) -> Option<(TokenStream, TokenStream)> {
    call.path.segments.last().filter(|last| last.ident == "matches")?;
    let mut rest = call.tokens.clone().into_iter();
    let value = rest.by_ref().take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    Some((value.collect(), rest.collect()))
}

/// Returns true if the name occurs in the tokens, as an identifier or in a format string: `"{name}"`, `"{name:?}"`, `"{:name$}"`.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    let name = &name.unraw();
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Ident(ident) => ident.unraw() == *name,
        TokenTree::Literal(literal) => {
            let literal = literal.to_string();
            let is_format = |text: &str| literal.contains(text);
            is_format(&format!("{{{name}}}")) || is_format(&format!("{{{name}:")) || is_format(&format!("{name}$"))
        }
        TokenTree::Punct(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use syn::parse_str;

    use super::*;

    #[test]
    fn names_that_an_expression_does_not_bind_are_used() {
        for (text, expected) in [
            ("|e| e.request.is_none()", false),
            ("|e| e.request() > 1", false),
            ("|e| e.iter().any(|request| *request > 1)", false),
            ("|request| request.is_none()", false),
            ("|request| format!(\"{request}\")", false),
            ("|e| match e { Ok(request) if request > 1 => request, _ => 0 }", false),
            ("|e| matches!(e, Ok(Response { request: 500.. }))", false),
            ("|e| matches!(e, Ok(Response { request }) if *request > 1)", false),
            ("|e| { let request = e.n(); request > 1 }", false),
            ("|e| if let Some(request) = e { request } else { 0 }", false),
            ("|e| Report { request: e }", false),
            ("|e| request::is_none(e)", false),
            ("|e| e.text() == \"{request}\"", false),
            ("|e| format!(\"{{request}}\")", false),
            ("|e| custom!(e.request; 1)", false),
            ("|e| request.is_none()", true),
            ("|e| Report { request }", true),
            ("|e| e.iter().any(|x| *x > request)", true),
            ("|e| { let request = request.n(); request > 1 }", true),
            ("|e| if let Some(request) = e { 0 } else { request }", true),
            ("|e| matches!(e, Ok(n) if *n > request)", true),
            ("|e| matches!(request, Ok(1),)", true),
            ("|e| format!(\"{request:?}\")", true),
            ("|e| format!(\"{e:>request$}\")", true),
            ("|e| format!(\"{e:.request$}\")", true),
            ("|e| custom!(0..request; 1)", true),
            ("request", true),
        ] {
            let expr: Expr = parse_str(text).expect(text);
            assert_eq!(mentions(used_by(&expr), &Ident::new("request", Span::call_site())), expected, "{text}");
        }
    }

    #[test]
    fn format_strings_name_raw_identifiers_without_their_prefix() {
        let expr: Expr = parse_str("|_| println!(\"{type}\")").expect("a closure");
        assert!(mentions(used_by(&expr), &Ident::new_raw("type", Span::call_site())));
    }
}
