use steadfast::Transient;

#[derive(Transient)]
enum Error<E> {
    #[transient(inherit)]
    Inner(E),
}

fn main() {}
