use steadfast::rate_limit;

struct User;

#[rate_limit(name = "mail", limit = 5, per = 1s, key = user)]
fn send(user: User) -> std::io::Result<()> {
    drop(user);
    Ok(())
}

fn main() {}
