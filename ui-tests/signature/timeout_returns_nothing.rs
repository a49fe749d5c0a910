use steadfast::timeout;

#[timeout(2s)]
async fn send() {}

fn main() {}
