//! The methods, macros and operators that move their operands.

use syn::BinOp;

/// Common methods of the standard library that take `self` by value, besides those that begin with `into_`.
pub(super) const CONSUMING_METHODS: [&str; 9] = [
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

/// Macros that move their arguments, which are expressions.
pub(super) const MOVING_MACROS: [&str; 6] = ["vec", "dbg", "pin", "join", "try_join", "select"];

/// The use that an operator makes of its operands.
pub(super) enum Operands {
    /// Both are borrowed, as by `==`, or are `bool`, as in `&&`.
    Borrowed,
    /// The left one is changed, and the right one is moved, as by `+=`.
    Assigned,
    /// Both are moved, as by `+`.
    Moved,
}

impl Operands {
    pub(super) const fn of(operator: &BinOp) -> Self {
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
