use steadfast::{Bulkhead, BulkheadConfig, bulkhead};

static MAIL: Bulkhead = Bulkhead::new("mail", BulkheadConfig::new());

#[bulkhead(bulkhead = MAIL, max_concurrent = 5)]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
