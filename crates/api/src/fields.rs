//! Reads the fields of a JSON object into typed values, and names every field that has the wrong
//! type. What is not asked for is passed over.
//!
//! The same code describes itself: [`record`] runs it on an empty object and notes what it asks for, so
//! a request's schema cannot differ from what is read.

use std::borrow::Cow;
use std::str::FromStr;

use ringtrip_model::{Country, E164, FieldError, FieldErrorKind, FieldErrors, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::schema::{Named, Printed, allow_null, forbid_null, words};

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

    /// Describes the values that are read, without `null`.
    fn schema() -> Value;

    /// Reads a value that is not `null`.
    fn from_json(value: &Value) -> Option<Self>;
}

/// What is known of a field beyond its type; for the document alone, the model checks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// A number from one to the other.
    Range(u32, u32),
    /// A number that is a multiple of this.
    MultipleOf(u32),
    /// A text of at least and at most so many characters.
    Chars(usize, usize),
    /// A list of at most so many entries, each a text of at most so many characters.
    Entries(usize, usize),
    /// A text that matches a regular expression.
    Pattern(&'static str),
}

/// A country code of two letters (ISO 3166-1 alpha-2).
pub(crate) const COUNTRY: Limit = Limit::Pattern("^[A-Za-z]{2}$");
/// An absolute `http` or `https` URL, or nothing.
pub(crate) const URL: Limit = Limit::Pattern(
    r"^([Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f\x7f/?#:@][^\s\x00-\x1f\x7f/?#@]*([/?#][^\s\x00-\x1f\x7f]*)?)?$",
);
/// A text that is not blank.
pub(crate) const NOT_BLANK: Limit = Limit::Pattern(r"\S");

/// The fields of one object, and the faults found in the whole request so far.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    pointer: &'static str,
    faults: &'a mut Vec<FieldError>,
    /// The properties asked for so far, when the reading is only to be described.
    asked: Option<&'a mut Map<String, Value>>,
}

/// Reads a body: `read` asks for its fields and makes the value, whose own faults are joined with those of the form.
///
/// # Errors
///
/// Hands back the faults, if there are any.
pub(crate) fn read<T>(
    body: &Map<String, Value>,
    read: impl FnOnce(&mut Fields<'_>) -> Result<T, FieldErrors>,
) -> Result<T, FieldErrors> {
    let mut faults = Vec::new();
    let made = read(&mut Fields::new(body, &mut faults));
    check(faults, made)
}

/// Describes the bodies that `read` takes, as JSON Schema.
///
/// On an empty object, `read` tells which fields it asks for and which of them are missing; with a field
/// set to `null` or to an empty text, whether it takes that.
pub(crate) fn record<T>(read: impl Fn(&mut Fields<'_>) -> Result<T, FieldErrors>) -> Value {
    let run = |body: &Map<String, Value>, asked: Option<&mut Map<String, Value>>| {
        let mut faults = Vec::new();
        let made = read(&mut Fields {
            asked,
            ..Fields::new(body, &mut faults)
        });
        check(faults, made)
            .err()
            .map_or(Vec::new(), |faults| faults.0)
    };
    let mut properties = Map::new();
    let faults = run(&Map::new(), Some(&mut properties));
    let mut object = json!({"type": "object", "properties": properties});
    for fault in faults {
        if fault.kind != FieldErrorKind::Missing {
            continue;
        }
        // An object with a required field is required itself.
        let mut pointer = fault.pointer.as_ref();
        while let Some((parent, key)) = pointer.rsplit_once('/') {
            if let Some(Value::Object(parent)) = object.pointer_mut(&schema_pointer(parent)) {
                let required = parent.entry("required").or_insert_with(|| json!([]));
                if let Value::Array(required) = required
                    && !required.iter().any(|known| known == key)
                {
                    required.push(key.into());
                    required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
            }
            pointer = parent;
        }
    }
    let mut pointers = Vec::new();
    list_pointers(&object, "", &mut pointers);
    for pointer in pointers {
        let refuses = |value: Value| {
            let faults = run(&body_with(&pointer, value), None);
            faults.iter().any(|fault| {
                let inside = fault.pointer.strip_prefix(pointer.as_str());
                inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        if let Some(Value::Object(schema)) = object.pointer_mut(&schema_pointer(&pointer)) {
            if refuses(Value::Null) {
                forbid_null(schema);
            }
            let plain_text = [
                "enum",
                "format",
                "pattern",
                "minLength",
                "items",
                "properties",
            ]
            .iter()
            .all(|key| !schema.contains_key(*key));
            if plain_text && schema["type"].to_string().contains("string") && refuses("".into()) {
                schema.insert("minLength".to_owned(), 1.into());
            }
        }
    }
    object
}

/// Turns the pointer of a field into the pointer of its schema.
fn schema_pointer(pointer: &str) -> String {
    pointer.replace('/', "/properties/")
}

fn list_pointers(object: &Value, prefix: &str, pointers: &mut Vec<String>) {
    let properties = object.get("properties").and_then(Value::as_object);
    for (key, schema) in properties.into_iter().flatten() {
        let pointer = format!("{prefix}/{key}");
        list_pointers(schema, &pointer, pointers);
        pointers.push(pointer);
    }
}

/// Makes the object that holds `value` at a pointer, and nothing else.
fn body_with(pointer: &str, value: Value) -> Map<String, Value> {
    let mut value = value;
    for key in pointer.rsplit('/').filter(|key| !key.is_empty()) {
        value = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    }
    match value {
        Value::Object(body) => body,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
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
            asked: None,
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
        let asked = self.asked.as_deref_mut().and_then(|asked| {
            let nested = asked
                .entry(key)
                .or_insert_with(|| json!({"type": ["object", "null"], "properties": {}}));
            nested.get_mut("properties")?.as_object_mut()
        });
        Fields {
            object,
            pointer,
            faults: self.faults,
            asked,
        }
    }

    /// Adds to the description of a field.
    pub(crate) fn limit(&mut self, key: &'static str, limit: Limit) {
        let facts = match limit {
            Limit::Range(min, max) => json!({"minimum": min, "maximum": max}),
            Limit::MultipleOf(step) => json!({"multipleOf": step}),
            Limit::Chars(0, max) => json!({"maxLength": max}),
            Limit::Chars(min, max) => json!({"minLength": min, "maxLength": max}),
            Limit::Entries(max, chars) => {
                json!({"maxItems": max, "items": {"type": "string", "maxLength": chars}})
            }
            Limit::Pattern(pattern) => json!({"pattern": pattern}),
        };
        self.describe(key, facts);
    }

    /// Notes facts of a field while the reading is described.
    fn describe(&mut self, key: &str, facts: Value) {
        if let Some(asked) = self.asked.as_deref_mut()
            && let Value::Object(schema) = asked.entry(key).or_insert_with(|| json!({}))
            && let Value::Object(facts) = facts
        {
            schema.extend(facts);
        }
    }

    /// As [`Fields::describe`], for what a type says of its values: a limit of the field is narrower, and stays.
    fn describe_type(&mut self, key: &str, facts: Value) {
        if let Some(asked) = self.asked.as_deref_mut()
            && let Value::Object(schema) = asked.entry(key).or_insert_with(|| json!({}))
            && let Value::Object(mut facts) = facts
        {
            allow_null(&mut facts);
            for (name, fact) in facts {
                schema.entry(name).or_insert(fact);
            }
        }
    }

    /// Reads one field.
    pub(crate) fn get<T: FromJson>(&mut self, key: &'static str) -> Sent<T> {
        if self.asked.is_some() {
            self.describe_type(key, T::schema());
        }
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

    /// Reads the id of a thing; `what` says of which sort, as in "The connection does not exist.". A blank text
    /// is as good as `null`.
    pub(crate) fn get_reference<T: Printed + FromStr>(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Sent<T> {
        let sent = match self.get::<String>(key) {
            Sent::Absent => Sent::Absent,
            Sent::Null => Sent::Null,
            Sent::Refused => Sent::Refused,
            Sent::Value(text) if text.trim().is_empty() => Sent::Null,
            Sent::Value(text) => match text.parse() {
                Ok(id) => Sent::Value(id),
                Err(_) => {
                    let detail = format!("The {what} does not exist.");
                    self.refuse(key, FieldErrorKind::NoSuchResource, detail);
                    Sent::Refused
                }
            },
        };
        self.describe_printed::<T>(key);
        sent
    }

    /// Sets the id of a thing where one is sent; `null` and a blank text both unset it.
    pub(crate) fn set_reference<T: Printed + FromStr>(
        &mut self,
        key: &'static str,
        what: &str,
        target: &mut Option<T>,
    ) {
        match self.get_reference(key, what) {
            Sent::Absent | Sent::Refused => {}
            Sent::Null => *target = None,
            Sent::Value(id) => *target = Some(id),
        }
    }

    /// Notes, while the reading is described, that a field is what a `T` is printed as, or `null`.
    pub(crate) fn describe_printed<T: Printed>(&mut self, key: &str) {
        if self.asked.is_some() {
            self.describe_type(key, T::schema());
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

    /// Notes that a required field is absent or blank.
    pub(crate) fn missing(&mut self, key: &'static str) {
        let pointer = format!("{}/{key}", self.pointer);
        self.faults.push(FieldError::missing(pointer));
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

    fn schema() -> Value {
        json!({"type": "string"})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromJson for bool {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }

    fn schema() -> Value {
        json!({"type": "boolean"})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for u32 {
    fn expected() -> Cow<'static, str> {
        "a whole number that is not negative".into()
    }

    fn schema() -> Value {
        json!({"type": "integer", "minimum": 0, "maximum": Self::MAX})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value
            .as_u64()
            .and_then(|number| Self::try_from(number).ok())
    }
}

impl FromJson for Timestamp {
    fn expected() -> Cow<'static, str> {
        "an ISO 8601 date with a time, such as 2026-11-21T09:30:00Z".into()
    }

    fn schema() -> Value {
        <Self as Printed>::schema()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromJson for f64 {
    fn expected() -> Cow<'static, str> {
        "a number".into()
    }

    fn schema() -> Value {
        json!({"type": "number"})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_f64().filter(|number| number.is_finite())
    }
}

impl FromJson for Uuid {
    fn expected() -> Cow<'static, str> {
        "a UUID".into()
    }

    fn schema() -> Value {
        <Self as Printed>::schema()
    }

    /// Reads the hyphenated form, 36 characters, in either case.
    fn from_json(value: &Value) -> Option<Self> {
        let text = value.as_str().filter(|text| text.len() == 36)?;
        Self::try_parse(text).ok()
    }
}

impl FromJson for E164 {
    const FAULT: FieldErrorKind = FieldErrorKind::NotE164;

    fn expected() -> Cow<'static, str> {
        "a telephone number in +E.164 format, such as +13125550123".into()
    }

    fn schema() -> Value {
        <Self as Printed>::schema()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromJson for Country {
    fn expected() -> Cow<'static, str> {
        "the two capital letters of a country (ISO 3166-1 alpha-2)".into()
    }

    fn schema() -> Value {
        <Self as Printed>::schema()
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::from_alpha2)
    }
}

impl FromJson for Map<String, Value> {
    fn expected() -> Cow<'static, str> {
        "an object".into()
    }

    fn schema() -> Value {
        json!({"type": "object"})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_object().cloned()
    }
}

impl FromJson for Vec<String> {
    fn expected() -> Cow<'static, str> {
        "a list of strings".into()
    }

    fn schema() -> Value {
        json!({"type": "array", "items": {"type": "string"}})
    }

    fn from_json(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::from_json).collect()
    }
}

/// A list of enumerated words.
impl<T: Named> FromJson for Vec<T> {
    const FAULT: FieldErrorKind = FieldErrorKind::NotListed;

    fn expected() -> Cow<'static, str> {
        format!("a list, each entry one of {}", T::NAMES.join("; ")).into()
    }

    fn schema() -> Value {
        json!({"type": "array", "items": words(T::NAMES)})
    }

    fn from_json(value: &Value) -> Option<Self> {
        let entries = value.as_array()?.iter();
        entries.map(|entry| T::from_name(entry.as_str()?)).collect()
    }
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
    fn a_reading_describes_itself() {
        let described = record(|fields| {
            let mut name = String::new();
            fields.set("name", &mut name, String::new());
            fields.limit("name", Limit::Chars(0, 255));
            fields.set_nullable::<u32>("limit", &mut None);
            fields.limit("limit", Limit::Range(1, 10));
            let mut inner = fields.nested("/inner");
            inner.set("on", &mut true, true);
            if matches!(inner.get::<String>("why"), Sent::Absent | Sent::Null) {
                inner.missing("why");
            }
            if name.is_empty() {
                fields.missing("name");
            }
            Ok(())
        });
        assert_eq!(
            described,
            json!({
                "type": "object",
                "required": ["inner", "name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 255},
                    "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
                    "inner": {
                        "type": "object",
                        "required": ["why"],
                        "properties": {
                            "on": {"type": ["boolean", "null"]},
                            "why": {"type": "string"},
                        },
                    },
                },
            })
        );
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
