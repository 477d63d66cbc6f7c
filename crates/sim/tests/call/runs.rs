//! Random runs: no rule is broken, the same seed gives the same outputs, everything was met.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringtrip_sim::chaos::{Options, Outcome, run};
use ringtrip_sim::report::Report;

use crate::expected::WANTED;

/// Runs without being asked for more.
const RUNS: u64 = 1_000;
/// Runs of `make soak`.
const SOAK_RUNS: u64 = 20_000;
/// Failing seeds that are told; more say nothing new.
const MAX_FAILURES: usize = 10;

fn kept_seeds() -> impl Iterator<Item = u64> {
    let lines = include_str!("seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays a run; a panic of an engine is a mistake like any other.
fn play(seed: u64, options: &Options) -> Result<Outcome, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, options))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })?;
    if outcome.mistakes.is_empty() {
        Ok(outcome)
    } else {
        Err(outcome.mistakes.join("\n    "))
    }
}

#[test]
fn no_rule_is_broken_whatever_happens() {
    if let Some(seed) = number("SIM_SEED") {
        let outcome = run(seed, &Options { keep_trace: true });
        for line in &outcome.lines {
            println!("{line}");
        }
        assert_eq!(outcome.mistakes, Vec::<String>::new());
        return;
    }
    play_all(number("SIM_SEEDS").unwrap_or(RUNS).max(RUNS));
}

#[test]
#[ignore = "takes minutes: make soak"]
fn no_rule_is_broken_in_many_more_runs() {
    play_all(number("SIM_SEEDS").unwrap_or(SOAK_RUNS));
}

#[expect(clippy::print_stdout, reason = "the table is what a run is for")]
fn play_all(runs: u64) {
    let mut report = Report::default();
    let mut failures = Vec::new();
    for seed in kept_seeds().chain(0..runs) {
        match play(seed, &Options::default()) {
            Ok(outcome) => {
                report.merge(&outcome.report);
                let again = play(seed, &Options::default()).map(|again| again.trace);
                if again != Ok(outcome.trace) {
                    failures.push(format!(
                        "seed {seed}: a second run does something else: {again:?}"
                    ));
                }
            }
            Err(mistakes) => failures.push(format!("seed {seed}:\n    {mistakes}")),
        }
        if failures.len() >= MAX_FAILURES {
            break;
        }
    }
    println!("{report}");
    assert!(
        failures.is_empty(),
        "play one again with SIM_SEED, and keep it in seeds.txt:\n{}",
        failures.join("\n")
    );
    let gaps = report.gaps(&WANTED);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}
