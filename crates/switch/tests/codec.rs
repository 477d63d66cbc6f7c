//! Which codecs are offered, and that both legs end up with the same.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for the few outputs it is about"
)]

mod harness;

use AudioCodec::{G722, Opus, Pcma, Pcmu};
use harness::{Desk, Scene, party};
use ringtrip_model::*;

fn offered(desk: &Desk) -> Option<(Vec<AudioCodec>, bool)> {
    desk.media_commands().find_map(|c| match c {
        MediaCommand::MakeOffer { audio, video, .. } => Some((audio.clone(), *video)),
        _ => None,
    })
}

fn answered(desk: &Desk) -> Option<NegotiatedMedia> {
    desk.media_commands().find_map(|c| {
        if let MediaCommand::MakeAnswer { media, .. } = c {
            Some(*media)
        } else {
            None
        }
    })
}

#[test]
fn the_callers_order_filtered_by_both_connections() {
    for (offer, caller, callee, expected) in [
        (
            vec![Opus, G722, Pcmu, Pcma],
            vec!["G711A", "OPUS"],
            vec!["OPUS", "G711A", "G722"],
            vec![Opus, Pcma],
        ),
        (
            vec![Pcmu, Opus],
            vec!["OPUS", "G711U"],
            vec!["OPUS", "G711U"],
            vec![Pcmu, Opus],
        ),
        (vec![Opus], vec!["OPUS", "G722"], vec!["OPUS"], vec![Opus]),
    ] {
        let desk = Scene {
            caller: party("alice", 1, &caller),
            callee: party("bob", 1, &callee),
            offered: OfferedMedia {
                audio: offer,
                video: false,
            },
            ..Scene::default()
        }
        .dial();
        assert_eq!(offered(&desk), Some((expected, false)));
    }
}

#[test]
fn without_a_common_codec_nobody_rings() {
    for (offer, caller, callee) in [
        (vec![Opus], vec!["G722"], vec!["OPUS"]),
        (vec![Opus], vec!["OPUS"], vec!["G722"]),
        (vec![Pcmu], vec!["OPUS"], vec!["OPUS"]),
        (vec![], vec!["OPUS"], vec!["OPUS"]),
    ] {
        let desk = Scene {
            caller: party("alice", 1, &caller),
            callee: party("bob", 1, &callee),
            offered: OfferedMedia {
                audio: offer,
                video: false,
            },
            ..Scene::default()
        }
        .dial();
        assert_eq!(offered(&desk), None);
        assert_eq!(
            desk.told(desk.a),
            Some(HangupCause::IncompatibleDestination)
        );
        desk.over();
    }
}

#[test]
fn the_caller_is_answered_with_the_callees_codec() {
    let mut desk = Scene::default().dial();
    desk.picks = Some(G722);
    let b = desk.bridge();
    assert_eq!(
        answered(&desk),
        Some(NegotiatedMedia {
            audio: G722,
            video: None
        })
    );
    desk.hang_up(b);
    for leg in [desk.a, b] {
        assert_eq!(
            (desk.record(leg).audio, desk.record(leg).video),
            (Some(G722), None)
        );
    }
}

#[test]
fn a_codec_that_was_not_offered_is_as_good_as_none() {
    let mut desk = Scene {
        offered: OfferedMedia {
            audio: vec![Opus],
            video: false,
        },
        ..Scene::default()
    }
    .dial();
    desk.picks = Some(Pcma);
    let b = desk.b()[0];
    desk.answer(b);
    assert_eq!(desk.told(b), Some(HangupCause::IncompatibleDestination));
    assert_eq!(
        desk.told(desk.a),
        Some(HangupCause::IncompatibleDestination)
    );
}

#[test]
fn video_needs_both_connections_and_the_offer() {
    let (with, without) = (["OPUS", "VP8"], ["OPUS", "H.264"]);
    for (caller, callee, offer, expected) in [
        (&with, &with, true, true),
        (&with, &with, false, false),
        (&with, &without, true, false),
        (&without, &with, true, false),
    ] {
        let desk = Scene {
            caller: party("alice", 1, caller),
            callee: party("bob", 1, callee),
            offered: OfferedMedia {
                audio: vec![Opus],
                video: offer,
            },
            ..Scene::default()
        }
        .dial();
        assert_eq!(offered(&desk), Some((vec![Opus], expected)));
    }
}

#[test]
fn video_that_the_callee_refuses_is_refused_to_the_caller() {
    for takes_video in [true, false] {
        let mut scene = Scene::default();
        scene.offered.video = true;
        let mut desk = scene.dial();
        desk.takes_video = takes_video;
        let b = desk.bridge();
        let video = takes_video.then_some(VideoCodec::Vp8);
        assert_eq!(
            answered(&desk),
            Some(NegotiatedMedia { audio: Opus, video })
        );
        desk.hang_up(b);
        assert_eq!(desk.record(desk.a).video, video);
    }
}
