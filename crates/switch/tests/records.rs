//! Every leg leaves one record, with what its anchor measured.

mod harness;

use std::time::Duration;

use harness::{QUALITY, STARTED_AT, Scene};
use ringtrip_model::*;
use ringtrip_switch::Output;

#[test]
fn a_record_holds_the_whole_leg() {
    let mut scene = Scene::default();
    scene.callee.user = "bob".to_owned();
    let mut desk = scene.dial();
    let b = desk.b()[0];
    desk.pass(4);
    desk.ring(b);
    desk.answer(b);
    desk.pass(20);
    desk.hang_up(desk.a);
    let at = |secs| STARTED_AT + Duration::from_secs(secs);
    let expected = LegRecord {
        leg: b,
        call: desk.call.id(),
        node: NodeId(3),
        account: desk.scene.callee.account,
        connection: desk.scene.callee.connection,
        credential: desk.scene.callee.credential,
        user: "bob".to_owned(),
        protocol_call_id: b.to_string(),
        direction: Direction::Inbound,
        caller: CallerId {
            name: "Alice".to_owned(),
            number: "+15550100".to_owned(),
        },
        destination: "bob".to_owned(),
        started_at: at(10),
        answered_at: Some(at(14)),
        ended_at: at(34),
        cause: HangupCause::NormalClearing,
        source: HangupSource::Caller,
        audio: Some(AudioCodec::Opus),
        video: None,
        quality: Some(QUALITY),
    };
    assert_eq!(*desk.record(b), expected);
    let a = desk.record(desk.a);
    assert_eq!(
        (a.user.as_str(), a.protocol_call_id.as_str()),
        ("alice", "call-of-a")
    );
    assert_eq!(a.direction, Direction::Outbound);
    assert_eq!(desk.records().count(), 2);
    desk.over();
}

#[test]
fn a_record_waits_for_the_anchor_and_not_for_ever() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    desk.hang_up(b);
    assert_eq!(desk.records().count(), 0);
    desk.media(MediaEvent::Closed {
        leg: desk.a,
        quality: Some(QUALITY),
    });
    assert_eq!(desk.record(desk.a).quality, Some(QUALITY));
    desk.pass(5);
    assert_eq!(desk.record(b).quality, None);
    desk.media(MediaEvent::Closed {
        leg: b,
        quality: Some(QUALITY),
    });
    assert_eq!(
        desk.records().count(),
        2,
        "late numbers make no second record"
    );
    desk.over();
}

#[test]
fn the_snapshot_goes_after_the_last_record() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.auto = false;
    desk.hang_up(b);
    assert!(!desk.log.iter().any(|o| matches!(o, Output::Forget { .. })));
    desk.serve_all();
    assert!(matches!(desk.log.last(), Some(Output::Forget { .. })));
}

#[test]
fn a_call_that_was_not_answered_leaves_no_snapshot() {
    let mut desk = Scene::default().dial();
    desk.hang_up(desk.a);
    assert!(
        !desk
            .log
            .iter()
            .any(|o| matches!(o, Output::Forget { .. } | Output::Persist(_)))
    );
    assert_eq!(desk.record(desk.a).audio, None);
    desk.over();
}
