//! Query strings, as the SDKs write them: form encoding, brackets percent-encoded or not, arrays
//! joined by commas.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::error::{ApiError, Place};
use crate::operation::{Input, Operation};
use crate::schema::Named;

/// How many parameters a query may hold.
const MAX_PARAMETERS: usize = 256;

/// The decoded parameters of a query string, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes the part of a URL after `?`: `+` is a space, `%xx` a byte, and a `%` that no two
    /// hexadecimal digits follow stands for itself.
    ///
    /// # Errors
    ///
    /// Refuses more than 256 parameters, bytes that are not UTF-8, and U+0000.
    pub(crate) fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(ApiError::InvalidQuery {
                    place: Place::Pointer("/".into()),
                    detail: format!("A query may hold at most {MAX_PARAMETERS} parameters."),
                });
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// Returns a parameter's value; the last one where it is repeated.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns every value of a parameter, in their order.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of `filter[<field>]`, or of its long form `filter[<field>][eq]`.
    pub(crate) fn filter(&self, field: &str) -> Option<&str> {
        self.operator(field, None)
            .or_else(|| self.operator(field, Some("eq")))
    }

    /// Returns the value of `filter[<field>][<operator>]`.
    pub(crate) fn filter_by(&self, field: &str, operator: &str) -> Option<&str> {
        self.operator(field, Some(operator))
    }

    /// Reads `filter[<field>]` as one word of those that a `T` has.
    ///
    /// # Errors
    ///
    /// 400 for any other.
    pub(crate) fn filter_word<T: Named>(&self, field: &str) -> Result<Option<T>, ApiError> {
        let read = |text| T::from_name(text).ok_or_else(|| not_listed::<T>(field));
        self.filter(field).map(read).transpose()
    }

    /// Reads `filter[<field>]` as one word of those that a `T` has, or several with commas between.
    ///
    /// # Errors
    ///
    /// 400 for any other.
    pub(crate) fn filter_words<T: Named>(&self, field: &str) -> Result<Option<Vec<T>>, ApiError> {
        let Some(text) = self.filter(field) else {
            return Ok(None);
        };
        let words = text.split(',').map(|word| T::from_name(word.trim()));
        let words: Option<Vec<_>> = words.collect();
        words.map(Some).ok_or_else(|| not_listed::<T>(field))
    }

    /// Reads `filter[<field>]` with `parse`; `expected` completes "filter[…] must be …".
    ///
    /// # Errors
    ///
    /// 400 for what `parse` does not take.
    pub(crate) fn filter_parsed<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let read = |text| parse(text).ok_or_else(|| invalid_filter(field, expected));
        self.filter(field).map(read).transpose()
    }

    fn operator(&self, field: &str, operator: Option<&str>) -> Option<&str> {
        let matches = |name: &str| {
            let rest = name
                .strip_prefix("filter[")?
                .strip_prefix(field)?
                .strip_prefix(']')?;
            let found = match rest {
                "" => None,
                nested => Some(nested.strip_prefix('[')?.strip_suffix(']')?),
            };
            (found == operator).then_some(())
        };
        let found = self
            .pairs
            .iter()
            .rev()
            .find(|(name, _)| matches(name).is_some());
        found.map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .uri
            .query()
            .map_or_else(|| Ok(Self::default()), Self::parse)
    }
}

impl Input for Query {
    fn describe(operation: &mut Operation) {
        operation.fails(StatusCode::BAD_REQUEST);
        // U+0000 in a query.
        operation.fails(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

fn not_listed<T: Named>(field: &str) -> ApiError {
    invalid_filter(field, &format!("one of {}", T::NAMES.join("; ")))
}

fn invalid_filter(field: &str, expected: &str) -> ApiError {
    let name = format!("filter[{field}]");
    ApiError::InvalidQuery {
        detail: format!("{name} must be {expected}."),
        place: Place::Parameter(name.into()),
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Ok(text.to_owned());
    }
    let digit = |b: Option<&u8>| {
        b.and_then(|b| char::from(*b).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match (digit(bytes.get(at)), digit(bytes.get(at + 1))) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    at += 2;
                }
                _ => decoded.push(b'%'),
            },
            other => decoded.push(other),
        }
    }
    if decoded.contains(&0) {
        return Err(ApiError::NulInQuery);
    }
    String::from_utf8(decoded).map_err(|_| ApiError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use ringtrip_model::TelephonyCredentialStatus::{self, Active, Expired};

    use super::*;

    fn check(raw: &str, expected: &[(&str, &str)]) {
        let query = Query::parse(raw).unwrap();
        let pairs: Vec<_> = query
            .pairs
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, expected, "{raw}");
    }

    #[test]
    fn decodes_what_sdks_send() {
        check("", &[]);
        check("&&", &[]);
        check("filter%5Btag%5D=a+b%20c", &[("filter[tag]", "a b c")]);
        check("filter[tag]=a%2Bb", &[("filter[tag]", "a+b")]);
        check(
            "sort=-created_at&page%5Bsize%5D=5",
            &[("sort", "-created_at"), ("page[size]", "5")],
        );
        check("flag&x=1=2", &[("flag", ""), ("x", "1=2")]);
        check("a=%C3%A9", &[("a", "é")]);
        check(
            "a=100%&b=%zz&c=%4",
            &[("a", "100%"), ("b", "%zz"), ("c", "%4")],
        );
    }

    #[test]
    fn refuses_what_no_text_can_be() {
        assert!(matches!(Query::parse("a=%ff"), Err(ApiError::NotUtf8)));
        assert!(matches!(Query::parse("a=x%00y"), Err(ApiError::NulInQuery)));
        assert!(matches!(Query::parse("%00=x"), Err(ApiError::NulInQuery)));
        assert!(Query::parse(&"a=1&".repeat(256)).is_ok());
        assert!(matches!(
            Query::parse(&"a=1&".repeat(257)),
            Err(ApiError::InvalidQuery { .. })
        ));
    }

    #[test]
    fn finds_filters_in_every_spelling() {
        let query =
            Query::parse("filter[a]=1&filter%5Bb%5D%5Bcontains%5D=2&filter[c][eq]=3&filter[o.p]=4")
                .unwrap();
        assert_eq!(query.filter("a"), Some("1"));
        assert_eq!(query.filter_by("b", "contains"), Some("2"));
        assert_eq!(query.filter("b"), None);
        assert_eq!(query.filter("c"), Some("3"));
        assert_eq!(query.filter("o.p"), Some("4"));
        assert_eq!(query.filter("o"), None);
    }

    #[test]
    fn filters_are_read_as_what_they_are() {
        let query = Query::parse("filter[a]=active&filter[b]=active,expired&filter[c]=17").unwrap();
        assert_eq!(query.filter_word("a").unwrap(), Some(Active));
        assert_eq!(
            query.filter_words("b").unwrap(),
            Some(vec![Active, Expired])
        );
        assert_eq!(query.filter_words("a").unwrap(), Some(vec![Active]));
        assert_eq!(
            query.filter_word::<TelephonyCredentialStatus>("d").unwrap(),
            None
        );
        let number = |text: &str| text.parse::<u32>().ok();
        assert_eq!(
            query.filter_parsed("c", "a number", number).unwrap(),
            Some(17)
        );
        let refused = query.filter_parsed("a", "a number", number).unwrap_err();
        let ApiError::InvalidQuery { place, detail } = refused else {
            panic!()
        };
        assert_eq!(place, Place::Parameter("filter[a]".into()));
        assert_eq!(detail, "filter[a] must be a number.");
        assert!(query.filter_word::<TelephonyCredentialStatus>("b").is_err());
        assert!(
            query
                .filter_words::<TelephonyCredentialStatus>("c")
                .is_err()
        );
    }

    #[test]
    fn the_last_of_a_repeated_parameter_counts() {
        let query = Query::parse("a=1&a=2&filter[x]=1&filter[x]=2").unwrap();
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.filter("x"), Some("2"));
    }
}
