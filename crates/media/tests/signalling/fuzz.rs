//! The fuzz target, on the corpus and on mutations of what browsers write.

use std::path::Path;

use proptest::prelude::*;
use ringtrip_media::fuzz::fuzz_sdp;

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn the_corpus_holds() {
    let corpus = files("../../fuzz/corpus/sdp");
    assert!(corpus.len() >= 10);
    for bytes in corpus.into_iter().chain(files("tests/sdp")) {
        fuzz_sdp(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_sdp(&bytes);
        fuzz_sdp(&[b"v=0\r\n".as_slice(), &bytes].concat());
    }

    /// Lines dropped, doubled, swapped and bent.
    #[test]
    fn mutated_browsers(
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..5_u8, any::<u8>()), 1..12),
    ) {
        let files = files("tests/sdp");
        let bytes = file.get(&files);
        let mut lines: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        for (at, other, kind, byte) in edits {
            if lines.is_empty() {
                break;
            }
            let (i, j) = (at.index(lines.len()), other.index(lines.len()));
            match kind {
                0 => drop(lines.remove(i)),
                1 => {
                    let line = lines[j].clone();
                    lines.insert(i, line);
                }
                2 => lines.swap(i, j),
                3 if !lines[i].is_empty() => {
                    let place = other.index(lines[i].len());
                    lines[i][place] = byte;
                }
                _ => {
                    let place = other.index(lines[i].len() + 1);
                    lines[i].insert(place, byte);
                }
            }
        }
        fuzz_sdp(&lines.join(&b'\n'));
    }
}
