use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent = 0)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
