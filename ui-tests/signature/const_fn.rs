use steadfast::retry;

#[retry]
const fn read() -> Result<u8, u8> {
    Ok(1)
}

fn main() {}
