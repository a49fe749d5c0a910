use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent = 5, max_wait = 0ms)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
