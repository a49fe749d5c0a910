use steadfast::bulkhead;

struct User;

#[bulkhead(name = "mail", max_concurrent = 5, key = user)]
fn send(user: User) -> std::io::Result<()> {
    drop(user);
    Ok(())
}

fn main() {}
