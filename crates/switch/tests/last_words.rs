//! A call whose handler unwound is cleaned up from its ledger.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]

mod harness;

use harness::{Desk, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

#[test]
fn a_conversation_leaves_nothing_behind() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.bridge();
    desk.pass(30);
    let last = desk.events().last().unwrap().seq;
    let cause = HangupCause::NormalTemporaryFailure;
    let words = desk.call.last_words(desk.now);
    let count = |wanted: &dyn Fn(&Output) -> bool| words.iter().filter(|word| wanted(word)).count();
    for leg in [desk.a, b[0]] {
        assert_eq!(
            count(&|w| *w == Output::Leg(LegCommand::Hangup { leg, cause })),
            1
        );
        assert_eq!(
            count(&|w| *w == Output::Media(MediaCommand::Close { leg })),
            1
        );
        let record = words.iter().find_map(|w| match w {
            Output::Record(record) if record.leg == leg => Some(record),
            _ => None,
        });
        let record = record.expect("a record");
        assert_eq!((record.cause, record.source), (cause, HangupSource::Server));
        assert_eq!(
            (record.audio, record.quality),
            (Some(AudioCodec::Opus), None)
        );
        assert!(record.answered_at.is_some());
    }
    let seqs: Vec<_> = words
        .iter()
        .filter_map(|w| {
            if let Output::Event(event) = w {
                Some(event.seq)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(seqs, [last + 1, last + 2]);
    assert_eq!(count(&|w| matches!(w, Output::Release { .. })), 1);
    assert_eq!(count(&|w| matches!(w, Output::Forget { .. })), 1);
    assert_eq!(words.len(), 10, "the loser of the race is long gone");
}

#[test]
fn an_event_that_broke_the_call_still_counts() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    // The hang-up was delivered; its consequences were never taken.
    desk.call.handle_leg(
        LegEvent::Hangup {
            leg: b,
            cause: None,
        },
        desk.now,
    );
    let words = desk.call.last_words(desk.now);
    let hung_up: Vec<_> = words
        .iter()
        .filter_map(|w| {
            if let Output::Leg(LegCommand::Hangup { leg, .. }) = w {
                Some(*leg)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(hung_up, [desk.a], "the one that hung up is not told");
    assert_eq!(
        words
            .iter()
            .filter(|w| matches!(w, Output::Record(_)))
            .count(),
        2
    );
}

#[test]
fn what_nobody_heard_of_needs_no_end() {
    let mut desk = Desk::silent(Scene::default());
    desk.serve();
    desk.serve();
    // The permit is granted and a device's leg is made, but nothing of that was taken.
    desk.call.handle_permit(Ok(()), desk.now);
    let words = desk.call.last_words(desk.now);
    let records: Vec<_> = words
        .iter()
        .filter_map(|w| {
            if let Output::Record(r) = w {
                Some(r.leg)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(records, [desk.a]);
    assert!(words.iter().any(|w| matches!(w, Output::Release { .. })));
}

#[test]
fn a_call_that_is_over_has_nothing_to_say() {
    let mut desk = Scene::default().dial();
    desk.hang_up(desk.a);
    assert!(desk.call.last_words(desk.now).is_empty());
}
