//! Our offers, and what becomes of the answers.

use ringtrip_media::negotiate::MadeOffer;
use ringtrip_media::plan::{DtlsRole, TelephoneEvents};
use ringtrip_media::sdp::{AUDIO_LEVEL_URI, Setup};
use ringtrip_model::AudioCodec::{self, G722, Opus, Pcma, Pcmu};
use ringtrip_model::{MediaFailure, NegotiatedMedia, SdpAnswer, VideoCodec};

use crate::support::{Desk, fixture, local, parsed, small_answer};

#[test]
fn codecs_in_the_order_given_with_events_for_each_clock() {
    for (codecs, formats) in [
        (
            &[Opus, G722, Pcmu, Pcma][..],
            &["111", "9", "0", "8", "110", "126"][..],
        ),
        (&[Pcmu, Opus], &["0", "111", "126", "110"]),
        (&[Pcma, Pcma], &["8", "126"]),
        (&[Opus], &["111", "110"]),
    ] {
        let offer = parsed(&MadeOffer::new(codecs, false).write(&local()).0);
        assert_eq!(offer.sections[0].formats, formats);
        assert_eq!(offer.bundle, ["0"]);
    }
}

#[test]
fn our_offer_is_complete() {
    let local = local();
    let offer = parsed(&MadeOffer::new(&[Opus], true).write(&local).0);
    assert!(offer.ice_lite);
    assert_eq!(offer.bundle, ["0", "1"]);
    let [audio, video] = &offer.sections[..] else {
        panic!("two sections")
    };
    for (section, mid) in [(audio, "0"), (video, "1")] {
        assert_eq!(section.mid.as_deref(), Some(mid));
        assert_eq!(section.setup, Some(Setup::ActPass));
        assert_eq!(section.protocol, "UDP/TLS/RTP/SAVPF");
        assert!(section.rtcp_mux && section.rtcp_rsize && section.direction.sends());
        assert_eq!(section.ufrag.as_ref(), Some(&local.ice.ufrag));
        assert_eq!(section.fingerprints, [local.fingerprint]);
    }
    assert_eq!(audio.extensions[0].uri, AUDIO_LEVEL_URI);
    assert_eq!((audio.candidates.len(), audio.end_of_candidates), (2, true));
    assert_eq!(
        (video.candidates.len(), video.formats.as_slice()),
        (0, &["96".to_owned()][..])
    );
    assert_eq!(
        audio.msid.as_ref().map(|m| &m.0),
        video.msid.as_ref().map(|m| &m.0)
    );
}

fn apply(
    codecs: &[AudioCodec],
    video: bool,
    answer: &str,
) -> Result<NegotiatedMedia, MediaFailure> {
    let offer = MadeOffer::new(codecs, video);
    let plan = offer.apply(&SdpAnswer(answer.to_owned()), &local());
    plan.map(|plan| plan.media())
        .map_err(|error| error.failure())
}

#[test]
fn chromium_answers() {
    for (codecs, video, name, audio, expects_video) in [
        (
            &[Opus, G722, Pcmu, Pcma][..],
            false,
            "all_audio",
            Opus,
            false,
        ),
        (&[Pcmu, Opus], false, "pcmu_first", Pcmu, false),
        (&[Opus, Pcmu], true, "audio_video", Opus, true),
        (&[Opus], true, "audio_video_no_camera", Opus, true),
        (&[Opus], true, "audio_video_video_stopped", Opus, false),
    ] {
        let answer = fixture(&format!("chromium_answer_{name}"));
        let expected = NegotiatedMedia {
            audio,
            video: expects_video.then_some(VideoCodec::Vp8),
        };
        assert_eq!(apply(codecs, video, &answer), Ok(expected), "{name}");
    }
}

#[test]
fn the_plan_of_a_chromium_answer() {
    let offer = MadeOffer::new(&[Opus, Pcmu], true);
    let plan = offer
        .apply(&SdpAnswer(fixture("chromium_answer_audio_video")), &local())
        .unwrap();
    assert_eq!(
        (plan.role, plan.audio.payload_type),
        (DtlsRole::Server, 111)
    );
    let events = TelephoneEvents {
        payload_type: 110,
        clock_rate_hz: 48_000,
    };
    assert_eq!(
        (plan.audio.events, plan.audio.level_extension),
        (Some(events), Some(1))
    );
    let video = plan.video.unwrap();
    assert!(video.payload_type == 96 && video.pli && video.nack);
    assert_eq!(
        (plan.audio.local_ssrc, video.local_ssrc),
        (local().audio_ssrc, local().video_ssrc)
    );
}

#[test]
fn the_first_offered_codec_of_the_answer_wins() {
    let answer = small_answer().replace("SAVPF 111 110", "SAVPF 8 0 111 110 126");
    assert_eq!(
        apply(&[Opus, Pcmu], false, &answer).map(|m| m.audio),
        Ok(Pcmu)
    );
    let offer = MadeOffer::new(&[Opus, Pcmu], false);
    let plan = offer.apply(&SdpAnswer(answer), &local()).unwrap();
    let events = TelephoneEvents {
        payload_type: 126,
        clock_rate_hz: 8_000,
    };
    assert_eq!(plan.audio.events, Some(events));
}

#[test]
fn answers_without_a_common_codec() {
    let no_codec = Err(MediaFailure::NoCommonCodec);
    assert_eq!(apply(&[Pcmu], false, &small_answer()), no_codec);
    assert_eq!(
        apply(
            &[Opus],
            false,
            &small_answer().replace("m=audio 9", "m=audio 0")
        ),
        no_codec
    );
    assert_eq!(
        apply(&[Opus], false, &small_answer().replace("111", "109")),
        no_codec
    );
    assert_eq!(
        apply(&[Opus], false, &small_answer().replace("opus", "red")),
        no_codec
    );
}

#[test]
fn answers_that_do_not_fit() {
    let bad = Err(MediaFailure::BadDescription);
    let answer = small_answer();
    for text in [
        String::new(),
        answer.replace("a=mid:0", "a=mid:9"),
        answer.replace("m=audio", "m=video"),
        answer.clone() + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n",
        answer.replace("a=rtcp-mux\r\n", ""),
        answer.replace("a=setup:active", "a=setup:holdconn"),
        answer.replace("a=ice-pwd:abcdefghijklmnopqrstuv\r\n", ""),
        answer.replace("t=0 0", "t=0 0\r\na=ice-lite"),
    ] {
        assert_eq!(apply(&[Opus], false, &text), bad, "{text}");
    }
    assert_eq!(apply(&[Opus], true, &answer), bad);
    assert!(apply(&[Opus], false, &answer.replace("a=mid:0\r\n", "")).is_ok());
}

#[test]
fn the_dtls_role_of_an_answer() {
    for (setup, role) in [
        ("active", DtlsRole::Server),
        ("passive", DtlsRole::Client),
        ("actpass", DtlsRole::Server),
    ] {
        let answer = small_answer().replace("a=setup:active", &format!("a=setup:{setup}"));
        let plan = MadeOffer::new(&[Opus], false)
            .apply(&SdpAnswer(answer), &local())
            .unwrap();
        assert_eq!(plan.role, role, "{setup}");
    }
}

#[test]
fn accepted_video_without_the_common_transport_is_left_alone() {
    let answer = fixture("chromium_answer_audio_video");
    let audio_only = Ok(NegotiatedMedia {
        audio: Opus,
        video: None,
    });
    assert_eq!(
        apply(
            &[Opus, Pcmu],
            true,
            &answer.replace("BUNDLE 0 1", "BUNDLE 0")
        ),
        audio_only
    );
    assert_eq!(
        apply(
            &[Opus, Pcmu],
            true,
            &answer.replace("m=video 9", "m=video 0")
        ),
        audio_only
    );
}

#[test]
fn the_anchor_is_open_before_the_offer_leaves_and_its_answer_is_applied_once() {
    let mut desk = Desk::new(1, 4);
    assert_eq!(desk.offer('b', 'a'), ["0> open 0.0", "b: offer"]);
    assert_eq!(desk.apply('b', "nonsense"), ["b: refused BadDescription"]);
    assert_eq!(
        desk.apply('b', &small_answer()),
        ["0> remote 0.0", "b: applied Opus"]
    );
    assert_eq!(desk.plan.take().unwrap().ufrag, "abcd");
    assert_eq!(
        desk.apply('b', &small_answer()),
        ["b: refused BadDescription"]
    );
    assert_eq!(
        desk.apply('x', &small_answer()),
        ["x: refused BadDescription"]
    );
}

#[test]
fn a_second_offer_before_any_answer_takes_the_place_of_the_first() {
    let mut desk = Desk::new(1, 4);
    desk.offer('b', 'a');
    assert_eq!(
        desk.offer('b', 'a'),
        ["0> close 0.0", "0> open 1.0", "b: offer"]
    );
    assert_eq!(
        desk.apply('b', &small_answer()),
        ["0> remote 1.0", "b: applied Opus"]
    );
    assert!(desk.closed(0, 0, 0).is_empty());
    assert_eq!(desk.connected(1, 0), ["b: connected"]);
}
