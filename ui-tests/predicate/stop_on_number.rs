use steadfast::retry;

#[retry(stop_on = 5)]
fn load() -> std::io::Result<()> {
    Ok(())
}

fn main() {
    load().unwrap();
}
