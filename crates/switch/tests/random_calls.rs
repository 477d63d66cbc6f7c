//! Random lives of calls, honest and hostile, under the eyes of an audit.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]

use proptest::prelude::*;
use ringtrip_switch::fuzz::{fuzz_call, fuzz_destination, play};
use ringtrip_switch::{Output, parse_destination};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(&folder).expect("the corpus is part of the repository");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} holds nothing");
    files
        .into_iter()
        .map(|file| std::fs::read(file).expect("a readable file"))
        .collect()
}

/// How many random calls to play; `RINGTRIP_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("RINGTRIP_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000)
}

#[test]
fn the_corpus_is_replayed() {
    corpus("switch_call")
        .iter()
        .for_each(|bytes| fuzz_call(bytes));
    corpus("switch_destination")
        .iter()
        .for_each(|bytes| fuzz_destination(bytes));
}

/// A stream of well distributed bytes.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn random_scripts_reach_every_part_of_a_call() {
    let mut reached = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..seeds() {
        for output in play(&noise(seed, 400)) {
            let name = match output {
                Output::Leg(command) => match command {
                    ringtrip_model::LegCommand::Offer { .. } => "offer",
                    ringtrip_model::LegCommand::Ringing { .. } => "ringing",
                    ringtrip_model::LegCommand::Answer { .. } => "answer",
                    ringtrip_model::LegCommand::Accepted { .. } => "accepted",
                    ringtrip_model::LegCommand::Held { .. } => "held",
                    ringtrip_model::LegCommand::Updated { .. } => "updated",
                    ringtrip_model::LegCommand::UpdateRefused { .. } => "update refused",
                    ringtrip_model::LegCommand::Attach { .. } => "attach",
                    ringtrip_model::LegCommand::Attached { .. } => "attached",
                    ringtrip_model::LegCommand::Dtmf { .. } => "dtmf",
                    ringtrip_model::LegCommand::Hangup { cause, .. } => cause.name(),
                },
                Output::Event(event) => match event.kind {
                    ringtrip_model::CallEventKind::Attached => "attached event",
                    ringtrip_model::CallEventKind::MediaResumed => "resumed",
                    _ => continue,
                },
                Output::Release { .. } => "release",
                Output::Forget { .. } => "forget",
                _ => continue,
            };
            *reached.entry(name).or_default() += 1;
        }
    }
    for name in [
        "offer",
        "ringing",
        "answer",
        "accepted",
        "held",
        "updated",
        "update refused",
        "attach",
        "attached",
        "attached event",
        "resumed",
        "dtmf",
        "release",
        "forget",
        "NORMAL_CLEARING",
        "USER_BUSY",
        "LOSE_RACE",
        "ORIGINATOR_CANCEL",
        "NO_ANSWER",
        "NO_USER_RESPONSE",
        "RECOVERY_ON_TIMER_EXPIRE",
        "CALL_REJECTED",
        "INCOMPATIBLE_DESTINATION",
        "SUBSCRIBER_ABSENT",
        "UNALLOCATED_NUMBER",
        "NORMAL_TEMPORARY_FAILURE",
        "SWITCH_CONGESTION",
        "BEARERCAPABILITY_NOTAUTH",
        "NO_ROUTE_DESTINATION",
    ] {
        assert!(
            reached.contains_key(name),
            "{name} was never reached: {reached:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_script_keeps_the_rules_and_repeats_itself(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(play(&bytes), play(&bytes));
    }

    #[test]
    fn any_destination_is_read_or_refused(text in "(sips?:|tel:)?[+]?[a-z0-9%;:@.\\[\\]-]{0,40}", other in any::<Vec<u8>>()) {
        fuzz_destination(text.as_bytes());
        fuzz_destination(&other);
    }

    #[test]
    fn users_of_ours_are_found_in_every_spelling(user in "[a-z][a-zA-Z0-9]{3,40}", port in 1u16..) {
        let domains = ["sip.example.net".to_owned()];
        let plain = parse_destination(&user, &domains);
        prop_assert_eq!(&parse_destination(&format!("sip:{user}@SIP.example.net:{port}"), &domains), &plain);
        prop_assert_eq!(parse_destination(&format!("{user}@sip.example.net;x=1"), &domains), plain);
    }
}
