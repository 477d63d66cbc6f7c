//! A call is placed, rings, is answered, and both talk.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]

mod harness;

use harness::{Desk, Scene, session};
use ringtrip_model::*;
use ringtrip_switch::Output;

#[test]
fn a_call_goes_from_offer_to_bridge_in_this_order() {
    let mut desk = Scene::default().dial();
    let (a, b) = (desk.a, desk.b()[0]);
    desk.ring(b);
    desk.answer(b);
    let steps: Vec<_> = desk
        .log
        .iter()
        .filter_map(|output| {
            Some(match output {
                Output::Media(MediaCommand::ReadOffer { leg, .. }) => ("read", *leg),
                Output::NeedRoute(_) => ("route", a),
                Output::NeedPermit(_) => ("permit", a),
                Output::Media(MediaCommand::MakeOffer { leg, like, .. }) => {
                    assert_eq!(*like, a);
                    ("make offer", *leg)
                }
                Output::Leg(LegCommand::Offer { leg, .. }) => ("offer", *leg),
                Output::Leg(LegCommand::Ringing { leg, .. }) => ("ringing", *leg),
                Output::Media(MediaCommand::ApplyAnswer { leg, .. }) => ("apply", *leg),
                Output::Media(MediaCommand::MakeAnswer { leg, .. }) => ("make answer", *leg),
                Output::Persist(_) => ("persist", a),
                Output::Leg(LegCommand::Answer { leg, .. }) => ("answer", *leg),
                Output::Leg(LegCommand::Accepted { leg }) => ("accepted", *leg),
                Output::Media(MediaCommand::Bridge { a, b: with }) => {
                    assert_eq!(*with, b);
                    ("bridge", *a)
                }
                Output::Event(_) => return None,
                other => panic!("{other:?}"),
            })
        })
        .collect();
    let expected = [
        ("read", a),
        ("route", a),
        ("permit", a),
        ("make offer", b),
        ("offer", b),
        ("ringing", a),
        ("apply", b),
        ("make answer", a),
        ("persist", a),
        ("answer", a),
        ("accepted", b),
        ("bridge", a),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn the_history_tells_every_step() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.pass(60);
    desk.hang_up(b);
    let a = desk.a;
    let history: Vec<_> = desk
        .events()
        .map(|event| (event.leg.unwrap(), event.kind.clone()))
        .collect();
    let initiated = |direction| {
        CallEventKind::Initiated(Box::new(Initiation {
            account: desk.scene.caller.account,
            connection: desk.scene.caller.connection,
            direction,
            caller: CallerId {
                name: "Alice".to_owned(),
                number: "+15550100".to_owned(),
            },
            to: "bob".to_owned(),
            offered: Some(OfferedMedia {
                audio: AudioCodec::ALL.to_vec(),
                video: false,
            }),
            custom_headers: Vec::new(),
            client_state: None,
        }))
    };
    let hangup = CallEventKind::Hangup {
        cause: HangupCause::NormalClearing,
        source: HangupSource::Callee,
    };
    let expected = [
        (a, initiated(Direction::Outbound)),
        (b, initiated(Direction::Inbound)),
        (b, CallEventKind::Ringing),
        (a, CallEventKind::Answered),
        (b, CallEventKind::Answered),
        (a, CallEventKind::Bridged { with: b }),
        (b, CallEventKind::Bridged { with: a }),
        (a, CallEventKind::MediaConnected),
        (b, CallEventKind::MediaConnected),
        (b, hangup.clone()),
        (a, hangup),
    ];
    assert_eq!(history, expected);
    assert!(
        desk.events()
            .zip(1..)
            .all(|(event, seq)| event.seq == seq && event.call == desk.call.id())
    );
    desk.over();
}

#[test]
fn each_side_is_shown_the_other_and_headers_travel_both_ways() {
    let header = CustomHeader {
        name: "X-Order".to_owned(),
        value: "17".to_owned(),
    };
    let mut desk = Scene {
        headers: vec![header.clone()],
        client_state: Some("c3RhdGU=".to_owned()),
        destination: "sip:bob@sip.telnyx.com".to_owned(),
        ..Scene::default()
    }
    .dial();
    desk.bridge();
    let (alice, bob) = (
        CallerId {
            name: "Alice".to_owned(),
            number: "+15550100".to_owned(),
        },
        CallerId {
            name: "Outbound Call".to_owned(),
            number: "bob".to_owned(),
        },
    );
    let mut seen = 0;
    for command in desk.commands() {
        match command {
            LegCommand::Offer {
                session: to,
                caller,
                callee,
                custom_headers,
                client_state,
                call,
                ..
            } => {
                assert_eq!((to, *call), (&session(1), desk.call.id()));
                assert_eq!((caller, callee), (&alice, &bob));
                assert_eq!(custom_headers, std::slice::from_ref(&header));
                assert_eq!(client_state.as_deref(), Some("c3RhdGU="));
                seen += 1;
            }
            LegCommand::Ringing { caller, callee, .. } => {
                assert_eq!((caller, callee), (&alice, &bob));
                seen += 1;
            }
            LegCommand::Answer {
                custom_headers,
                answer,
                ..
            } => {
                assert_eq!(custom_headers[0].name, "X-From-Callee");
                assert_eq!(answer.0, "answer for a");
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_caller_without_a_name_is_shown_by_user_name() {
    let desk = Scene {
        shown: CallerId::default(),
        ..Scene::default()
    }
    .dial();
    let shown = desk.commands().find_map(|c| match c {
        LegCommand::Offer { caller, .. } => Some(caller.clone()),
        _ => None,
    });
    assert_eq!(
        shown,
        Some(CallerId {
            name: "alice".to_owned(),
            number: "alice".to_owned()
        })
    );
}

#[test]
fn the_answer_waits_until_the_call_is_written_down() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.ring(b);
    desk.auto = false;
    desk.answer(b);
    desk.serve(); // the answer is applied
    desk.serve(); // the caller's answer is made
    let Some(Output::Persist(snapshot)) = desk.owed.front().cloned() else {
        panic!("the call is written down first: {:?}", desk.owed);
    };
    assert_eq!((snapshot.node, snapshot.epoch), (NodeId(3), 1));
    let legs: Vec<_> = snapshot
        .legs
        .iter()
        .map(|leg| (leg.leg, leg.direction, leg.audio))
        .collect();
    let opus = Some(AudioCodec::Opus);
    assert_eq!(
        legs,
        [
            (desk.a, Direction::Outbound, opus),
            (b, Direction::Inbound, opus)
        ]
    );
    assert_eq!(snapshot.legs[0].protocol_call_id, "call-of-a");
    assert!(
        !desk
            .commands()
            .any(|c| matches!(c, LegCommand::Answer { .. } | LegCommand::Accepted { .. }))
    );
    desk.serve();
    assert!(
        desk.commands()
            .any(|c| *c == LegCommand::Accepted { leg: b })
    );
}

#[test]
fn a_snapshot_that_is_never_written_fails_the_call() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.auto = false;
    desk.answer(b);
    desk.serve();
    desk.serve();
    desk.pass(5);
    desk.auto = true;
    desk.owed.clear();
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::NormalTemporaryFailure));
        desk.media(MediaEvent::Closed { leg, quality: None });
    }
    desk.over();
}

#[test]
fn a_device_that_repeats_its_answer_gets_a_reply_to_each() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.auto = false;
    desk.answer(b);
    desk.answer(b);
    desk.auto = true;
    desk.drain();
    assert_eq!(
        desk.commands()
            .filter(|c| **c == LegCommand::Accepted { leg: b })
            .count(),
        2
    );
    desk.answer(b);
    assert_eq!(
        desk.commands()
            .filter(|c| **c == LegCommand::Accepted { leg: b })
            .count(),
        3
    );
}

#[test]
fn either_side_ends_an_answered_call_with_normal_clearing() {
    for caller_ends in [true, false] {
        let mut desk = Scene::default().dial();
        let b = desk.bridge();
        let (who, other) = if caller_ends {
            (desk.a, b)
        } else {
            (b, desk.a)
        };
        desk.hang_up(who);
        let source = if caller_ends {
            HangupSource::Caller
        } else {
            HangupSource::Callee
        };
        assert_eq!(desk.told(who), None, "it hung up itself");
        assert_eq!(desk.told(other), Some(HangupCause::NormalClearing));
        for leg in [who, other] {
            assert_eq!(desk.end(leg), (HangupCause::NormalClearing, source));
        }
        desk.over();
    }
}

#[test]
fn a_call_ends_after_four_hours() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.pass(14_399);
    assert_eq!(desk.told(b), None);
    desk.pass(1);
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::NormalClearing));
        assert_eq!(desk.end(leg).1, HangupSource::Server);
    }
    desk.over();
}

#[test]
fn only_an_incoming_leg_begins_a_call() {
    let desk = Desk::silent(Scene::default());
    let settings = std::sync::Arc::new(desk.scene.settings);
    let event = LegEvent::Ringing { leg: desk.a };
    assert!(
        ringtrip_switch::Call::incoming(event, &settings, harness::rng(1), Time::ZERO).is_err()
    );
}
