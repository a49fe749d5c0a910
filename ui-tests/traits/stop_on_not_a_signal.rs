use std::sync::atomic::AtomicBool;

use steadfast::retry;

static SHUTDOWN: AtomicBool = AtomicBool::new(false);

#[retry(stop_on = SHUTDOWN)]
fn load() -> std::io::Result<()> {
    Ok(())
}

#[retry(stop_on = SHUTDOWN)]
async fn load_async() -> std::io::Result<()> {
    Ok(())
}

fn main() {
    load().unwrap();
    drop(load_async());
}
