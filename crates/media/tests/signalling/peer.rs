//! An independent implementation agrees with our descriptions.

use std::time::Instant;

use ringtrip_media::negotiate::{MadeOffer, ReceivedOffer};
use ringtrip_model::{AudioCodec, SdpAnswer, SdpOffer};
use str0m::change::{SdpAnswer as PeerAnswer, SdpOffer as PeerOffer};
use str0m::media::{Direction, MediaKind};
use str0m::{Rtc, RtcConfig};

use crate::support::{OPUS, OPUS_VP8, local, parsed};

fn peer() -> Rtc {
    // The peer wants an instant; nothing here waits for another.
    #[expect(
        clippy::disallowed_methods,
        reason = "a base for a library that demands one"
    )]
    let start = Instant::now();
    RtcConfig::new()
        .enable_pcmu(true, false)
        .enable_g722(true, false)
        .build(start)
}

#[test]
fn str0m_takes_our_answers() {
    for (video, media) in [(false, OPUS), (true, OPUS), (true, OPUS_VP8)] {
        let mut peer = peer();
        let mut change = peer.sdp_api();
        change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        if video {
            change.add_media(MediaKind::Video, Direction::SendRecv, None, None, None);
        }
        let (offer, pending) = change.apply().unwrap();
        let offer = ReceivedOffer::read(&SdpOffer(offer.to_sdp_string())).unwrap();
        assert_eq!(offer.offered().video, video);
        assert!(offer.offered().audio.contains(&AudioCodec::G722));
        let (answer, _) = offer.answer(media, &local()).unwrap();
        let answer = PeerAnswer::from_sdp_string(&answer.0).unwrap();
        peer.sdp_api().accept_answer(pending, answer).unwrap();
    }
}

#[test]
fn str0m_answers_our_offers() {
    for video in [false, true] {
        let mut peer = peer();
        let made = MadeOffer::new(&[AudioCodec::Pcmu, AudioCodec::Opus], video);
        let offer = PeerOffer::from_sdp_string(&made.write(&local()).0).unwrap();
        let answer = peer.sdp_api().accept_offer(offer).unwrap().to_sdp_string();
        let plan = made.apply(&SdpAnswer(answer.clone()), &local()).unwrap();
        assert_eq!(plan.video.is_some(), video);
        let theirs = &parsed(&answer).sections[0];
        assert_eq!(Some(&plan.ufrag), theirs.ufrag.as_ref());
        assert_eq!(plan.fingerprint, theirs.fingerprints[0]);
    }
}
