use steadfast::bulkhead;

#[bulkhead(max_concurrent = 5)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
