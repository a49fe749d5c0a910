use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    Busy(#[transient] u8),
}

fn main() {}
