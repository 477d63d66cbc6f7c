//! Keys, out of band and in it.

mod harness;

use harness::Scene;
use ringtrip_model::*;
use ringtrip_switch::Output;

fn keys(text: &str) -> Vec<Digit> {
    text.chars()
        .map(|key| Digit::from_char(key).expect("a key"))
        .collect()
}

#[test]
fn each_key_goes_once_as_tone_and_once_as_message() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    for (from, to) in [(desk.a, b), (b, desk.a)] {
        desk.leg(LegEvent::Dtmf {
            leg: from,
            digits: keys("5#"),
        });
        let effects: Vec<_> = desk
            .fresh()
            .into_iter()
            .filter(|o| !matches!(o, Output::Event(_)))
            .collect();
        let expected: Vec<_> = keys("5#")
            .into_iter()
            .flat_map(|digit| {
                [
                    Output::Media(MediaCommand::SendDigit { leg: to, digit }),
                    Output::Leg(LegCommand::Dtmf { leg: to, digit }),
                ]
            })
            .collect();
        assert_eq!(effects, expected);
        assert_eq!(
            desk.happened(
                from,
                &CallEventKind::Dtmf {
                    digit: keys("5")[0]
                }
            ),
            1
        );
        assert_eq!(
            desk.happened(
                from,
                &CallEventKind::Dtmf {
                    digit: keys("#")[0]
                }
            ),
            1
        );
    }
}

#[test]
fn keys_before_answer_reach_nobody() {
    let mut desk = Scene::default().dial();
    desk.ring(desk.b()[0]);
    desk.fresh();
    desk.leg(LegEvent::Dtmf {
        leg: desk.a,
        digits: keys("1"),
    });
    assert_eq!(desk.fresh(), []);
}

#[test]
fn a_flood_in_one_event_is_cut_at_32() {
    let mut desk = Scene::default().dial();
    desk.bridge();
    desk.leg(LegEvent::Dtmf {
        leg: desk.a,
        digits: keys(&"1".repeat(500)),
    });
    assert_eq!(
        desk.media_commands()
            .filter(|c| matches!(c, MediaCommand::SendDigit { .. }))
            .count(),
        32
    );
}

#[test]
fn a_key_heard_in_the_media_is_told_but_not_sent_again() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    let digit = keys("*")[0];
    desk.media(MediaEvent::Digit { leg: b, digit });
    assert_eq!(
        desk.fresh_commands(),
        [LegCommand::Dtmf { leg: desk.a, digit }]
    );
    assert!(
        !desk
            .media_commands()
            .any(|c| matches!(c, MediaCommand::SendDigit { .. }))
    );
    assert_eq!(desk.happened(b, &CallEventKind::Dtmf { digit }), 1);
}
