use steadfast::{RateLimited, Transient};

#[derive(Debug, thiserror::Error, Transient)]
enum Failure {
    #[error(transparent)]
    Open(#[from] steadfast::CircuitOpen),
    #[error(transparent)]
    TimedOut(#[from] steadfast::TimedOut),
    #[error("limited")]
    Limited {
        #[from]
        source: RateLimited,
    },
}

#[derive(Debug, thiserror::Error, Transient)]
#[error(transparent)]
struct Full(#[from] steadfast::BulkheadFull);

fn main() {}
