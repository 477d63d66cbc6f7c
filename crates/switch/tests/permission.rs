//! Who may call whom, and whether there is room.

mod harness;

use harness::{Desk, Scene, party, session};
use ringtrip_model::*;
use ringtrip_switch::Output;

const CODECS: [&str; 1] = ["OPUS"];

#[test]
fn strangers_need_an_unrestricted_connection() {
    for (preference, rings) in [
        (CallingPreference::Disabled, false),
        (CallingPreference::Internal, false),
        (CallingPreference::Unrestricted, true),
    ] {
        let desk = Scene {
            callee: party("bob", 2, &CODECS),
            preference,
            ..Scene::default()
        }
        .dial();
        assert_eq!(desk.b().len(), usize::from(rings), "{preference:?}");
        assert_eq!(
            desk.told(desk.a),
            (!rings).then_some(HangupCause::CallRejected),
            "{preference:?}"
        );
    }
}

#[test]
fn the_same_account_is_always_let_in() {
    for preference in [
        CallingPreference::Disabled,
        CallingPreference::Internal,
        CallingPreference::Unrestricted,
    ] {
        let desk = Scene {
            preference,
            ..Scene::default()
        }
        .dial();
        assert_eq!(desk.b().len(), 1, "{preference:?}");
    }
}

#[test]
fn a_disabled_callee_is_not_called() {
    let desk = Scene {
        enabled: false,
        ..Scene::default()
    }
    .dial();
    assert_eq!(
        desk.told(desk.a),
        Some(HangupCause::BearerCapabilityNotAuth)
    );
    desk.over();
}

#[test]
fn a_stranger_learns_nothing_but_the_rejection() {
    let desk = Scene {
        callee: party("bob", 2, &["G729"]),
        enabled: false,
        devices: Vec::new(),
        ..Scene::default()
    }
    .dial();
    assert_eq!(desk.told(desk.a), Some(HangupCause::CallRejected));
}

#[test]
fn the_calling_device_does_not_ring_but_its_siblings_do() {
    let devices = vec![session(0), session(1), session(1), session(2)];
    let desk = Scene {
        destination: "alice".to_owned(),
        devices,
        ..Scene::default()
    }
    .dial();
    let rung: Vec<_> = desk
        .commands()
        .filter_map(|c| {
            if let LegCommand::Offer { session, .. } = c {
                Some(*session)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(rung, [session(1), session(2)]);

    let alone = Scene {
        devices: vec![session(0)],
        ..Scene::default()
    }
    .dial();
    assert_eq!(alone.told(alone.a), Some(HangupCause::SubscriberAbsent));
}

#[test]
fn at_most_32_devices_ring() {
    let desk = Scene::devices(60).dial();
    assert_eq!(desk.b().len(), 32);
}

#[test]
fn the_permit_counts_both_connections() {
    let desk = Scene {
        callee: party("bob", 2, &CODECS),
        preference: CallingPreference::Unrestricted,
        ..Scene::default()
    }
    .dial();
    let request = desk.log.iter().find_map(|o| {
        if let Output::NeedPermit(r) = o {
            Some(r.clone())
        } else {
            None
        }
    });
    let expected = PermitRequest {
        call: desk.call.id(),
        account: desk.scene.caller.account,
        from: desk.scene.caller.connection,
        to: desk.scene.callee.connection,
    };
    assert_eq!(request, Some(expected));
}

#[test]
fn a_limit_refuses_with_its_cause_and_nothing_to_give_back() {
    for (refusal, cause) in [
        (
            PermitRefusal::Outbound,
            HangupCause::BearerCapabilityNotAuth,
        ),
        (PermitRefusal::Inbound, HangupCause::UserBusy),
        (PermitRefusal::Node, HangupCause::SwitchCongestion),
    ] {
        let desk = Scene {
            permit: Err(refusal),
            ..Scene::default()
        }
        .dial();
        assert_eq!(desk.told(desk.a), Some(cause));
        assert!(
            !desk
                .log
                .iter()
                .any(|output| matches!(output, Output::Release { .. }))
        );
        desk.over();
    }
}

#[test]
fn a_permit_granted_to_an_ended_call_is_given_back() {
    let mut desk = Desk::silent(Scene::default());
    desk.serve();
    desk.serve();
    desk.hang_up(desk.a);
    assert!(!desk.call.is_over());
    desk.serve(); // the permit is granted
    assert!(
        desk.log
            .iter()
            .any(|output| matches!(output, Output::Release { .. }))
    );
    desk.serve_all();
    desk.over();
}

#[test]
fn a_permit_that_is_never_answered_is_given_back_in_the_end() {
    let mut desk = Desk::silent(Scene::default());
    desk.serve();
    desk.serve();
    desk.pass(5);
    assert_eq!(desk.told(desk.a), Some(HangupCause::NormalTemporaryFailure));
    assert!(
        desk.log
            .iter()
            .any(|output| matches!(output, Output::Release { .. }))
    );
    desk.pass(5);
    desk.over();
}
