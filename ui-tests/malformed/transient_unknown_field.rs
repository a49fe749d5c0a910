use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(retry_after = wait)]
    Busy { after: std::time::Duration },
}

fn main() {}
