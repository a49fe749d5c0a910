use steadfast::rate_limit;

struct Store;

static STORE: Store = Store;

#[rate_limit(name = "mail", limit = 5, per = 1s, store = STORE)]
async fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
