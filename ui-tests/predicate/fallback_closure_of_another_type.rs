use steadfast::fallback;

#[fallback(|error: String| Ok(error.len()))]
fn read() -> std::io::Result<usize> {
    Ok(1)
}

fn main() {
    _ = read();
}
