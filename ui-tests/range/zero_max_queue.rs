use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent = 5, max_wait = 1s, max_queue = 0)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
