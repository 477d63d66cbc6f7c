//! What offers are read, and as what.

use ringtrip_media::negotiate::ReceivedOffer;
use ringtrip_model::AudioCodec::{G722, Opus, Pcma, Pcmu};
use ringtrip_model::{AudioCodec, MediaFailure, OfferedMedia, SdpOffer};

use crate::support::{offer, small_offer};

fn check(text: &str, expected: Result<(&[AudioCodec], bool), MediaFailure>) {
    let read = ReceivedOffer::read(&SdpOffer(text.to_owned())).map(|offer| offer.offered());
    let expected = expected.map(|(audio, video)| OfferedMedia {
        audio: audio.to_vec(),
        video,
    });
    assert_eq!(read.map_err(|error| error.failure()), expected, "{text}");
}

const BAD: Result<(&[AudioCodec], bool), MediaFailure> = Err(MediaFailure::BadDescription);

#[test]
fn chromium_offers() {
    for (name, video) in [
        ("chromium_offer_audio", false),
        ("chromium_offer_audio_trickle", false),
        ("chromium_offer_audio_video", true),
        ("chromium_offer_audio_video_max_bundle", true),
        ("chromium_offer_audio_video_max_compat", true),
        ("chromium_offer_data_channel", false),
        ("chromium_offer_two_audio", false),
        ("chromium_offer_video_first_audio_recvonly", true),
        ("chromium_restart_audio_video_after", true),
    ] {
        check(&offer(name).0, Ok((&[Opus, G722, Pcmu, Pcma], video)));
    }
    check(&offer("chromium_offer_video_only").0, BAD);
}

#[test]
fn line_ends_and_trailing_lines_do_not_matter() {
    let text = small_offer();
    check(&text.replace("\r\n", "\n"), Ok((&[Opus, Pcmu], false)));
    check(text.trim_end(), Ok((&[Opus, Pcmu], false)));
    check(&format!("{text}\r\n\n"), Ok((&[Opus, Pcmu], false)));
}

#[test]
fn profiles_of_all_webrtc_endpoints() {
    for profile in [
        "UDP/TLS/RTP/SAVP",
        "RTP/SAVPF",
        "RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
        "RTP/AVP",
    ] {
        check(
            &small_offer().replace("UDP/TLS/RTP/SAVPF", profile),
            Ok((&[Opus, Pcmu], false)),
        );
    }
    check(
        &small_offer().replace("UDP/TLS/RTP/SAVPF", "UDP/TLS/UDPTL"),
        BAD,
    );
}

#[test]
fn transport_may_be_given_for_the_whole_session() {
    let mut lines: Vec<String> = small_offer().lines().map(str::to_owned).collect();
    let transport = ["a=ice-", "a=fingerprint", "a=setup"];
    let is_transport = |line: &String| transport.iter().any(|prefix| line.starts_with(prefix));
    let moved: Vec<String> = lines
        .iter()
        .filter(|line| is_transport(line))
        .cloned()
        .collect();
    lines.retain(|line| !is_transport(line));
    lines.splice(4..4, moved);
    check(&lines.join("\n"), Ok((&[Opus, Pcmu], false)));
}

#[test]
fn mids_and_groups_may_be_missing() {
    let text = small_offer()
        .replace("a=mid:0\r\n", "")
        .replace("a=group:BUNDLE 0\r\n", "");
    check(&text, Ok((&[Opus, Pcmu], false)));
}

#[test]
fn static_payload_types_need_no_map_and_a_map_overrides_them() {
    let text = small_offer().replace("SAVPF 111 0", "SAVPF 9 111 8 0");
    check(
        &text.replace("a=rtpmap:0 PCMU/8000\r\n", ""),
        Ok((&[G722, Opus, Pcma, Pcmu], false)),
    );
    let text = text.replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 L16/8000");
    check(&text, Ok((&[G722, Opus, Pcma], false)));
}

#[test]
fn encodings_compare_without_case_but_with_clock_and_channels() {
    let text = small_offer();
    check(
        &text.replace("opus/48000/2", "OPUS/48000/2"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &text.replace("opus/48000/2", "opus/48000"),
        Ok((&[Pcmu], false)),
    );
    check(
        &text.replace("opus/48000/2", "opus/16000/2"),
        Ok((&[Pcmu], false)),
    );
    check(
        &text.replace("PCMU/8000", "PCMU/8000/1"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &text.replace("PCMU/8000", "PCMU/16000"),
        Ok((&[Opus], false)),
    );
}

#[test]
fn an_offer_without_a_known_codec_is_read_as_empty() {
    check(
        &small_offer().replace("SAVPF 111 0", "SAVPF 63"),
        Ok((&[], false)),
    );
}

#[test]
fn several_fingerprints_need_one_that_is_sha_256() {
    let other = "a=fingerprint:sha-1 AA:BB\r\na=fingerprint:";
    check(
        &small_offer().replace("a=fingerprint:", other),
        Ok((&[Opus, Pcmu], false)),
    );
    check(&small_offer().replace("sha-256", "sha-512"), BAD);
    check(
        &small_offer().replace("sha-256", "SHA-256"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(&small_offer().replace("CD:CD\r\n", "CD\r\n"), BAD);
    check(&small_offer().replace("CD:CD\r\n", "CD:+D\r\n"), BAD);
}

#[test]
fn what_webrtc_needs() {
    for without in [
        "a=ice-ufrag:abcd\r\n",
        "a=ice-pwd:abcdefghijklmnopqrstuv\r\n",
        "a=rtcp-mux\r\n",
    ] {
        check(&small_offer().replace(without, ""), BAD);
    }
    check(&small_offer().replace("m=audio 9 ", "m=audio 0 "), BAD);
    check(&small_offer().replace("m=audio", "m=text"), BAD);
    check(
        &small_offer().replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
        BAD,
    );
    check(
        &small_offer().replace("a=setup:actpass", "a=setup:holdconn"),
        BAD,
    );
    check(
        &small_offer().replace("a=ice-ufrag:abcd", "a=ice-ufrag:abc"),
        BAD,
    );
    check(
        &small_offer().replace("a=ice-ufrag:abcd", "a=ice-ufrag:ab cd"),
        BAD,
    );
}

#[test]
fn candidates_that_cannot_be_used_are_passed_over() {
    let candidates = "a=candidate:1 1 udp 2122194687 0b2c-4a.local 50000 typ host\r\n\
        a=candidate:2 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active\r\n\
        a=candidate:3 1 UDP 2122267903 2001:db8::1 60630 typ host generation 0\r\n\
        a=candidate:4 1 udp 99999999999 192.0.2.2 70000 typ host\r\n\
        a=candidate:\r\na=candidate:5 1 udp 1 192.0.2.2 9 typ future\r\na=mid:";
    check(
        &small_offer().replace("a=mid:", candidates),
        Ok((&[Opus, Pcmu], false)),
    );
}

#[test]
fn video_counts_only_as_vp8_on_the_common_transport() {
    let fingerprint = ["CD"; 32].join(":");
    let video = format!(
        "{}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=mid:1\r\na=rtcp-mux\r\n\
         a=ice-ufrag:efgh\r\na=ice-pwd:vutsrqponmlkjihgfedcba\r\na=setup:actpass\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\n",
        small_offer().replace("BUNDLE 0", "BUNDLE 0 1")
    );
    check(&video, Ok((&[Opus, Pcmu], true)));
    check(
        &video.replace("BUNDLE 0 1", "BUNDLE 0"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &video.replace("a=group:BUNDLE 0 1\r\n", ""),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &video.replace("VP8/90000", "H264/90000"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &video.replace("m=video 9", "m=video 0"),
        Ok((&[Opus, Pcmu], false)),
    );
    check(
        &video.replace("a=mid:1", "a=mid:1\r\na=inactive"),
        Ok((&[Opus, Pcmu], false)),
    );
    let bundle_only = video
        .replace("m=video 9", "m=video 0")
        .replace("a=mid:1", "a=mid:1\r\na=bundle-only");
    check(&bundle_only, Ok((&[Opus, Pcmu], true)));
}

#[test]
fn what_is_no_session_description() {
    for text in [
        "",
        "\r\n",
        "hello",
        "v=1\r\n",
        "{\"sdp\":1}",
        "m=audio 9 RTP/SAVPF 0",
        "v=0\r\nrubbish\r\n",
    ] {
        check(text, BAD);
    }
    check("v=0\r\n", BAD);
    check(
        &small_offer().replace("a=mid:0", "a=mid:0\r\na=x:\u{1}"),
        BAD,
    );
    check(&small_offer().replace("m=audio 9", "m=audio 99999"), BAD);
    check(&small_offer().replace("SAVPF 111 0 110 126", "SAVPF"), BAD);
}

#[test]
fn two_sections_must_not_share_a_mid() {
    let text = small_offer() + "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:0\r\n";
    check(&text, BAD);
}
