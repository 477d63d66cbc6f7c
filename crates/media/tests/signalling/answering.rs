//! Our answers to offers.

use ringtrip_media::negotiate::{NegotiateError, ReceivedOffer};
use ringtrip_media::plan::{DtlsRole, RemotePlan, TelephoneEvents};
use ringtrip_media::sdp::{
    AUDIO_LEVEL_URI, CandidateKind, Direction, SectionKind, SessionDescription, Setup,
};
use ringtrip_model::{AudioCodec, NegotiatedMedia, SdpOffer};

use crate::support::{Desk, OPUS, OPUS_VP8, fixture, local, parsed, small_offer};

fn answer(text: &str, media: NegotiatedMedia) -> (SessionDescription, RemotePlan) {
    let offer = ReceivedOffer::read(&SdpOffer(text.to_owned())).unwrap();
    let (answer, plan) = offer.answer(media, &local()).unwrap();
    (parsed(&answer.0), plan)
}

fn audio_only(audio: AudioCodec) -> NegotiatedMedia {
    NegotiatedMedia { audio, video: None }
}

#[test]
fn one_codec_with_the_offered_payload_type_and_events_of_its_clock() {
    let text = fixture("chromium_offer_audio");
    for (codec, formats, events) in [
        (AudioCodec::Opus, ["111", "110"], (110, 48_000)),
        (AudioCodec::G722, ["9", "126"], (126, 8_000)),
        (AudioCodec::Pcmu, ["0", "126"], (126, 8_000)),
        (AudioCodec::Pcma, ["8", "126"], (126, 8_000)),
    ] {
        let (answer, plan) = answer(&text, audio_only(codec));
        assert_eq!(answer.sections[0].formats, formats);
        assert_eq!(plan.audio.codec, codec);
        assert_eq!(plan.audio.payload_type.to_string(), formats[0]);
        let (payload_type, clock_rate_hz) = events;
        assert_eq!(
            plan.audio.events,
            Some(TelephoneEvents {
                payload_type,
                clock_rate_hz
            })
        );
    }
}

#[test]
fn no_events_if_only_the_wrong_clock_is_offered() {
    let text = small_offer().replace("a=rtpmap:110 telephone-event/48000\r\n", "");
    let (answer, plan) = answer(&text, OPUS);
    assert_eq!(answer.sections[0].formats, ["111"]);
    assert_eq!(plan.audio.events, None);
}

#[test]
fn opus_parameters_and_unusual_payload_types() {
    let text = small_offer().replace("111", "63");
    let (answer, plan) = answer(&text, OPUS);
    let payload = &answer.sections[0].payloads[0];
    assert_eq!(
        (payload.number, payload.channels, plan.audio.payload_type),
        (63, 2, 63)
    );
    assert_eq!(
        payload.parameters.as_deref(),
        Some("minptime=10;useinbandfec=1")
    );
}

#[test]
fn a_codec_that_was_not_offered_is_refused() {
    let offer = ReceivedOffer::read(&SdpOffer(small_offer())).unwrap();
    let refused = offer
        .answer(audio_only(AudioCodec::G722), &local())
        .map(|_| ());
    assert_eq!(refused, Err(NegotiateError::NoCommonCodec));
}

#[test]
fn our_transport() {
    let (answer, plan) = answer(&fixture("chromium_offer_audio"), OPUS);
    let section = &answer.sections[0];
    let local = local();
    assert!(answer.ice_lite && section.rtcp_mux && section.rtcp_rsize && section.end_of_candidates);
    assert_eq!(
        (section.ufrag.as_ref(), section.pwd.as_ref()),
        (Some(&local.ice.ufrag), Some(&local.ice.pwd))
    );
    assert_eq!(section.fingerprints, [local.fingerprint]);
    assert_eq!(answer.bundle, ["0"]);
    assert_eq!(section.address, local.addresses[0]);
    let candidates: Vec<_> = section
        .candidates
        .iter()
        .map(|c| (c.kind, c.component, c.address))
        .collect();
    let expected: Vec<_> = local
        .addresses
        .iter()
        .map(|&a| (CandidateKind::Host, 1, a))
        .collect();
    assert_eq!(candidates, expected);
    assert!(section.candidates[0].priority > section.candidates[1].priority);
    assert_ne!(
        section.candidates[0].foundation,
        section.candidates[1].foundation
    );
    assert_eq!((plan.ufrag.as_str(), plan.pwd.len()), ("2If4", 24));
    assert_eq!(plan.fingerprint.0[..3], [0x9b, 0xb7, 0xd3]);
    assert_eq!(
        (plan.cname, plan.audio.local_ssrc),
        (local.cname.clone(), local.audio_ssrc)
    );
    assert_eq!(section.ssrcs, [(local.audio_ssrc, local.cname)]);
}

#[test]
fn we_are_the_dtls_server_unless_the_party_is() {
    for (offered, answered, role) in [
        ("a=setup:actpass", Setup::Passive, DtlsRole::Server),
        ("a=setup:active", Setup::Passive, DtlsRole::Server),
        ("a=setup:passive", Setup::Active, DtlsRole::Client),
        ("a=x", Setup::Passive, DtlsRole::Server),
    ] {
        let (answer, plan) = answer(&small_offer().replace("a=setup:actpass", offered), OPUS);
        assert_eq!(
            (answer.sections[0].setup, plan.role),
            (Some(answered), role),
            "{offered}"
        );
    }
}

#[test]
fn the_direction_is_mirrored_and_a_stream_is_named_only_where_we_send() {
    for (offered, answered) in [
        ("sendrecv", Direction::SendRecv),
        ("sendonly", Direction::RecvOnly),
        ("recvonly", Direction::SendOnly),
        ("inactive", Direction::Inactive),
    ] {
        let text = small_offer().replace("a=mid:0", &format!("a=mid:0\r\na={offered}"));
        let (answer, _) = answer(&text, OPUS);
        let section = &answer.sections[0];
        assert_eq!(section.direction, answered);
        assert_eq!(section.msid.is_some(), answered.sends());
        assert_eq!(section.ssrcs.len(), usize::from(answered.sends()));
    }
}

#[test]
fn the_audio_level_is_echoed_under_the_offered_id() {
    let with = |map: &str| {
        small_offer().replace(
            "a=mid:0",
            &format!("a=mid:0\r\na=extmap:{map} {AUDIO_LEVEL_URI}"),
        )
    };
    for (map, id) in [
        ("5", Some(5)),
        ("5/sendrecv", Some(5)),
        ("5/sendonly", None),
        ("15", None),
        ("0", None),
    ] {
        let (answer, plan) = answer(&with(map), OPUS);
        assert_eq!(plan.audio.level_extension, id, "{map}");
        let ids: Vec<_> = answer.sections[0].extensions.iter().map(|e| e.id).collect();
        assert_eq!(ids, Vec::from_iter(id));
    }
    let (answer, plan) = answer(&small_offer(), OPUS);
    assert_eq!(
        (
            plan.audio.level_extension,
            answer.sections[0].extensions.len()
        ),
        (None, 0)
    );
}

#[test]
fn video_shares_the_stream_and_takes_only_feedback_that_was_offered() {
    let text = fixture("chromium_offer_audio_video");
    let (answer, plan) = answer(&text, OPUS_VP8);
    let [audio, video] = &answer.sections[..] else {
        panic!("two sections")
    };
    assert_eq!(
        (video.kind.clone(), video.formats.as_slice()),
        (SectionKind::Video, &["96".to_owned()][..])
    );
    assert_eq!(answer.bundle, ["0", "1"]);
    let stream = |section: &ringtrip_media::sdp::Section| section.msid.clone().unwrap();
    assert_eq!(stream(audio).0, stream(video).0);
    assert_ne!(stream(audio).1, stream(video).1);
    assert_eq!((audio.candidates.len(), video.candidates.len()), (2, 0));
    assert_ne!(audio.ssrcs[0].0, video.ssrcs[0].0);
    assert_eq!(audio.ssrcs[0].1, video.ssrcs[0].1);
    let plan = plan.video.unwrap();
    assert!(plan.pli && plan.nack);
    let feedback = video.payloads[0].feedback;
    assert!(feedback.nack && feedback.pli && !feedback.fir);

    let without = text.replace("a=rtcp-fb:96 nack pli\r\n", "");
    let (again, plan) = self::answer(&without, OPUS_VP8);
    let plan = plan.video.unwrap();
    assert!(plan.nack && !plan.pli && !again.sections[1].payloads[0].feedback.pli);
}

#[test]
fn what_is_not_used_keeps_its_place_with_port_zero_and_leaves_the_group() {
    for (name, media, used) in [
        ("chromium_offer_audio_video", OPUS, [true, false]),
        ("chromium_offer_audio_video_max_compat", OPUS, [true, false]),
        ("chromium_offer_audio_video_max_bundle", OPUS, [true, false]),
        ("chromium_offer_data_channel", OPUS, [true, false]),
        ("chromium_offer_two_audio", OPUS, [true, false]),
        (
            "chromium_offer_video_first_audio_recvonly",
            OPUS,
            [false, true],
        ),
        (
            "chromium_offer_video_first_audio_recvonly",
            OPUS_VP8,
            [true, true],
        ),
    ] {
        let text = fixture(name);
        let offered = parsed(&text);
        let (answer, _) = answer(&text, media);
        assert_eq!(answer.sections.len(), offered.sections.len());
        let mut group = Vec::new();
        for ((answered, offered), used) in answer.sections.iter().zip(&offered.sections).zip(used) {
            assert_eq!(
                (&answered.kind, &answered.mid),
                (&offered.kind, &offered.mid)
            );
            assert_eq!(answered.protocol, offered.protocol);
            assert_eq!(answered.is_refused(), !used, "{name}");
            if used {
                group.extend(answered.mid.clone());
            } else {
                assert_eq!(answered.formats, offered.formats[..1]);
            }
        }
        assert_eq!(answer.bundle, group);
        let with_candidates = answer
            .sections
            .iter()
            .position(|s| !s.candidates.is_empty());
        assert_eq!(with_candidates, used.iter().position(|&used| used));
    }
}

#[test]
fn sections_with_transports_of_their_own_use_that_of_the_first_in_the_group() {
    let text = fixture("chromium_offer_audio_video_max_compat");
    let (head, video) = text.split_once("m=video").unwrap();
    let ufrag = parsed(&text).sections[0].ufrag.clone().unwrap();
    let text = format!("{head}m=video{}", video.replace(&ufrag, "videoufrag"));
    assert_eq!(answer(&text, OPUS_VP8).1.ufrag, ufrag);
    let reversed = text.replace("BUNDLE 0 1", "BUNDLE 1 0");
    assert_eq!(answer(&reversed, OPUS_VP8).1.ufrag, "videoufrag");
    // Refused video takes its transport along.
    assert_eq!(answer(&reversed, OPUS).1.ufrag, ufrag);
}

#[test]
fn no_group_is_answered_where_none_was_offered() {
    let text = small_offer()
        .replace("a=group:BUNDLE 0\r\n", "")
        .replace("a=mid:0\r\n", "");
    let (answer, _) = answer(&text, OPUS);
    assert!(answer.bundle.is_empty());
    assert_eq!(answer.sections[0].mid, None);
    assert_eq!(answer.sections[0].candidates.len(), 2);
}

#[test]
fn the_anchor_is_open_before_the_answer_leaves() {
    let mut desk = Desk::new(1, 4);
    desk.read('a', &small_offer());
    assert_eq!(
        desk.answer('a', OPUS),
        ["0> open 0.0", "0> remote 0.0", "a: answer"]
    );
    assert!(desk.sdp.contains("a=ice-ufrag:0000"));
    assert_eq!(desk.connected(0, 0), ["a: connected"]);
}

#[test]
fn an_answer_needs_an_offer_and_comes_once() {
    let mut desk = Desk::new(1, 4);
    assert_eq!(desk.answer('a', OPUS), ["a: refused BadDescription"]);
    desk.read('a', &small_offer());
    assert_eq!(
        desk.answer('a', audio_only(AudioCodec::G722)),
        ["a: refused NoCommonCodec"]
    );
    assert_eq!(desk.control.anchors(), 0);
    assert_eq!(desk.answer('a', OPUS).last().unwrap(), "a: answer");
    assert_eq!(desk.answer('a', OPUS), ["a: refused BadDescription"]);
    assert_eq!(
        desk.read('a', &small_offer()),
        ["a: refused BadDescription"]
    );
}

#[test]
fn two_sessions_share_no_secret() {
    let mut desk = Desk::new(1, 4);
    let mut session = |name| {
        desk.read(name, &small_offer());
        desk.answer(name, OPUS);
        let section = parsed(&desk.sdp).sections.remove(0);
        (section.ufrag, section.pwd, section.ssrcs, section.msid)
    };
    let (a, b) = (session('a'), session('b'));
    assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2 && a.3 != b.3);
}
