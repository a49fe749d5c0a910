use steadfast::bulkhead;

#[derive(Debug)]
enum Error {
    Broken,
}

#[bulkhead(name = "mail")]
async fn send() -> Result<(), Error> {
    Err(Error::Broken)
}

fn main() {}
