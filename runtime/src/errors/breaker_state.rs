use std::fmt;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum BreakerState {
    /// All calls are admitted.
    Closed,
    /// All calls are rejected until the recovery timeout has passed.
    Open,
    /// A limited number of trial calls is admitted.
    HalfOpen,
    /// All calls are rejected until the manual override expires or is reset.
    ForcedOpen,
    /// All calls are admitted, and no failure opens the circuit, until the manual override expires or is reset.
    Disabled,
}

impl BreakerState {
    /// All states, in the order of their [`index`](Self::index).
    pub(crate) const ALL: [Self; 5] = [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled];

    /// The position in [`ALL`](Self::ALL). Metrics export it as the value of the state.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::Open => 1,
            Self::HalfOpen => 2,
            Self::ForcedOpen => 3,
            Self::Disabled => 4,
        }
    }
}

/// Displays one of `closed`, `open`, `half-open`, `forced-open`, `disabled`.
impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::Disabled => "disabled",
        })
    }
}
