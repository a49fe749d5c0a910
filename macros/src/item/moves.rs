//! The arguments that a function's body moves as a whole.
//!
//! A retry runs the body more than once, so an argument that the body moves must be cloned for each attempt, and one that it only borrows
//! must not be. A macro sees no types, so the use of a name decides: an argument that is passed to a function, stored or returned is moved;
//! behind a `&`, before a `.` or inside a formatting macro it is borrowed. `clone(...)` names the arguments that this rule misses.

mod conventions;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Arm, BinOp, Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprMethodCall, ExprWhile, Local, Macro, Pat, Stmt,
    Token, UnOp,
    ext::IdentExt as _,
    parse::Parser as _,
    parse2,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use self::conventions::{CONSUMING_METHODS, MOVING_MACROS, Operands};
use super::patterns::{Binding, bindings};

/// The names that a body moves.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) all: HashSet<Ident>,
    /// The names among them that a `move` closure or an `async move` block captures.
    pub(crate) captured: HashSet<Ident>,
    /// The names to which the body assigns a value, as a whole or in part.
    pub(crate) assigned: HashSet<Ident>,
}

impl Moved {
    /// Returns the names among `names` that the body moves: none if the body is not valid Rust, which the compiler reports.
    pub(crate) fn by(body: &TokenStream, names: impl IntoIterator<Item = Ident>) -> Self {
        let Ok(block) = parse2::<Block>(body.clone()) else {
            return Self::default();
        };
        let mut moves = Moves { visible: names.into_iter().collect(), moved: Self::default(), captured: false };
        moves.visit_block(&block);
        moves.moved
    }

    pub(crate) fn contains(&self, name: &Ident) -> bool {
        self.all.contains(name)
    }
}

struct Moves {
    /// The arguments that are not shadowed at this point.
    visible: HashSet<Ident>,
    moved: Moved,
    /// True inside a `move` closure or an `async move` block, where each mention is a move.
    captured: bool,
}

impl Moves {
    /// Records a move if the name is that of an argument which is not shadowed.
    fn record(&mut self, name: &Ident) {
        if let Some(name) = self.visible.get(name) {
            self.moved.all.insert(name.clone());
            if self.captured {
                self.moved.captured.insert(name.clone());
            }
        }
    }

    /// Records an assignment to an argument that is not shadowed: `x = 1`, `x.field = 1`, `x[0] += 1`.
    fn record_assigned(&mut self, target: &Expr) {
        match target {
            Expr::Path(path) if path.qself.is_none() => {
                let name = path.path.get_ident().and_then(|name| self.visible.get(name));
                self.moved.assigned.extend(name.cloned());
            }
            Expr::Field(field) => self.record_assigned(&field.base),
            Expr::Index(index) => self.record_assigned(&index.expr),
            Expr::Paren(inner) => self.record_assigned(&inner.expr),
            Expr::Group(inner) => self.record_assigned(&inner.expr),
            Expr::Unary(unary) => self.record_assigned(&unary.expr),
            Expr::Tuple(tuple) => tuple.elems.iter().for_each(|element| self.record_assigned(element)),
            _ => {}
        }
    }

    /// Visits an expression that is borrowed, not moved.
    fn borrow(&mut self, expr: &Expr) {
        match expr {
            Expr::Path(path) if path.qself.is_none() => {
                if let (true, Some(name)) = (self.captured, path.path.get_ident()) {
                    self.record(name);
                }
            }
            Expr::Paren(inner) => self.borrow(&inner.expr),
            Expr::Group(inner) => self.borrow(&inner.expr),
            other => self.visit_expr(other),
        }
    }

    /// Records the names in format strings, as in `println!("{x:?}")`.
    fn record_formatted(&mut self, tokens: &TokenStream) {
        for token in tokens.clone() {
            let TokenTree::Literal(text) = token else { continue };
            let text = text.to_string();
            let mentions = |name: &Ident| {
                let open = format!("{{{}", name.unraw());
                text.match_indices(&open).any(|(at, _)| text[at + open.len()..].starts_with(['}', ':']))
            };
            let names: Vec<_> = self.visible.iter().filter(|name| mentions(name)).cloned().collect();
            for name in &names {
                self.record(name);
            }
        }
    }

    /// Visits an expression that is matched against patterns: it is moved only if one of them binds a name by value.
    fn matched<'a>(&mut self, value: &Expr, mut patterns: impl Iterator<Item = &'a Pat>) {
        if patterns.any(|pattern| !bound(pattern).by_value.is_empty()) {
            self.visit_expr(value);
        } else {
            self.borrow(value);
        }
    }

    /// Visits code in which `names` are shadowed.
    fn shadowing(&mut self, names: &HashSet<Ident>, visit: impl FnOnce(&mut Self)) {
        let outside = self.visible.clone();
        self.visible.retain(|name| !names.contains(name));
        visit(self);
        self.visible = outside;
    }

    fn capturing(&mut self, by_move: bool, visit: impl FnOnce(&mut Self)) {
        let outside = self.captured;
        self.captured |= by_move;
        visit(self);
        self.captured = outside;
    }

    /// Visits a condition and the block in which the names of its `let`s are bound.
    fn guarded(&mut self, condition: &Expr, block: &Block) {
        let outside = self.visible.clone();
        self.visit_condition(condition);
        self.visit_block(block);
        self.visible = outside;
    }

    /// Visits a condition. The names that its `let`s bind are shadowed afterwards.
    fn visit_condition(&mut self, condition: &Expr) {
        match condition {
            Expr::Let(binding) => {
                self.matched(&binding.expr, std::iter::once(&*binding.pat));
                let names = bound(&binding.pat).all;
                self.visible.retain(|name| !names.contains(name));
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
                self.visit_condition(&binary.left);
                self.visit_condition(&binary.right);
            }
            other => self.borrow(other),
        }
    }
}

impl<'ast> Visit<'ast> for Moves {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Path(path) if path.qself.is_none() => {
                if let Some(name) = path.path.get_ident() {
                    self.record(name);
                }
            }
            Expr::Reference(reference) => self.borrow(&reference.expr),
            Expr::Call(call) => {
                self.borrow(&call.func);
                call.args.iter().for_each(|argument| self.visit_expr(argument));
            }
            Expr::Field(field) => self.borrow(&field.base),
            Expr::Cast(cast) => self.borrow(&cast.expr),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => self.borrow(&unary.expr),
            Expr::Index(index) => {
                self.borrow(&index.expr);
                self.borrow(&index.index);
            }
            Expr::Assign(assign) => {
                self.record_assigned(&assign.left);
                self.borrow(&assign.left);
                self.visit_expr(&assign.right);
            }
            Expr::Binary(binary) => match Operands::of(&binary.op) {
                Operands::Borrowed => {
                    self.borrow(&binary.left);
                    self.borrow(&binary.right);
                }
                Operands::Assigned => {
                    self.record_assigned(&binary.left);
                    self.borrow(&binary.left);
                    self.visit_expr(&binary.right);
                }
                Operands::Moved => visit::visit_expr(self, expr),
            },
            Expr::Match(switch) => {
                self.matched(&switch.expr, switch.arms.iter().map(|arm| &arm.pat));
                for arm in &switch.arms {
                    self.visit_arm(arm);
                }
            }
            Expr::Let(_) => self.visit_condition(expr),
            Expr::Async(block) => {
                self.capturing(block.capture.is_some(), |moves| moves.visit_block(&block.block));
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let name = call.method.to_string();
        if CONSUMING_METHODS.contains(&name.as_str()) || name.starts_with("into_") {
            self.visit_expr(&call.receiver);
        } else {
            self.borrow(&call.receiver);
        }
        call.args.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        let names = closure.inputs.iter().flat_map(|pattern| bound(pattern).all).collect();
        self.capturing(closure.capture.is_some(), |moves| {
            moves.shadowing(&names, |moves| moves.visit_expr(&closure.body));
        });
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        self.guarded(&branch.cond, &branch.then_branch);
        if let Some((_, otherwise)) = &branch.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, branch: &'ast ExprWhile) {
        self.guarded(&branch.cond, &branch.body);
    }

    fn visit_expr_for_loop(&mut self, each: &'ast ExprForLoop) {
        self.visit_expr(&each.expr);
        self.shadowing(&bound(&each.pat).all, |moves| moves.visit_block(&each.body));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.shadowing(&bound(&arm.pat).all, |moves| {
            if let Pat::Guard(guard) = &arm.pat {
                moves.borrow(&guard.guard);
            }
            moves.visit_expr(&arm.body);
        });
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let outside = self.visible.clone();
        for statement in &block.stmts {
            self.visit_stmt(statement);
            if let Stmt::Local(local) = statement {
                let names = bound(&local.pat).all;
                self.visible.retain(|name| !names.contains(name));
            }
        }
        self.visible = outside;
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let Some(init) = &local.init else { return };
        self.matched(&init.expr, std::iter::once(&local.pat));
        if let Some((_, otherwise)) = &init.diverge {
            self.visit_expr(otherwise);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let by_value =
            call.path.segments.last().is_some_and(|last| MOVING_MACROS.iter().any(|name| last.ident == name));
        if self.captured {
            self.record_formatted(&call.tokens);
        }
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone());
        for argument in arguments.into_iter().flatten() {
            if by_value {
                Visit::visit_expr(self, &argument);
            } else {
                // `format!("{}", x)` borrows `x`, but `format!("{}", take(x))` moves it.
                self.borrow(&argument);
            }
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // An item inside a function cannot use the function's arguments.
    }
}

/// The variables that a pattern binds.
#[derive(Default)]
struct Bound {
    all: HashSet<Ident>,
    by_value: HashSet<Ident>,
}

fn bound(pattern: &Pat) -> Bound {
    let mut names = Bound::default();
    for Binding { name, by_ref, .. } in bindings(pattern) {
        // A capitalized name, such as `None`, is that of a constant or a variant.
        if name.to_string().starts_with(char::is_uppercase) {
            continue;
        }
        if !by_ref {
            names.by_value.insert(name.clone());
        }
        names.all.insert(name);
    }
    names
}
