use steadfast::retry;

#[retry(nested = never)]
fn load() -> std::io::Result<()> {
    Ok(())
}

fn main() {
    load().unwrap();
}
