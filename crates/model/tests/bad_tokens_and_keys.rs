//! Whatever a client shows as a token or a key: it is refused or accepted, and nothing breaks.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::path::Path;

use proptest::prelude::*;
use ringtrip_model::{
    Generator, PlainApiKey, SigningKey, TelephonyCredentialId, Timestamp, TokenError,
    access_token::{sign, verify},
    fuzz::{fuzz_access_token, fuzz_api_key},
};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn good() -> (SigningKey, String) {
    let mut rng = Generator::from_seed([7; 32]);
    let key = SigningKey::generate(&mut rng);
    let subject = TelephonyCredentialId::generate(&mut rng);
    let token = sign(std::slice::from_ref(&key), subject, NOW, None, &mut rng).unwrap();
    (key, token)
}

fn replay(target: &str, fuzz: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty(), "there is a corpus for {target}");
    for file in files {
        fuzz(&std::fs::read(file).unwrap());
    }
}

#[test]
fn the_corpus_is_replayed() {
    replay("access_token", fuzz_access_token);
    replay("api_key", fuzz_api_key);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        fuzz_access_token(&bytes);
        fuzz_api_key(&bytes);
    }

    #[test]
    fn a_token_with_one_byte_changed_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let (key, token) = good();
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        fuzz_access_token(&bytes);
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(verify(&[key], &changed, NOW).is_err());
    }

    #[test]
    fn a_token_of_any_other_key_is_refused(seed in any::<[u8; 32]>()) {
        let (_, token) = good();
        let other = SigningKey::generate(&mut Generator::from_seed(seed));
        prop_assert_eq!(verify(&[other], &token, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn keys_read_back_as_they_were_made(seed in any::<[u8; 32]>(), cut in 0_usize..58) {
        let key = PlainApiKey::generate(&mut Generator::from_seed(seed));
        fuzz_api_key(key.expose().as_bytes());
        prop_assert_eq!(&PlainApiKey::parse(key.expose()).unwrap(), &key);
        prop_assert!(PlainApiKey::parse(&key.expose()[..cut]).is_err());
    }
}
