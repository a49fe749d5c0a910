use steadfast::Transient;

#[derive(Transient)]
enum Error {
    #[transient(retry_after = 0)]
    Busy(u64),
}

fn main() {}
