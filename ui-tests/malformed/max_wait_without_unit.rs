use steadfast::bulkhead;

#[bulkhead(name = "mail", max_wait = 100)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
