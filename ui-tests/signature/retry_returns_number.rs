use steadfast::retry;

#[retry]
fn read() -> u8 {
    1
}

fn main() {}
