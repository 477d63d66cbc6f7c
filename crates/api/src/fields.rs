//! Reads the fields of a JSON object into typed values, and names every field that has the wrong
//! type. What is not asked for is passed over.

use std::borrow::Cow;

use ringtrip_model::{
    AnchorsiteOverride, AniNumberFormat, AniOverrideType, CallingPreference, DnisNumberFormat,
    DtmfType, EncryptedMedia, FieldError, FieldErrorKind, FieldErrors, NoiseSuppression,
    NoiseSuppressionEngine, RoutingMethod, RtcpPort, SimultaneousRinging, T38ReinviteSource,
    WebhookApiVersion,
};
use serde_json::{Map, Value};

/// What a request says about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent<T> {
    /// Nothing.
    Absent,
    /// `null`.
    Null,
    /// A value of the right type.
    Value(T),
    /// A value of a wrong type, which has been noted.
    Refused,
}

/// A type that a JSON value can be read as.
pub(crate) trait FromJson: Sized {
    /// The sort of fault that any other value is.
    const FAULT: FieldErrorKind = FieldErrorKind::Invalid;

    /// Names what is expected, as in "must be …".
    fn expected() -> Cow<'static, str>;

    /// Reads a value that is not `null`.
    fn from_json(value: &Value) -> Option<Self>;
}

/// The fields of one object, and the faults found in the whole request so far.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    pointer: &'static str,
    faults: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// Begins with the body of a request.
    pub(crate) const fn new(
        object: &'a Map<String, Value>,
        faults: &'a mut Vec<FieldError>,
    ) -> Self {
        Self {
            object: Some(object),
            pointer: "",
            faults,
        }
    }

    /// Goes into a nested object, `pointer` being its whole JSON pointer. One that is absent, `null` or `[]`
    /// (PHP's empty object) has no fields.
    pub(crate) fn nested(&mut self, pointer: &'static str) -> Fields<'_> {
        let key = pointer.rsplit('/').next().unwrap_or(pointer);
        let object = match self.object.and_then(|object| object.get(key)) {
            Some(Value::Object(object)) => Some(object),
            Some(Value::Array(items)) if items.is_empty() => None,
            Some(Value::Null) | None => None,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                self.faults.push(FieldError::new(
                    pointer,
                    FieldErrorKind::Invalid,
                    "Must be an object.",
                ));
                None
            }
        };
        Fields {
            object,
            pointer,
            faults: self.faults,
        }
    }

    /// Reads one field.
    pub(crate) fn get<T: FromJson>(&mut self, key: &'static str) -> Sent<T> {
        match self.object.and_then(|object| object.get(key)) {
            None => Sent::Absent,
            Some(Value::Null) => Sent::Null,
            Some(value) => match T::from_json(value) {
                Some(value) => Sent::Value(value),
                None => {
                    self.refuse(key, T::FAULT, format!("Must be {}.", T::expected()));
                    Sent::Refused
                }
            },
        }
    }

    /// Reads a text that `parse` turns into a value; `expected` completes "Must be …".
    pub(crate) fn get_parsed<T>(
        &mut self,
        key: &'static str,
        kind: FieldErrorKind,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Sent<T> {
        match self.get::<String>(key) {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Refused => Sent::Refused,
            Sent::Value(text) => match parse(&text) {
                Some(value) => Sent::Value(value),
                None => {
                    self.refuse(key, kind, format!("Must be {expected}."));
                    Sent::Refused
                }
            },
        }
    }

    /// Sets `target` where the field is sent; `null` sets it to `unset`.
    pub(crate) fn set<T: FromJson>(&mut self, key: &'static str, target: &mut T, unset: T) {
        match self.get(key) {
            Sent::Absent | Sent::Refused => {}
            Sent::Null => *target = unset,
            Sent::Value(value) => *target = value,
        }
    }

    /// Sets `target` where the field is sent; `null` clears it.
    pub(crate) fn set_nullable<T: FromJson>(&mut self, key: &'static str, target: &mut Option<T>) {
        match self.get(key) {
            Sent::Absent | Sent::Refused => {}
            Sent::Null => *target = None,
            Sent::Value(value) => *target = Some(value),
        }
    }

    /// Notes a fault of a field.
    pub(crate) fn refuse(&mut self, key: &'static str, kind: FieldErrorKind, detail: String) {
        self.faults.push(FieldError::new(
            format!("{}/{key}", self.pointer),
            kind,
            detail,
        ));
    }
}

/// Ends the reading of a request: joins the faults of its form with those of its values. A field is
/// only named once, for a value that could not be read is also missing where it is required.
///
/// # Errors
///
/// Hands back the faults, if there are any.
pub(crate) fn check<T>(
    mut faults: Vec<FieldError>,
    checked: Result<T, FieldErrors>,
) -> Result<T, FieldErrors> {
    let value = match checked {
        Ok(value) if faults.is_empty() => return Ok(value),
        Ok(_) => None,
        Err(FieldErrors(more)) => Some(more),
    };
    for fault in value.into_iter().flatten() {
        if faults.iter().all(|have| have.pointer != fault.pointer) {
            faults.push(fault);
        }
    }
    Err(FieldErrors(faults))
}

impl FromJson for String {
    fn expected() -> Cow<'static, str> {
        "a string".into()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromJson for bool {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for u32 {
    fn expected() -> Cow<'static, str> {
        "a whole number that is not negative".into()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value
            .as_u64()
            .and_then(|number| Self::try_from(number).ok())
    }
}

impl FromJson for Vec<String> {
    fn expected() -> Cow<'static, str> {
        "a list of strings".into()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::from_json).collect()
    }
}

macro_rules! words {
    ($($name:ty)+) => {$(
        impl FromJson for $name {
            const FAULT: FieldErrorKind = FieldErrorKind::NotListed;

            fn expected() -> Cow<'static, str> {
                format!("one of {}", Self::NAMES.join("; ")).into()
            }

            fn from_json(value: &Value) -> Option<Self> {
                value.as_str().and_then(Self::from_name)
            }
        }
    )+};
}

words! {
    AniNumberFormat AniOverrideType AnchorsiteOverride CallingPreference DnisNumberFormat DtmfType EncryptedMedia
    NoiseSuppression NoiseSuppressionEngine RoutingMethod RtcpPort SimultaneousRinging T38ReinviteSource
    WebhookApiVersion
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn absent_null_value_and_wrong_type_are_four_things() {
        let body = object(json!({"b": null, "c": "x", "d": 5}));
        let mut faults = Vec::new();
        let mut fields = Fields::new(&body, &mut faults);
        assert_eq!(fields.get::<String>("a"), Sent::Absent);
        assert_eq!(fields.get::<String>("b"), Sent::Null);
        assert_eq!(fields.get("c"), Sent::Value("x".to_owned()));
        assert_eq!(fields.get::<String>("d"), Sent::Refused);
        assert_eq!(faults.len(), 1);
        assert_eq!(
            (faults[0].pointer.as_ref(), faults[0].detail.as_ref()),
            ("/d", "Must be a string.")
        );
    }

    #[test]
    fn nested_objects_carry_their_pointer() {
        let body =
            object(json!({"inbound": {"codecs": "OPUS"}, "outbound": [], "rtcp": 7, "none": null}));
        let mut faults = Vec::new();
        let mut fields = Fields::new(&body, &mut faults);
        assert_eq!(
            fields.nested("/inbound").get::<Vec<String>>("codecs"),
            Sent::Refused
        );
        assert_eq!(fields.nested("/outbound").get::<bool>("x"), Sent::Absent);
        assert_eq!(fields.nested("/rtcp").get::<bool>("x"), Sent::Absent);
        assert_eq!(fields.nested("/none").get::<bool>("x"), Sent::Absent);
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_ref()).collect();
        assert_eq!(pointers, ["/inbound/codecs", "/rtcp"]);
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        for (value, expected) in [
            (json!(0), Some(0)),
            (json!(4_294_967_295_u32), Some(u32::MAX)),
            (json!(4_294_967_296_u64), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("1"), None),
            (json!(true), None),
        ] {
            assert_eq!(u32::from_json(&value), expected, "{value}");
        }
    }

    #[test]
    fn null_clears_or_restores() {
        let body = object(json!({"a": null, "b": null, "c": 3}));
        let mut faults = Vec::new();
        let mut fields = Fields::new(&body, &mut faults);
        let (mut a, mut b, mut c, mut d) = (Some(1_u32), 2_u32, 1_u32, 9_u32);
        fields.set_nullable("a", &mut a);
        fields.set("b", &mut b, 7);
        fields.set("c", &mut c, 7);
        fields.set("d", &mut d, 7);
        assert_eq!((a, b, c, d), (None, 7, 3, 9));
    }
}
