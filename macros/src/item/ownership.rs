//! The way in which a function owns or borrows an argument.

use syn::{FnArg, GenericArgument, Path, Receiver, ReceiverKind, Type};

use super::shape::{generic_arguments, ungroup};

/// The way in which a function owns or borrows an argument, as far as the written type shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    Owned,
    /// `&T`
    Shared,
    /// `&mut T`
    Mutable,
    /// `Pin<&mut T>`
    Pinned,
}

impl Ownership {
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
        match ungroup(ty) {
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
        last.ident == "Pin" && generic_arguments(&last.arguments).any(is_mut)
    })
}
