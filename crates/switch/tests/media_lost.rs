//! Media that stalls, dies, or never comes up.

mod harness;

use harness::Scene;
use ringtrip_model::*;

#[test]
fn a_stall_and_its_end_are_told_once() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    for _ in 0..2 {
        desk.media(MediaEvent::Stalled { leg: b });
    }
    for _ in 0..2 {
        desk.media(MediaEvent::Resumed { leg: b });
    }
    assert_eq!(desk.happened(b, &CallEventKind::MediaStalled), 1);
    assert_eq!(desk.happened(b, &CallEventKind::MediaResumed), 1);
}

#[test]
fn a_minute_of_silence_ends_the_leg_with_102() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.media(MediaEvent::Failed {
        leg: b,
        failure: None,
    });
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::RecoveryOnTimerExpire));
        assert_eq!(desk.end(leg).1, HangupSource::Server);
    }
    desk.over();
}

#[test]
fn a_security_failure_ends_the_leg_at_once_even_while_it_re_attaches() {
    for (failure, cause) in [
        (
            MediaFailure::FingerprintMismatch,
            HangupCause::IncompatibleDestination,
        ),
        (
            MediaFailure::DtlsFailed,
            HangupCause::NormalTemporaryFailure,
        ),
    ] {
        let mut desk = Scene::default().dial();
        let b = desk.bridge();
        desk.leg(LegEvent::Lost { leg: b });
        desk.media(MediaEvent::Failed {
            leg: b,
            failure: Some(failure),
        });
        assert_eq!(desk.told(b), Some(cause));
        assert_eq!(desk.told(desk.a), Some(cause));
        desk.over();
    }
}

#[test]
fn silence_while_the_party_re_attaches_waits_for_the_new_path() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Lost { leg: b });
    desk.media(MediaEvent::Failed {
        leg: b,
        failure: None,
    });
    desk.pass(20);
    desk.leg(LegEvent::Returned { leg: b });
    desk.pass(20);
    desk.leg(LegEvent::AttachAnswered {
        leg: b,
        answer: SdpAnswer("again".to_owned()),
    });
    desk.media(MediaEvent::Connected { leg: b });
    desk.pass(600);
    assert_eq!(desk.told(b), None);

    desk.media(MediaEvent::Failed {
        leg: b,
        failure: None,
    });
    assert_eq!(
        desk.told(b),
        Some(HangupCause::RecoveryOnTimerExpire),
        "the re-attachment is over"
    );
}

#[test]
fn silence_that_a_re_attachment_does_not_cure_ends_the_leg() {
    let mut desk = Scene::default().dial();
    let b = desk.bridge();
    desk.leg(LegEvent::Returned { leg: b });
    desk.media(MediaEvent::Failed {
        leg: b,
        failure: None,
    });
    desk.pass(29);
    assert_eq!(desk.told(b), None);
    desk.pass(1);
    assert_eq!(desk.told(b), Some(HangupCause::RecoveryOnTimerExpire));
    desk.over();
}

#[test]
fn media_that_never_comes_up_ends_the_leg_after_30_seconds() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.answer(b);
    desk.media(MediaEvent::Connected { leg: b });
    desk.pass(29);
    assert_eq!(desk.told(desk.a), None);
    desk.pass(1);
    for leg in [desk.a, b] {
        assert_eq!(desk.told(leg), Some(HangupCause::RecoveryOnTimerExpire));
    }
    desk.over();
}

#[test]
fn media_that_is_up_before_the_answer_is_sent_counts() {
    let mut desk = Scene::default().dial();
    let b = desk.b()[0];
    desk.auto = false;
    desk.answer(b);
    desk.serve();
    desk.media(MediaEvent::Connected { leg: b });
    desk.auto = true;
    desk.drain();
    desk.media(MediaEvent::Connected { leg: desk.a });
    desk.pass(3_600);
    assert_eq!(desk.told(b), None);
}
