//! Entry points for fuzzing: each takes any bytes and asserts what must hold for them.

use std::net::SocketAddr;
use std::sync::Arc;

use ringtrip_model::{
    AudioCodec, Generator, NegotiatedMedia, SdpAnswer, SdpOffer, Secret, VideoCodec,
};

use crate::negotiate::{LocalSession, MadeOffer, ReceivedOffer};
use crate::plan::{Fingerprint, IceCredentials};
use crate::sdp::{SdpError, SessionDescription};
use crate::srtp::{SrtpProfile, SrtpReceiver};
use crate::{rtcp, rtp, stun};

/// Reads bytes as a description, as an offer and as an answer.
///
/// # Panics
///
/// If what was read and written does not read the same again, or an answer of ours does not fit the
/// offer it answers.
pub fn fuzz_sdp(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(description) = SessionDescription::parse(&text) {
        match SessionDescription::parse(&description.to_string()) {
            Ok(again) => assert_eq!(again, description),
            // Writing spells out what was said once for all, and may pass a bound by it.
            Err(SdpError::TooLarge { .. } | SdpError::TooMany { .. }) => {}
            Err(error) => panic!("what was written cannot be read: {error}"),
        }
    }
    let mut rng = Generator::from_seed([7; 32]);
    let addresses: Arc<[SocketAddr]> = Arc::new([SocketAddr::from(([127, 0, 0, 1], 3478))]);
    let ice = IceCredentials::generate(0, &mut rng);
    let local = LocalSession::generate(ice, Fingerprint([1; 32]), addresses, &mut rng);
    fuzz_offer(&SdpOffer(text.clone()), &local);
    for video in [false, true] {
        let offer = MadeOffer::new(&AudioCodec::ALL, video);
        if let Ok(plan) = offer.apply(&SdpAnswer(text.clone()), &local) {
            assert!(video || plan.video.is_none());
        }
    }
}

fn fuzz_offer(text: &SdpOffer, local: &LocalSession) {
    let Ok(offer) = ReceivedOffer::read(text) else {
        return;
    };
    let offered = offer.offered();
    let sections = SessionDescription::parse(&text.0).map_or(0, |read| read.sections.len());
    for audio in AudioCodec::ALL {
        let media = NegotiatedMedia {
            audio,
            video: Some(VideoCodec::Vp8),
        };
        let Ok((answer, plan)) = offer.answer(media, local) else {
            assert!(!offered.audio.contains(&audio));
            continue;
        };
        assert_eq!(plan.media().audio, audio);
        assert_eq!(plan.video.is_some(), offered.video);
        match SessionDescription::parse(&answer.0) {
            Ok(written) => assert_eq!(written.sections.len(), sections),
            Err(SdpError::TooLarge { .. }) => {}
            Err(error) => panic!("our answer cannot be read: {error}"),
        }
        assert!(offer.renews(&plan).is_ok());
        assert_eq!(offer.answer_again(&plan, local), answer);
    }
}

/// Reads bytes as a connectivity check.
///
/// # Panics
///
/// If a check verifies under a key that it was not made with.
pub fn fuzz_stun(bytes: &[u8]) {
    let key = stun::integrity_key("a password that no corpus file was made with");
    if let Ok(request) = stun::BindingRequest::parse(bytes) {
        assert!(request.local_ufrag().len() < bytes.len());
        assert!(!request.verify(&key));
        let mut out = [0; stun::MAX_RESPONSE_LEN];
        let mapped = SocketAddr::from(([0; 16], 9));
        let len = stun::write_success(request.transaction(), mapped, &key, &mut out);
        assert!(len <= bytes.len() + 40);
        assert!(stun::BindingRequest::parse(&out[..len]).is_err());
    }
}

/// Reads bytes as an RTP packet, and unprotects them.
///
/// # Panics
///
/// If positions lie outside the packet, a rewritten header reads differently, or forged bytes count
/// as authentic.
pub fn fuzz_rtp(bytes: &[u8]) {
    if let Ok(header) = rtp::RtpHeader::parse(bytes) {
        assert!(header.header_len() + header.payload(bytes).len() <= bytes.len());
        let mut level = None;
        for id in 1..=14 {
            level = level.or(header.audio_level(bytes, id).map(|value| (id, value)));
        }
        let outgoing = rtp::OutgoingHeader {
            marker: header.marker,
            payload_type: header.payload_type,
            sequence: header.sequence,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            level,
        };
        let mut out = [0; rtp::MAX_WRITTEN_HEADER_LEN];
        let len = outgoing.write(&mut out).unwrap_or(0);
        let again = rtp::RtpHeader::parse(&out[..len]);
        assert_eq!(again.map(|again| again.header_len()), Ok(len));
        if let (Ok(again), Some((id, value))) = (again, level) {
            assert_eq!(again.audio_level(&out, id), Some(value));
        }
        for profile in PROFILES {
            assert!(
                receiver(profile)
                    .unprotect_rtp(&mut bytes.to_vec(), header.header_len())
                    .is_err()
            );
        }
    }
}

/// Reads bytes as a compound RTCP packet, and unprotects them.
///
/// # Panics
///
/// If reading does not end, or forged bytes count as authentic.
pub fn fuzz_rtcp(bytes: &[u8]) {
    let mut packets = 0;
    for packet in rtcp::Compound::new(bytes) {
        packets += 1;
        match packet {
            rtcp::RtcpPacket::SenderReport(_, blocks)
            | rtcp::RtcpPacket::ReceiverReport(blocks) => {
                assert!(blocks.count() <= 31);
            }
            rtcp::RtcpPacket::Nack { missing, .. } => assert!(missing.count() <= bytes.len() * 5),
            rtcp::RtcpPacket::PictureLoss { .. }
            | rtcp::RtcpPacket::FullIntra { .. }
            | rtcp::RtcpPacket::Other => {}
        }
    }
    assert!(packets <= bytes.len() / 4);
    for profile in PROFILES {
        assert!(
            receiver(profile)
                .unprotect_rtcp(&mut bytes.to_vec())
                .is_err()
        );
    }
}

const PROFILES: [SrtpProfile; 3] = [
    SrtpProfile::AeadAes128Gcm,
    SrtpProfile::AeadAes256Gcm,
    SrtpProfile::Aes128CmSha1_80,
];

fn receiver(profile: SrtpProfile) -> SrtpReceiver {
    let master = Secret::new(vec![0x5A; profile.key_len() + profile.salt_len()]);
    SrtpReceiver::new(profile, &master).expect("the length is the profile's")
}
