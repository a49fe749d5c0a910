use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(retry_afer = 1)]
    Busy(std::time::Duration),
}

fn main() {}
