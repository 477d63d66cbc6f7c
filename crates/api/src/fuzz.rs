//! Entry points for fuzzing the parsers that read what clients send. Each asserts that nothing panics,
//! and the invariants named in its text.

use crate::json;
use crate::page::{MAX_SIZE, PageRequest};
use crate::query::Query;

/// Feeds bytes to the reader of JSON bodies: what it accepts holds no U+0000.
pub fn fuzz_rest_body(bytes: &[u8]) {
    if let Ok(object) = json::parse(bytes) {
        let printed = serde_json::to_string(&object).expect("what was parsed can be printed");
        assert!(
            json::parse(printed.as_bytes()).is_ok(),
            "an accepted body is accepted again"
        );
    }
}

/// Feeds bytes to the reader of query strings: pages lie in range, and filters hold no U+0000.
pub fn fuzz_rest_query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(query) = Query::parse(&text) else {
        return;
    };
    if let Ok(page) = PageRequest::read(&query, 50) {
        assert!(page.number >= 1 && (1..=MAX_SIZE).contains(&page.size));
    }
    for field in ["tag", "name", "status", "resource_id", "sip_username"] {
        assert!(
            query
                .filter(field)
                .is_none_or(|value| !value.contains('\0'))
        );
    }
}
