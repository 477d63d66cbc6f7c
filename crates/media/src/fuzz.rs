//! Entry points for fuzzing: each takes any bytes and asserts what must hold for them.

use std::net::SocketAddr;
use std::sync::Arc;

use ringtrip_model::{AudioCodec, Generator, NegotiatedMedia, SdpAnswer, SdpOffer, VideoCodec};

use crate::negotiate::{LocalSession, MadeOffer, ReceivedOffer};
use crate::plan::{Fingerprint, IceCredentials};
use crate::sdp::{SdpError, SessionDescription};

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
