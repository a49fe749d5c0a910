use steadfast::{Bulkhead, BulkheadConfig, bulkhead, rate_limit, retry};

static POOL: Bulkhead = Bulkhead::new("pool", BulkheadConfig::new());

#[rate_limit(name = "mail", limit = 5, per = 1s)]
#[retry(retry_if = any)]
#[rate_limit(name = "mail")]
fn send() -> std::io::Result<()> {
    Ok(())
}

#[bulkhead(bulkhead = POOL)]
#[bulkhead(bulkhead = POOL)]
async fn query() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
