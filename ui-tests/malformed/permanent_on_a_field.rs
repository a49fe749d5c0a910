#[derive(Debug, thiserror::Error, steadfast::Transient)]
enum Failure {
    #[error(transparent)]
    TimedOut(
        #[from]
        #[permanent]
        steadfast::TimedOut,
    ),
}

fn main() {}
