//! Parts of lists, and the text that lists are searched by.

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1; 0 reads as 1.
    pub number: u32,
    /// How many items a part has.
    pub size: u32,
}

impl Page {
    pub(crate) fn limit(self) -> i64 {
        i64::from(self.size)
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.number.saturating_sub(1)).saturating_mul(i64::from(self.size))
    }
}

/// One part of a list, and how long the whole list is; both as of the same instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items of the part; empty past the end.
    pub items: Vec<T>,
    /// How many items all parts have together.
    pub total: u64,
}

impl<T> Listing<T> {
    pub(crate) const fn empty() -> Self {
        Self {
            items: Vec::new(),
            total: 0,
        }
    }
}

/// Brings a text into the form in which case does not count.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Makes a `LIKE` pattern that matches any text that holds this one, for use with `ESCAPE '\'`.
pub(crate) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Tells whether a stored text can equal or hold this one at all. What is longer than any stored text,
/// or has the character that none may have, is not worth asking the database for.
pub(crate) fn can_match(text: &str) -> bool {
    !text.contains('\0') && text.len() <= ringtrip_model::MAX_LABEL_CHARS * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_literally() {
        assert_eq!(contains_pattern("a"), "%a%");
        assert_eq!(contains_pattern(r"5%_\"), r"%5\%\_\\%");
    }

    #[test]
    fn the_last_page_does_not_overflow() {
        let page = Page {
            number: u32::MAX,
            size: u32::MAX,
        };
        assert!(page.offset() > 0);
        assert_eq!(Page { number: 0, size: 5 }.offset(), 0);
        assert_eq!(Page { number: 3, size: 5 }.offset(), 10);
    }
}
