//! The fuzz corpus, replayed.

use ringtrip_verto::fuzz::fuzz_frame;

#[test]
fn every_corpus_file_keeps_the_invariants() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/frame");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        fuzz_frame(&bytes);
        // Cut off anywhere, it is only another input.
        for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            fuzz_frame(&bytes[..cut]);
        }
        count += 1;
    }
    assert!(count >= 8, "only {count} files in {folder}");
}
