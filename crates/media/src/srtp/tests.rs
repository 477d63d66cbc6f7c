//! Vectors of RFC 3711 and RFC 7714, and what must hold for every profile.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |b: u8| char::from(b).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let len = profile.key_len() + profile.salt_len();
    let material: Vec<u8> = (0..2 * len as u8).collect();
    let keys = SrtpKeys::from_keying_material(profile, &material).unwrap();
    (
        SrtpSender::new(profile, &keys.client).unwrap(),
        SrtpReceiver::new(profile, &keys.client).unwrap(),
    )
}

const PROFILES: [SrtpProfile; 3] = [
    SrtpProfile::AeadAes128Gcm,
    SrtpProfile::AeadAes256Gcm,
    SrtpProfile::Aes128CmSha1_80,
];

/// Header with a sequence number and 40 bytes of payload.
fn packet(sequence: u16) -> [u8; 52] {
    let mut packet = [0x55; 52];
    packet[..12].copy_from_slice(&[0x80, 111, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn protect(sender: &mut SrtpSender, index: u64) -> Vec<u8> {
    let mut buffer = [0; 128];
    let plain = packet((index & 0xFFFF) as u16);
    buffer[..52].copy_from_slice(&plain);
    let len = sender.protect_rtp(&mut buffer, 12, 52, index).unwrap();
    buffer[..len].to_vec()
}

#[test]
fn derives_the_keys_of_rfc_3711_appendix_b_3() {
    let derivation = Derivation::new(
        &bytes("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &bytes("0EC675AD498AFEEBB6960B3AABE6"),
    )
    .unwrap();
    for (label, expected) in [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
    ] {
        let mut out = vec![0; expected.len() / 2];
        derivation.fill(label, &mut out).unwrap();
        assert_eq!(out, bytes(expected));
    }
}

#[test]
fn makes_the_key_stream_of_rfc_3711_appendix_b_2() {
    let mut salt = [0; 14];
    salt.copy_from_slice(&bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
    let cm = Cm {
        key: counter_key(&bytes("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
        salt,
        mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
    };
    let mut stream = [0; 48];
    cm.apply([0; 4], 0, &mut stream).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream[..], bytes(expected));
}

fn gcm(key: &str) -> Gcm {
    let mut salt = [0; 12];
    salt.copy_from_slice(&bytes("517569642070726f2071756f"));
    let algorithm = if key.len() == 64 {
        &AES_256_GCM
    } else {
        &AES_128_GCM
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &bytes(key)).unwrap());
    Gcm { key, salt }
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn protects_the_rtp_packets_of_rfc_7714_section_16() {
    let plain = bytes(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361
         20696e207061727465732074726573",
    );
    for (key, protected) in [
        (
            KEY_128,
            "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f
             42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            KEY_256,
            "8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3
             b50b2a0276ffae0f1ba63799b87b 7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let ciphers = Ciphers::Gcm {
            rtp: gcm(key),
            rtcp: gcm(key),
        };
        let mut sender = SrtpSender {
            ciphers,
            rtcp_index: 0,
        };
        let mut buffer = [0; 128];
        buffer[..plain.len()].copy_from_slice(&plain);
        let len = sender
            .protect_rtp(&mut buffer, 12, plain.len(), 0xf17b)
            .unwrap();
        assert_eq!(buffer[..len], bytes(protected));

        let ciphers = Ciphers::Gcm {
            rtp: gcm(key),
            rtcp: gcm(key),
        };
        let mut receiver = SrtpReceiver {
            ciphers,
            streams: Vec::new(),
        };
        let (index, end) = receiver.unprotect_rtp(&mut buffer[..len], 12).unwrap();
        assert_eq!((index, &buffer[..end]), (0xf17b, &plain[..]));
    }
}

#[test]
fn protects_the_rtcp_packet_of_rfc_7714_section_17() {
    let plain = bytes(
        "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61
         deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let protected = bytes(
        "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d
         c676a5f1730d6fda4ce09b4686303ded0bb9275b c84aa45896cf4d2fc5abf87245d9eade 800005d4",
    );
    let ciphers = Ciphers::Gcm {
        rtp: gcm(KEY_128),
        rtcp: gcm(KEY_128),
    };
    let mut sender = SrtpSender {
        ciphers,
        rtcp_index: 0x5d4,
    };
    let mut buffer = [0; 128];
    buffer[..plain.len()].copy_from_slice(&plain);
    let len = sender.protect_rtcp(&mut buffer, plain.len()).unwrap();
    assert_eq!(buffer[..len], protected);
}

#[test]
fn what_is_protected_comes_back_once() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut wire = protect(&mut sender, 7);
        assert_ne!(wire[12..52], packet(7)[12..]);
        assert!(wire.len() <= 52 + MAX_OVERHEAD);
        let again = wire.clone();
        let (index, len) = receiver.unprotect_rtp(&mut wire, 12).unwrap();
        assert_eq!((index, &wire[..len]), (7, &packet(7)[..]));
        let replay = receiver.unprotect_rtp(&mut again.clone(), 12);
        assert_eq!(replay, Err(SrtpError::Replay), "{profile:?}");
    }
}

#[test]
fn control_packets_come_back_once() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let plain = [0x80, 201, 0, 3, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut buffer = [0; 64];
        for _ in 0..3 {
            buffer[..16].copy_from_slice(&plain);
            let len = sender.protect_rtcp(&mut buffer, 16).unwrap();
            let again = buffer;
            let end = receiver.unprotect_rtcp(&mut buffer[..len]).unwrap();
            assert_eq!(buffer[..end], plain);
            let replay = receiver.unprotect_rtcp(&mut { again }[..len]);
            assert_eq!(replay, Err(SrtpError::Replay));
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_forgotten() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let wire = protect(&mut sender, 7);
        for bit in (0..wire.len() * 8).filter(|bit| bit / 8 != 0) {
            let mut forged = wire.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                receiver.unprotect_rtp(&mut forged, 12).is_err(),
                "{profile:?} bit {bit}"
            );
        }
        assert!(receiver.unprotect_rtp(&mut wire.clone(), 12).is_ok());
    }
}

#[test]
fn survives_roll_over_loss_and_reordering() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        for index in [
            0xFFF0, 0xFFFF, 0x1_0001, 0xFFFE, 0x1_0000, 0x1_7FFF, 0x1_FFFF, 0x2_0100,
        ] {
            let mut wire = protect(&mut sender, index);
            let got = receiver
                .unprotect_rtp(&mut wire, 12)
                .map(|(index, _)| index);
            assert_eq!(got, Ok(index), "{profile:?}");
        }
        let mut old = protect(&mut sender, 0x1_FD00);
        assert_eq!(receiver.unprotect_rtp(&mut old, 12), Err(SrtpError::Replay));
    }
}

#[test]
fn streams_are_bounded_and_the_active_one_is_kept() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    for other in 0..100_u32 {
        for (ssrc, index) in [(9, u64::from(other)), (1_000 + other, 5)] {
            let mut buffer = [0; 128];
            buffer[..52].copy_from_slice(&packet((index & 0xFFFF) as u16));
            buffer[8..12].copy_from_slice(&ssrc.to_be_bytes());
            let len = sender.protect_rtp(&mut buffer, 12, 52, index).unwrap();
            receiver.unprotect_rtp(&mut buffer[..len], 12).unwrap();
        }
    }
    assert_eq!(receiver.streams.len(), MAX_STREAMS);
    let mut replay = protect(&mut sender, 50);
    assert_eq!(
        receiver.unprotect_rtp(&mut replay, 12),
        Err(SrtpError::Replay)
    );
}

#[test]
fn short_packets_and_buffers_are_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        for len in 0..12 {
            assert!(receiver.unprotect_rtp(&mut packet(1)[..len], 12).is_err());
            assert!(receiver.unprotect_rtcp(&mut packet(1)[..len]).is_err());
        }
        assert_eq!(
            sender.protect_rtp(&mut packet(1), 12, 52, 1),
            Err(SrtpError::TooShort)
        );
        assert_eq!(
            sender.protect_rtcp(&mut packet(1), 52),
            Err(SrtpError::TooShort)
        );
        assert!(SrtpKeys::from_keying_material(profile, &[0; 10]).is_err());
    }
}

#[test]
fn the_window_forgets_nothing_inside_and_everything_outside() {
    let mut window = Window::<2>::new();
    for index in [200, 100, 199, 73] {
        assert!(window.is_new(index));
        window.mark(index);
    }
    for (index, new) in [
        (200, false),
        (100, false),
        (73, false),
        (72, false),
        (74, true),
        (201, true),
    ] {
        assert_eq!(window.is_new(index), new, "{index}");
    }
    window.mark(10_000);
    assert!(window.is_new(9_900) && !window.is_new(200));
}
