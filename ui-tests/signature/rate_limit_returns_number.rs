use steadfast::rate_limit;

#[rate_limit(name = "mail", limit = 5, per = 1s)]
fn send() -> u8 {
    1
}

fn main() {}
