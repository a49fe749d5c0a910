use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(no_effect, maybe_effect)]
    Busy,
}

fn main() {}
