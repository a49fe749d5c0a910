//! Targets with labels of their own, as in Kubernetes, where a `ServiceMonitor` adds `service`, `namespace` and `pod`.

use std::{fs, path::Path, process::Command};

use steadfast::prometheus::SteadfastCollector;
use steadfast_dashboard::Dashboard;

use crate::{
    Folder, Served,
    everything::traffic,
    prometheus_server::{Prometheus, Target},
    rules::{file, promtool},
};

const TARGET_LABELS: &str = "{service: shop-frontend, namespace: prod, pod: shop-1}";

/// Copies the rules, their tests and the board to a folder, and runs the command of `docs/metrics.md` there that contains `option`.
fn adapted(option: &str) -> Folder {
    let folder = Folder::new();
    for name in ["prometheus/alerts.yml", "prometheus/alerts.test.yml", "grafana/steadfast.json"] {
        fs::copy(file(name), folder.0.join(Path::new(name).file_name().unwrap())).unwrap();
    }
    let document = fs::read_to_string(file("../docs/metrics.md")).unwrap();
    let command = document.lines().find(|line| line.starts_with("sed ") && line.contains(option)).unwrap();
    assert!(Command::new("sh").args(["-c", command]).current_dir(&folder.0).status().unwrap().success());
    folder
}

/// Writes the rules with an outage that is alerted at once, so that the test need not wait.
fn without_the_wait(rules: &Path, folder: &Folder) -> std::path::PathBuf {
    let text = fs::read_to_string(rules).unwrap();
    let path = folder.0.join("at_once.yml");
    assert!(text.contains("circuit_breaker_outage_seconds > 150"));
    fs::write(&path, text.replace("circuit_breaker_outage_seconds > 150", "circuit_breaker_outage_seconds > 0"))
        .unwrap();
    path
}

#[test]
fn alerts_name_the_breaker_of_a_target_with_a_label_service_of_its_own() {
    let served = Served::new(&Dashboard::new());
    let relabelled = Served::new(&Dashboard::new().collector(SteadfastCollector::new().label("breaker")));
    let folder = Folder::new();
    let by_breaker = adapted("breaker");
    let rules = [
        without_the_wait(Path::new(&file("prometheus/alerts.yml")), &folder),
        without_the_wait(&by_breaker.0.join("alerts.yml"), &by_breaker),
    ];
    // The metrics of the rule: a scrape of all metrics of this program by three jobs is slow.
    let kept = "circuit_breaker_(state|observe_only|outage_seconds|calls_total)";
    let target = |job, served, honor_labels| Target { job, served, labels: TARGET_LABELS, honor_labels, kept };
    let prometheus = Prometheus::start(
        &[target("honored", &served, true), target("renamed", &served, false), target("other", &relabelled, false)],
        &[&rules[0], &rules[1]],
    );
    prometheus.expect(r#"circuit_breaker_calls_total{job="honored",service="every down",outcome="failure"}"#, &[0.0]);
    prometheus.expect(
        r#"circuit_breaker_calls_total{job="renamed",exported_service="every down",outcome="failure"}"#,
        &[0.0],
    );
    prometheus.expect(r#"circuit_breaker_calls_total{job="other",breaker="every down",outcome="failure"}"#, &[0.0]);
    // Without `honor_labels`, every breaker has the name of the target: `exported_service` has that of the breaker.
    for (job, label, target) in [
        ("honored", "service", None),
        ("renamed", "exported_service", Some("shop-frontend")),
        ("other", "breaker", Some("shop-frontend")),
    ] {
        let query =
            format!(r#"ALERTS{{alertname="CircuitOpen",alertstate="firing",job="{job}",{label}="every down"}}"#);
        let alert = prometheus.poll(&query, |series| {
            traffic();
            series.first().map(|(labels, _)| labels.clone())
        });
        assert_eq!(alert["namespace"], "prod", "{query}");
        assert_eq!(alert["pod"], "shop-1");
        if let Some(target) = target {
            assert_eq!(alert["service"], target);
        }
    }
    // The texts name the breaker. Both files of rules see all jobs, so there is an alert of the other file for each job as well.
    for job in ["honored", "other"] {
        prometheus.poll(&format!(r#"ALERTS{{job="{job}"}}"#), |_| {
            traffic();
            let alerts = prometheus.api("alerts", &[]).unwrap();
            let of_job = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["labels"]["job"] == job);
            let mut summaries = of_job.map(|alert| alert["annotations"]["summary"].as_str().unwrap());
            let expected = "Circuit breaker every down on 127.0.0.1:";
            summaries.any(|summary| summary.starts_with(expected)).then_some(())
        });
    }
}

#[test]
fn rules_adapted_to_another_label_or_prefix_pass_their_tests() {
    for (option, rewritten) in
        [("breaker", "$labels.breaker"), ("steadfast_", "steadfast_circuit_breaker_outage_seconds > 150")]
    {
        let folder = adapted(option);
        let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
        promtool(&["test", "rules", &path("alerts.test.yml")]);
        assert!(fs::read_to_string(path("alerts.yml")).unwrap().contains(rewritten));
        let board: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path("steadfast.json")).unwrap()).unwrap();
        assert_eq!(board["uid"], "steadfast");
    }
    // The names are those that a collector with the prefix exports.
    let collector = SteadfastCollector::new().prefix("steadfast").without_short_names();
    let served = Served::new(&Dashboard::new().collector(collector));
    let text = crate::prometheus::check_metrics(&served);
    assert!(text.lines().filter(|line| line.starts_with("# TYPE ")).all(|line| line.starts_with("# TYPE steadfast_")));
    assert!(text.contains("# TYPE steadfast_circuit_breaker_calls_total counter"));
    assert!(!text.contains("circuit_breaker_failures_total") && !text.contains("circuit_breaker_rejections_total"));
    assert!(text.contains("steadfast_circuit_breaker_key_rejections_total"), "not a short name");
}

#[test]
fn the_example_configurations_honor_the_labels_of_the_metrics() {
    promtool(&["check", "config", &file("prometheus/scrape.yml")]);
    assert!(fs::read_to_string(file("prometheus/scrape.yml")).unwrap().contains("honor_labels: true"));
    assert!(fs::read_to_string(file("prometheus/servicemonitor.yml")).unwrap().contains("honorLabels: true"));
}
