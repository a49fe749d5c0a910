//! Orders of a stack that are almost surely a mistake.

use proc_macro2::Span;

use crate::{errors::Errors, stack::Kind};

/// The attributes of one item, the topmost first.
#[derive(Default)]
pub(crate) struct Order {
    layers: Vec<(Kind, Span)>,
    /// One of them says that the order is meant.
    allowed: bool,
}

impl Order {
    pub(crate) fn add(&mut self, kind: Kind, place: Span, allowed: bool) {
        self.layers.push((kind, place));
        self.allowed |= allowed;
    }

    /// Reports what stands below something that it makes useless.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if self.allowed {
            return;
        }
        for (index, (kind, place)) in self.layers.iter().enumerate() {
            let mut above = self.layers.iter().take(index).rev().map(|(kind, _)| *kind);
            if let Some(problem) = above.find_map(|above| problem(above, *kind)) {
                errors.at_span(*place, problem);
            }
        }
    }
}

/// What is wrong with `below` standing below `above`.
const fn problem(above: Kind, below: Kind) -> Option<&'static str> {
    match (above, below) {
        (Kind::Retry, Kind::Fallback) => Some(
            "a fallback below `#[retry]` leaves it nothing to retry: it answers before a failure gets there\n\
             put `#[fallback]` above `#[retry]`, and it answers when all attempts have failed\n\
             if this order is meant: `#[fallback(..., allow_order)]`",
        ),
        (Kind::CircuitBreaker, Kind::Fallback) => Some(
            "a fallback below `#[circuit_breaker]` hides every failure from it, and it never opens\n\
             put `#[fallback]` above `#[circuit_breaker]`, and it answers for an open circuit, too\n\
             if this order is meant: `#[fallback(..., allow_order)]`",
        ),
        _ => None,
    }
}
