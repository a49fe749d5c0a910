//! The conversions of rejections into the error type of a function.

use syn::Expr;

/// The types of the rejections that layers convert into the error type of the function, the innermost layer first.
#[derive(Clone, Copy)]
pub(crate) struct Conversions([Option<&'static str>; 4]);

impl Conversions {
    /// No conversions.
    pub(crate) const NONE: Self = Self([None; 4]);

    /// Adds the rejection of a layer, unless the layer has the option `rejection`.
    pub(crate) fn and(mut self, ty: &'static str, rejection: Option<&Expr>) -> Self {
        if rejection.is_none()
            && !self.0.contains(&Some(ty))
            && let Some(slot) = self.0.iter_mut().find(|slot| slot.is_none())
        {
            *slot = Some(ty);
        }
        self
    }

    /// The types other than that of the trait `from`.
    pub(super) fn others(self, from: &str) -> Vec<&'static str> {
        let own = from.strip_prefix("From");
        self.0.into_iter().flatten().filter(|other| Some(*other) != own).collect()
    }
}
