//! The parsers of what arrives from the network, fed with the corpus, random and mutated bytes.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use ringtrip_media::fuzz;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 3] = [
    ("stun", fuzz::fuzz_stun),
    ("rtp", fuzz::fuzz_rtp),
    ("rtcp", fuzz::fuzz_rtcp),
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| fs::read(file).unwrap())
        .collect()
}

#[test]
fn the_corpus_passes_whole_and_cut_short() {
    for (target, check) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{target}");
        for bytes in files {
            for len in 0..=bytes.len() {
                check(&bytes[..len]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_pass(mut bytes in prop::collection::vec(any::<u8>(), 0..300), first in 0_usize..6) {
        if let Some(byte) = bytes.first_mut() {
            *byte = [0, 0, 0x80, 0x90, 0xB1, *byte][first];
        }
        for (_, check) in TARGETS {
            check(&bytes);
        }
    }

    #[test]
    fn mutated_corpus_files_pass(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (target, check) in TARGETS {
            let files = corpus(target);
            let mut bytes = file.get(&files).clone();
            for (at, value) in &changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            check(&bytes);
        }
    }
}
