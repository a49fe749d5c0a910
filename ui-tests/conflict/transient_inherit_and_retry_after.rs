use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(inherit, retry_after = 0)]
    Busy(std::io::Error),
}

fn main() {}
