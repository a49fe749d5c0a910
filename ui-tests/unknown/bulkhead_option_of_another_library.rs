use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent_calls = 5)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
