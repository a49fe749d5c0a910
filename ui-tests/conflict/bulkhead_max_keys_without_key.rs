use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent = 5, max_keys = 10)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
