#[derive(steadfast::Transient)]
enum Failure {
    #[permanent(inherit)]
    Busy,
}

fn main() {}
