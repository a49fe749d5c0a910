use steadfast::fallback;

#[fallback(send, if = |_| true, if(std::io::Error))]
fn send() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
