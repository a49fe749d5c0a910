use steadfast::retry;

struct Letter(u8);

#[retry]
fn send(mut letter: Letter) -> std::io::Result<()> {
    letter.0 += 1;
    Ok(())
}

fn main() {}
