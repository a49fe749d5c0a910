use steadfast::bulkhead;

const NONE: u32 = 0;

#[bulkhead(name = "mail", max_concurrent = NONE)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
