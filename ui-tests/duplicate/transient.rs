use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient]
    #[transient]
    Busy,
}

fn main() {}
