//! Which of a function's arguments its body moves as a whole.
//!
//! A retry runs the body more than once, so what the body moves has to be cloned for each attempt, and what it only
//! borrows must not be. The macro sees no types, so it goes by how a name is used: passed on, stored or returned it is
//! moved; behind a `&`, before a `.` or inside a formatting macro it is borrowed. `clone(...)` is for what this misses.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Arm, BinOp, Block, Expr, ExprClosure, ExprForLoop, ExprIf, ExprMethodCall, ExprWhile, Local, Macro, Pat, Stmt,
    Token, UnOp,
    parse::Parser as _,
    parse2,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// What a body moves.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) all: HashSet<Ident>,
    /// Those among them that a `move` closure or an `async move` block takes.
    pub(crate) captured: HashSet<Ident>,
}

impl Moved {
    /// Those of `names` that the body moves. One that is no valid Rust moves nothing: the compiler will say why.
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
    /// The names that still stand for the arguments, not for something that shadows them.
    visible: HashSet<Ident>,
    moved: Moved,
    /// Inside of a `move` closure or an `async move` block, where to mention is to move.
    captured: bool,
}

/// Methods that take `self` by value, by the standard library's naming.
const CONSUMING: [&str; 9] = [
    "into",
    "unwrap",
    "expect",
    "unwrap_or",
    "unwrap_or_else",
    "unwrap_or_default",
    "ok_or",
    "ok_or_else",
    "into_iter",
];

/// Macros whose arguments are expressions, taken by value.
const BY_VALUE: [&str; 6] = ["vec", "dbg", "pin", "join", "try_join", "select"];

impl Moves {
    fn take(&mut self, name: &Ident) {
        if let Some(name) = self.visible.get(name) {
            self.moved.all.insert(name.clone());
            if self.captured {
                self.moved.captured.insert(name.clone());
            }
        }
    }

    /// A place that is looked at, not moved out of.
    fn borrow(&mut self, place: &Expr) {
        match place {
            Expr::Path(path) if path.qself.is_none() => {
                if let (true, Some(name)) = (self.captured, path.path.get_ident()) {
                    self.take(name);
                }
            }
            Expr::Paren(inner) => self.borrow(&inner.expr),
            Expr::Group(inner) => self.borrow(&inner.expr),
            other => self.visit_expr(other),
        }
    }

    /// The names that stand in a format string, as in `println!("{x:?}")`.
    fn take_formatted(&mut self, tokens: &TokenStream) {
        for token in tokens.clone() {
            let TokenTree::Literal(text) = token else { continue };
            let text = text.to_string();
            let mentions = |name: &Ident| {
                let open = format!("{{{name}");
                text.match_indices(&open).any(|(at, _)| text[at + open.len()..].starts_with(['}', ':']))
            };
            let names: Vec<_> = self.visible.iter().filter(|name| mentions(name)).cloned().collect();
            for name in &names {
                self.take(name);
            }
        }
    }

    /// What is matched against a pattern: moved only if the pattern binds something by value.
    fn matched<'a>(&mut self, value: &Expr, mut patterns: impl Iterator<Item = &'a Pat>) {
        if patterns.any(|pattern| !bound(pattern).by_value.is_empty()) {
            self.visit_expr(value);
        } else {
            self.borrow(value);
        }
    }

    /// Visits with these names hidden by new ones.
    fn hiding(&mut self, names: &HashSet<Ident>, visit: impl FnOnce(&mut Self)) {
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

    /// A condition with `let` in it binds names for the block that it guards.
    fn guarded(&mut self, condition: &Expr, block: &Block) {
        let outside = self.visible.clone();
        self.visit_condition(condition);
        self.visit_block(block);
        self.visible = outside;
    }

    /// Visits a condition and hides the names that its `let`s bind.
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
                    self.take(name);
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
                self.borrow(&assign.left);
                self.visit_expr(&assign.right);
            }
            Expr::Binary(binary) => match Operands::of(&binary.op) {
                Operands::Borrowed => {
                    self.borrow(&binary.left);
                    self.borrow(&binary.right);
                }
                Operands::Assigned => {
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
        if CONSUMING.contains(&name.as_str()) || name.starts_with("into_") {
            self.visit_expr(&call.receiver);
        } else {
            self.borrow(&call.receiver);
        }
        call.args.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        let names = closure.inputs.iter().flat_map(|pattern| bound(pattern).all).collect();
        self.capturing(closure.capture.is_some(), |moves| {
            moves.hiding(&names, |moves| moves.visit_expr(&closure.body));
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
        self.hiding(&bound(&each.pat).all, |moves| moves.visit_block(&each.body));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.hiding(&bound(&arm.pat).all, |moves| {
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
        let by_value = call.path.segments.last().is_some_and(|last| BY_VALUE.iter().any(|name| last.ident == name));
        if self.captured {
            self.take_formatted(&call.tokens);
        }
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone());
        for argument in arguments.into_iter().flatten() {
            if by_value {
                Visit::visit_expr(self, &argument);
            } else {
                // As in `format!("{}", x)`; but in `format!("{}", take(x))` it is moved all the same.
                self.borrow(&argument);
            }
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {
        // An item inside of a function does not see its arguments.
    }
}

/// What an operator does with its operands.
enum Operands {
    /// Compares them.
    Borrowed,
    /// Changes the left one by the right one.
    Assigned,
    /// Takes both by value.
    Moved,
}

impl Operands {
    const fn of(operator: &BinOp) -> Self {
        match operator {
            BinOp::Add(_)
            | BinOp::Sub(_)
            | BinOp::Mul(_)
            | BinOp::Div(_)
            | BinOp::Rem(_)
            | BinOp::BitXor(_)
            | BinOp::BitAnd(_)
            | BinOp::BitOr(_)
            | BinOp::Shl(_)
            | BinOp::Shr(_) => Self::Moved,
            BinOp::And(_)
            | BinOp::Or(_)
            | BinOp::Eq(_)
            | BinOp::Lt(_)
            | BinOp::Le(_)
            | BinOp::Ne(_)
            | BinOp::Ge(_)
            | BinOp::Gt(_) => Self::Borrowed,
            _ => Self::Assigned,
        }
    }
}

/// The names that a pattern binds.
#[derive(Default)]
struct Bound {
    all: HashSet<Ident>,
    by_value: HashSet<Ident>,
}

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        // `None` and the like are names of constants, as far as anyone can see.
        let is_constant = pattern.ident.to_string().starts_with(char::is_uppercase);
        if !is_constant {
            self.all.insert(pattern.ident.clone());
            if pattern.by_ref.is_none() {
                self.by_value.insert(pattern.ident.clone());
            }
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_expr(&mut self, _: &'ast Expr) {}
}

fn bound(pattern: &Pat) -> Bound {
    let mut names = Bound::default();
    names.visit_pat(pattern);
    names
}
