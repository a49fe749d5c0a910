use steadfast::Transient;

struct Inner;

#[derive(Transient)]
enum Error {
    #[transient(inherit)]
    Inner(Inner),
}

fn main() {}
