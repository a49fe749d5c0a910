use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurent = 5)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
