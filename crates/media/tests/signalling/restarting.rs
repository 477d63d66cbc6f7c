//! ICE restarts: same association, same codecs, new credentials.

use ringtrip_media::sdp::{Section, Setup};
use ringtrip_model::{AudioCodec, MediaCommand};

use crate::support::{Desk, OPUS, OPUS_VP8, fixture, leg, parsed, small_answer, small_offer};

fn our(desk: &Desk) -> Section {
    parsed(&desk.sdp).sections.remove(0)
}

fn renewed() -> String {
    small_offer()
        .replace("a=ice-ufrag:abcd", "a=ice-ufrag:efgh")
        .replace(
            "a=ice-pwd:abcdefghijklmnopqrstuv",
            "a=ice-pwd:vutsrqponmlkjihgfedcba",
        )
}

#[test]
fn chromium_restarts_a_session_that_it_offered() {
    for (before, after, media) in [
        (
            "chromium_restart_audio_before",
            "chromium_restart_audio_after",
            OPUS,
        ),
        (
            "chromium_restart_audio_video_before",
            "chromium_restart_audio_video_after",
            OPUS_VP8,
        ),
    ] {
        let mut desk = Desk::new(1, 4);
        desk.read('a', &fixture(before));
        desk.answer('a', media);
        let first = parsed(&desk.sdp);
        let after = fixture(after);
        let ufrag = parsed(&after).sections[0].ufrag.clone().unwrap();
        let lines = desk.restart('a', &after);
        assert_eq!(
            lines,
            [
                format!("0> restart 0.0 {ufrag}"),
                "a: restart answer".to_owned()
            ]
        );
        let second = parsed(&desk.sdp);
        assert_eq!(
            (second.session_id, second.version),
            (first.session_id, first.version + 1)
        );
        for (first, second) in first.sections.iter().zip(&second.sections) {
            assert_ne!((&first.ufrag, &first.pwd), (&second.ufrag, &second.pwd));
            assert_eq!(
                first.ufrag.as_ref().map(|u| &u[..4]),
                second.ufrag.as_ref().map(|u| &u[..4])
            );
            assert_eq!(
                (&first.formats, &first.setup),
                (&second.formats, &second.setup)
            );
            assert_eq!((&first.ssrcs, &first.msid), (&second.ssrcs, &second.msid));
            assert_eq!(first.fingerprints, second.fingerprints);
        }
    }
}

#[test]
fn chromium_restarts_a_session_that_we_offered() {
    let mut desk = Desk::new(1, 4);
    desk.command(MediaCommand::MakeOffer {
        leg: leg('b'),
        like: leg('a'),
        audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
        video: true,
    });
    let answer = fixture("chromium_answer_audio_video");
    desk.apply('b', &answer);
    let after = fixture("chromium_restart_answerer_after");
    assert_eq!(
        desk.restart('b', &after).last().unwrap(),
        "b: restart answer"
    );
    let again = parsed(&desk.sdp);
    assert_eq!(again.sections[0].formats, ["111", "110"]);
    assert_eq!(again.sections[0].setup, Some(Setup::Passive));
    assert!(!again.sections[1].is_refused());
}

#[test]
fn each_restart_brings_new_credentials_and_a_repeated_offer_none() {
    let mut desk = Desk::new(1, 4);
    desk.call();
    let mut seen = vec![our(&desk).ufrag];
    assert_eq!(
        desk.restart('a', &renewed()),
        ["0> restart 1.0 efgh", "a: restart answer"]
    );
    seen.push(our(&desk).ufrag);
    assert_eq!(desk.restart('a', &renewed()), ["a: restart answer"]);
    assert_eq!(our(&desk).ufrag, seen[1]);
    assert_eq!(
        desk.restart('a', &small_offer()),
        ["0> restart 1.0 abcd", "a: restart answer"]
    );
    seen.push(our(&desk).ufrag);
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn what_a_restart_may_not_change() {
    let mut desk = Desk::new(1, 4);
    desk.call();
    for text in [
        String::new(),
        renewed().replace("CD:CD", "CE:CD"),
        renewed().replace("SAVPF 111 0", "SAVPF 0"),
        renewed().replace("111", "112"),
        renewed().replace("a=setup:actpass", "a=setup:passive"),
        renewed().replace("m=audio 9", "m=audio 0"),
    ] {
        assert_eq!(desk.restart('a', &text), ["a: restart refused"], "{text}");
    }
    assert_eq!(desk.restart('a', &renewed()).len(), 2);
}

#[test]
fn a_dtls_client_stays_client() {
    let mut desk = Desk::new(1, 4);
    desk.offer('b', 'a');
    desk.apply(
        'b',
        &small_answer().replace("a=setup:active", "a=setup:passive"),
    );
    desk.restart('b', &renewed());
    assert_eq!(our(&desk).setup, Some(Setup::Active));
    assert_eq!(
        desk.restart('b', &renewed().replace("actpass", "active")),
        ["b: restart refused"]
    );
}

#[test]
fn video_that_rests_keeps_its_section_and_new_video_is_refused() {
    let before = fixture("chromium_restart_audio_video_before");
    let after = fixture("chromium_restart_audio_video_after");
    let (head, video) = after.split_once("m=video").unwrap();
    let resting = format!("{head}m=video{}", video.replace("a=sendrecv", "a=inactive"));
    let mut desk = Desk::new(1, 4);
    desk.read('a', &before);
    desk.answer('a', OPUS_VP8);
    desk.restart('a', &resting);
    assert!(!parsed(&desk.sdp).sections[1].is_refused());

    desk.read('c', &before);
    desk.answer('c', OPUS);
    assert_eq!(
        desk.restart('c', &after).last().unwrap(),
        "c: restart answer"
    );
    assert!(parsed(&desk.sdp).sections[1].is_refused());
}

#[test]
fn nothing_to_restart() {
    let mut desk = Desk::new(1, 4);
    assert_eq!(desk.restart('a', &renewed()), ["a: restart refused"]);
    desk.read('a', &small_offer());
    assert_eq!(desk.restart('a', &renewed()), ["a: restart refused"]);
    desk.offer('b', 'a');
    assert_eq!(desk.restart('b', &renewed()), ["b: restart refused"]);
}
