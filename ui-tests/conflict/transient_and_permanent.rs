#[derive(steadfast::Transient)]
enum Failure {
    #[transient]
    #[permanent]
    Busy,
}

fn main() {}
