use steadfast::bulkhead;

#[bulkhead(name = "mail", max_concurrent = 5, key = user, max_keys = 0)]
fn send(user: &str) -> std::io::Result<()> {
    let _ = user;
    Ok(())
}

fn main() {}
