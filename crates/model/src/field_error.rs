//! What is wrong with a value that a customer sent, as a value.

use std::borrow::Cow;
use std::fmt;

/// Longest text that a label (name, tag) may have, in characters.
pub const MAX_LABEL_CHARS: usize = 255;

/// The sort of a fault; the HTTP surface maps it to Telnyx's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldErrorKind {
    /// A required field is absent or blank (10004).
    Missing,
    /// The value is not acceptable, and no finer word fits (10015).
    Invalid,
    /// The value is not one of the listed words (10015).
    NotListed,
    /// A number or a length lies outside its range (10015).
    OutOfRange,
    /// A URL that is not absolute `http` or `https`, or is too long (10003).
    InvalidUrl,
    /// A text that is no telephone number (10002).
    InvalidNumber,
    /// A telephone number that is not written `+` and digits (10016).
    NotE164,
    /// Somebody has this value already (10012).
    Duplicate,
    /// The resource that the field names does not exist, or belongs to somebody else (10017).
    NoSuchResource,
    /// The resource is in use by others and cannot go (10021).
    InUse,
    /// A count is at its limit (10015).
    LimitReached,
    /// The resource is in a state that allows no change (10015).
    Terminal,
}

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct FieldError {
    /// JSON pointer into the request, such as `/inbound/codecs`.
    pub pointer: Cow<'static, str>,
    /// The sort of fault.
    pub kind: FieldErrorKind,
    /// One sentence for a person; never holds the refused value.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// Names a fault.
    pub fn new(
        pointer: impl Into<Cow<'static, str>>,
        kind: FieldErrorKind,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            kind,
            detail: detail.into(),
        }
    }

    /// Names an absent or blank field.
    pub fn missing(pointer: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            pointer,
            FieldErrorKind::Missing,
            "This field is required and must not be blank.",
        )
    }

    /// Names a resource that is unknown or foreign; the two look alike.
    pub fn no_such_resource(pointer: impl Into<Cow<'static, str>>, what: &str) -> Self {
        Self::new(
            pointer,
            FieldErrorKind::NoSuchResource,
            format!("The {what} does not exist."),
        )
    }
}

/// The faults of one request. Prints them one after the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FieldErrors(pub Vec<FieldError>);

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects the faults of a value while its parts are looked at.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    pub(crate) fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    pub(crate) fn add(
        &mut self,
        pointer: &'static str,
        kind: FieldErrorKind,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(FieldError::new(pointer, kind, detail));
    }

    /// Refuses U+0000, which Postgres cannot keep, and texts longer than `max` characters.
    pub(crate) fn text(&mut self, pointer: impl Into<Cow<'static, str>>, text: &str, max: usize) {
        if text.contains('\0') {
            self.push(FieldError::new(
                pointer,
                FieldErrorKind::Invalid,
                "The character U+0000 is not allowed.",
            ));
        } else if text.len() > max && text.chars().count() > max {
            self.push(FieldError::new(
                pointer,
                FieldErrorKind::OutOfRange,
                format!("Must be at most {max} characters long."),
            ));
        }
    }

    /// As [`Faults::text`], and refuses blank.
    pub(crate) fn required_text(&mut self, pointer: &'static str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.push(FieldError::missing(pointer));
        } else {
            self.text(pointer, text, max);
        }
    }

    pub(crate) fn range(&mut self, pointer: &'static str, value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.add(
                pointer,
                FieldErrorKind::OutOfRange,
                format!("Must be a whole number from {min} to {max}."),
            );
        }
    }

    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    pub(crate) fn check(self) -> Result<(), FieldErrors> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(FieldErrors(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_in_characters_and_hold_no_nul() {
        let check = |text: &str| {
            let mut faults = Faults::default();
            faults.required_text("/name", text, 4);
            faults.into_vec().first().map(|fault| fault.kind)
        };
        assert_eq!(check("äöüß"), None);
        assert_eq!(check("äöüßx"), Some(FieldErrorKind::OutOfRange));
        assert_eq!(check("a\0b"), Some(FieldErrorKind::Invalid));
        assert_eq!(check(" \t"), Some(FieldErrorKind::Missing));
    }
}
