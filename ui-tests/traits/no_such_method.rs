use steadfast::RetryPolicy;

fn main() {
    RetryPolicy::new().clone_each_attempt();
}
