use steadfast::RetryBudget;

static BUDGET: RetryBudget = RetryBudget::new().ratio(20.0);

fn main() {
    println!("{BUDGET:?}");
}
