//! Expressions in attributes that are known only at run time, because they depend on the arguments of a call.

use proc_macro2::Ident;
use syn::{
    Expr, ExprAssign, ExprMacro, ExprPath, ExprReference,
    visit::{self, Visit},
};

use super::{arguments::typed, function::Function, patterns::bindings, uses::mentions};

impl Function {
    /// Returns the first argument, or `self`, that an expression uses.
    pub(crate) fn argument_in(&self, expr: &Expr) -> Option<Ident> {
        let mut find = FindArgument { function: self, found: None };
        find.visit_expr(expr);
        find.found
    }

    /// Returns true for a path, possibly behind `&`, that is the same for all calls: neither an argument nor a part of a type parameter or of
    /// `Self`.
    pub(crate) fn is_static_path(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Reference(ExprReference { mutability: None, expr, .. }) => self.is_static_path(expr),
            Expr::Paren(paren) => self.is_static_path(&paren.expr),
            Expr::Group(group) => self.is_static_path(&group.expr),
            Expr::Path(ExprPath { qself: None, path, .. }) => {
                let is_of_type = path.segments.first().is_some_and(|first| {
                    first.ident == "Self"
                        || self.signature.generics.type_params().any(|parameter| parameter.ident == first.ident)
                });
                !is_of_type && self.argument_in(expr).is_none()
            }
            _ => false,
        }
    }

    /// Returns true for a duration that is certainly a constant: a path, or a constructor of `Duration` with constants.
    pub(crate) fn is_constant_duration(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Lit(_) | Expr::Const(_) => true,
            Expr::Path(_) => self.argument_in(expr).is_none(),
            Expr::Paren(paren) => self.is_constant_duration(&paren.expr),
            Expr::Group(group) => self.is_constant_duration(&group.expr),
            Expr::Call(call) => {
                let Expr::Path(function) = &*call.func else { return false };
                let is_constructor =
                    function.path.segments.iter().rev().nth(1).is_some_and(|ty| ty.ident == "Duration");
                is_constructor && call.args.iter().all(|argument| self.is_constant_number(argument))
            }
            _ => false,
        }
    }

    fn is_constant_number(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Binary(binary) => self.is_constant_number(&binary.left) && self.is_constant_number(&binary.right),
            Expr::Cast(cast) => self.is_constant_number(&cast.expr),
            other => self.is_constant_duration(other),
        }
    }

    /// Returns true if the function has an argument of this name, or if the name is `self` and the function is a method.
    fn binds(&self, name: &Ident) -> bool {
        if name == "self" {
            return self.signature.receiver().is_some();
        }
        typed(&self.signature).any(|argument| bindings(&argument.pat).iter().any(|binding| binding.name == *name))
    }
}

/// Finds an argument in an expression.
struct FindArgument<'a> {
    function: &'a Function,
    found: Option<Ident>,
}

impl FindArgument<'_> {
    fn find(&mut self, name: &Ident) {
        if self.found.is_none() && self.function.binds(name) {
            self.found = Some(name.clone());
        }
    }
}

impl<'ast> Visit<'ast> for FindArgument<'_> {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let (None, Some(name)) = (&path.qself, path.path.get_ident()) {
            self.find(name);
        }
    }

    /// In `exponential(base = 1s)` the left side is the name of a parameter.
    fn visit_expr_assign(&mut self, assign: &'ast ExprAssign) {
        self.visit_expr(&assign.right);
    }

    fn visit_expr_macro(&mut self, expr: &'ast ExprMacro) {
        let function = self.function;
        let this = Ident::new("self", proc_macro2::Span::call_site());
        let names = typed(&function.signature).flat_map(|argument| bindings(&argument.pat));
        for name in names.map(|binding| binding.name).chain([this]) {
            if mentions(expr.mac.tokens.clone(), &name) {
                self.find(&name);
            }
        }
        visit::visit_expr_macro(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use syn::{Expr, parse_quote, parse_str};

    use crate::item::function::Function;

    fn function() -> Function {
        parse_quote!(
            fn f<T: Limits>(&self, config: &Config, (first, Second { second }): Pair, base: Duration) {}
        )
    }

    #[test]
    fn arguments_are_found_in_expressions() {
        for (text, expected) in [
            ("self.limit", Some("self")),
            ("config.limits[0].max", Some("config")),
            ("first", Some("first")),
            ("Duration::from_secs(second)", Some("second")),
            ("format!(\"{base:?}\")", Some("base")),
            ("limits::max(|other| other, &self.x)", Some("self")),
            ("config::LIMIT", None),
            ("exponential(base = 1s)", None),
            ("exponential(base = base)", Some("base")),
            ("T::LIMIT", None),
            ("Self::LIMIT", None),
            ("LIMIT", None),
            ("format!(\"limit\")", None),
        ] {
            let expr = parse_str::<Expr>(text).expect(text);
            let found = function().argument_in(&expr).map(|name| name.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn static_paths_are_the_same_for_all_calls() {
        for (text, expected) in [
            ("PAYMENTS", true),
            ("&PAYMENTS", true),
            ("crate::breakers::PAYMENTS", true),
            ("config::PAYMENTS", true),
            ("config", false),
            ("self", false),
            ("self.breaker", false),
            ("&self.breaker", false),
            ("Self::BREAKER", false),
            ("T::BREAKER", false),
            ("<First as Shard>::BREAKER", false),
            ("*PAYMENTS", false),
            ("PAYMENTS[0]", false),
            ("payments()", false),
        ] {
            assert_eq!(function().is_static_path(&parse_str(text).expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn constant_durations_are_paths_and_constructors() {
        for (text, expected) in [
            ("LIMIT", true),
            ("Self::LIMIT", true),
            ("config::LIMIT", true),
            ("Duration::from_secs(2 * SECONDS as u64)", true),
            ("std::time::Duration::new(1, 0)", true),
            ("const { limit() }", true),
            ("base", false),
            ("LIMIT * 2", false),
            ("Duration::from_secs(second)", false),
            ("Duration::from_secs(SECONDS.load(Relaxed))", false),
            ("limit()", false),
            ("*LIMIT", false),
        ] {
            assert_eq!(function().is_constant_duration(&parse_str(text).expect(text)), expected, "{text}");
        }
    }
}
