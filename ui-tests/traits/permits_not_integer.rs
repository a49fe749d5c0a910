use steadfast::{bulkhead, rate_limit};

#[rate_limit(name = "mail", limit = 5, per = 1s, permits = weight)]
fn send(weight: f64) -> std::io::Result<()> {
    let _ = weight;
    Ok(())
}

#[bulkhead(name = "mail", max_concurrent = 5, permits = weight)]
async fn send_at_once(weight: &u32) -> std::io::Result<()> {
    let _ = weight;
    Ok(())
}

fn main() {}
