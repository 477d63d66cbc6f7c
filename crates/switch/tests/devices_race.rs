//! Several devices ring, and the first usable answer wins.

mod harness;

use harness::Scene;
use ringtrip_model::*;

fn accepted(desk: &harness::Desk) -> Vec<LegId> {
    desk.commands()
        .filter_map(|c| {
            if let LegCommand::Accepted { leg } = c {
                Some(*leg)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn the_others_lose_the_race() {
    let mut desk = Scene::devices(3).dial();
    let b = desk.b();
    for &leg in &b {
        desk.ring(leg);
    }
    assert_eq!(
        desk.commands()
            .filter(|c| matches!(c, LegCommand::Ringing { .. }))
            .count(),
        1,
        "one ringing for all"
    );
    desk.answer(b[1]);
    assert_eq!(accepted(&desk), [b[1]]);
    for loser in [b[0], b[2]] {
        assert_eq!(desk.told(loser), Some(HangupCause::LoseRace));
        assert_eq!(
            desk.end(loser),
            (HangupCause::LoseRace, HangupSource::Callee)
        );
        assert!(desk.record(loser).answered_at.is_none());
    }
    assert_eq!(desk.told(desk.a), None);
    desk.hang_up(desk.a);
    desk.over();
}

#[test]
fn the_others_ring_until_the_caller_has_its_answer() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer(b[0]);
    desk.serve();
    desk.serve();
    assert_eq!(desk.told(b[1]), None);
    desk.serve(); // written down
    assert_eq!(desk.told(b[1]), Some(HangupCause::LoseRace));
}

#[test]
fn a_second_answer_waits_and_loses() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer(b[0]);
    desk.answer(b[1]);
    assert_eq!(desk.owed.len(), 1, "one answer is tried at a time");
    desk.auto = true;
    desk.drain();
    assert_eq!(accepted(&desk), [b[0]]);
    assert_eq!(desk.told(b[1]), Some(HangupCause::LoseRace));
}

#[test]
fn a_second_answer_takes_over_when_the_first_cannot_be_used() {
    let mut desk = Scene::devices(3).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer_with(b[0], "unusable");
    desk.answer(b[1]);
    desk.auto = true;
    desk.drain();
    assert_eq!(desk.told(b[0]), Some(HangupCause::IncompatibleDestination));
    assert_eq!(accepted(&desk), [b[1]]);
    assert_eq!(desk.told(b[2]), Some(HangupCause::LoseRace));
}

#[test]
fn a_second_answer_takes_over_when_the_first_hangs_up() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer(b[0]);
    desk.answer(b[1]);
    desk.hang_up(b[0]);
    desk.auto = true;
    desk.drain();
    assert_eq!(accepted(&desk), [b[1]]);
    assert_eq!(
        desk.end(b[0]),
        (HangupCause::UserBusy, HangupSource::Callee)
    );
}

#[test]
fn an_answer_that_waits_may_be_withdrawn() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer_with(b[0], "unusable");
    desk.answer(b[1]);
    desk.hang_up(b[1]);
    desk.auto = true;
    desk.drain();
    assert!(accepted(&desk).is_empty());
    assert_eq!(
        desk.told(desk.a),
        Some(HangupCause::UserBusy),
        "one of them declined"
    );
    desk.over();
}

#[test]
fn a_device_that_answers_while_the_caller_is_connected_loses() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer(b[0]);
    desk.serve(); // applied: the race is decided
    desk.answer(b[1]);
    desk.auto = true;
    desk.drain();
    assert_eq!(accepted(&desk), [b[0]]);
    assert_eq!(desk.told(b[1]), Some(HangupCause::LoseRace));
}

#[test]
fn a_winner_that_leaves_before_the_caller_heard_ends_the_call() {
    let mut desk = Scene::devices(2).dial();
    let b = desk.b();
    desk.auto = false;
    desk.answer(b[0]);
    desk.serve();
    desk.hang_up(b[0]);
    assert_eq!(desk.told(desk.a), Some(HangupCause::UserBusy));
    assert_eq!(desk.told(b[1]), Some(HangupCause::LoseRace));
    desk.serve_all();
    desk.over();
}

#[test]
fn a_device_may_answer_without_ringing() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.answer(b);
    assert_eq!(accepted(&desk), [b]);
    assert!(
        !desk
            .commands()
            .any(|c| matches!(c, LegCommand::Ringing { .. }))
    );
}
