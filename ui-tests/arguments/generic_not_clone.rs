use steadfast::retry;

fn post<T>(_: T) -> std::io::Result<()> {
    Ok(())
}

#[retry]
fn send<T>(letter: T) -> std::io::Result<()> {
    post(letter)
}

fn main() {
    _ = send(1);
}
