use steadfast::{bulkhead, circuit_breaker};

// Stands for the crate.
mod sqlx {
    pub trait DatabaseError {}

    pub struct Error;

    impl<E: DatabaseError> From<E> for Error {
        fn from(_: E) -> Self {
            Self
        }
    }

    pub type Result<T> = std::result::Result<T, Error>;
}

#[circuit_breaker(name = "orders")]
fn by_name() -> Result<u8, sqlx::Error> {
    Ok(1)
}

#[bulkhead(name = "orders", max_concurrent = 4)]
async fn by_alias() -> sqlx::Result<u8> {
    Ok(1)
}

#[circuit_breaker(name = "orders", rejection = |_| sqlx::Error)]
async fn with_rejection() -> sqlx::Result<u8> {
    Ok(1)
}

fn main() {}
