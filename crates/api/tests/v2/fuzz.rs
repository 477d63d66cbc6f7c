//! The parsers that read the network, fed with anything.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use ringtrip_api::fuzz::{fuzz_rest_body, fuzz_rest_query};

const BODIES: &[&str] = &[
    r#"{"connection_id":"1293384261075731499","name":"a\"b\\c","tag":null,"expires_at":"2027-02-02T22:25:27.521Z"}"#,
    r#"{"inbound":{"codecs":["OPUS","VP8"],"channel_limit":10},"outbound":{"localization":"US"},"active":false}"#,
    r#"{"a":[[[[{"b":{"c":[1.5e3,-0,true,"\u00e9\ud83d\ude00"]}}]]]]}"#,
];

const QUERIES: &[&str] = &[
    "filter%5Btag%5D=a+b&page%5Bnumber%5D=2&page[size]=50&sort=-created_at",
    "filter[connection_name][contains]=%C3%A9&page_number=3&page_size=250",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn the_corpus_is_replayed() {
    let (bodies, queries) = (corpus("rest_body"), corpus("rest_query"));
    assert!(bodies.len() >= 5 && queries.len() >= 4);
    bodies.iter().for_each(|bytes| fuzz_rest_body(bytes));
    queries.iter().for_each(|bytes| fuzz_rest_query(bytes));
}

/// One of some good inputs with a few bytes replaced, inserted or cut.
fn mutated(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (
        prop::sample::select(seeds),
        prop::collection::vec(edit, 0..6),
    )
        .prop_map(|(seed, edits)| {
            let mut bytes = seed.as_bytes().to_vec();
            for (index, byte, how) in edits {
                let at = index.index(bytes.len() + 1);
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_a_body_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_rest_body(&bytes);
    }

    #[test]
    fn mutated_bodies_are_read_or_refused(bytes in mutated(BODIES)) {
        fuzz_rest_body(&bytes);
    }

    #[test]
    fn any_bytes_are_a_query_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_rest_query(&bytes);
    }

    #[test]
    fn mutated_queries_are_read_or_refused(bytes in mutated(QUERIES)) {
        fuzz_rest_query(&bytes);
    }
}
