#[derive(steadfast::Transient)]
#[permanent]
enum Failure {
    Busy,
}

fn main() {}
