//! The document against the contract: no schema of an answer may be looser than the public one, which the
//! official SDKs were generated from. `fixtures/contract.json` has its facts.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ringtrip_api::ROUTES;
use serde_json::Value;

use crate::document::{DOCUMENT, resolved};

static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../fixtures/contract.json")).unwrap());

/// Words that answers have beyond the contract's, and why.
const MORE_WORDS: &[(&str, &str)] = &[
    // The contract lists it for requests only; what was set is shown.
    ("webhook_api_version", "texml"),
];

/// What answers leave out of the contract, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    // Optional: the address of a page about the error.
    ("errors[]", "meta"),
    // Optional: no list of ours is answered in part.
    ("GET /v2/phone_numbers 200", "errors"),
];

/// Operations of the contract that are not offered: recordings, and the call control that they go with.
const NOT_OFFERED: &[&str] = &[
    "DELETE /v2/recordings/{recording_id}",
    "GET /v2/calls/{call_control_id}",
    "GET /v2/recordings",
    "GET /v2/recordings/{recording_id}",
];

/// A schema as the two documents write it, with references followed.
#[derive(Clone, Copy)]
enum Side {
    Ours,
    Theirs,
}

impl Side {
    fn resolve(self, schema: &'static Value) -> &'static Value {
        match (self, schema["$ref"].as_str()) {
            (_, None) => schema,
            (Self::Ours, Some(_)) => resolved(schema),
            (Self::Theirs, Some(reference)) => {
                let pointer = reference.strip_prefix('#').unwrap();
                self.resolve(CONTRACT.pointer(pointer).unwrap())
            }
        }
    }

    /// Lists the alternatives of a schema, and whether `null` is one.
    fn alternatives(self, schema: &'static Value) -> (Vec<&'static Value>, bool) {
        let schema = self.resolve(schema);
        let Some(any) = schema.get("anyOf").or_else(|| schema.get("oneOf")) else {
            return (vec![schema], types(schema).contains("null"));
        };
        let (mut all, mut null) = (Vec::new(), false);
        for one in any.as_array().unwrap() {
            if self.resolve(one)["type"] == "null" {
                null = true;
            } else {
                let (more, nullable) = self.alternatives(one);
                all.extend(more);
                null |= nullable;
            }
        }
        (all, null)
    }
}

fn types(schema: &Value) -> BTreeSet<&str> {
    match &schema["type"] {
        Value::String(one) => BTreeSet::from([one.as_str()]),
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => BTreeSet::new(),
    }
}

fn words(schema: &'static Value) -> Option<BTreeSet<&'static str>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(listed), _) => Some(
            listed
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect(),
        ),
        (None, Some(one)) => Some(BTreeSet::from([one.as_str().unwrap()])),
        (None, None) => None,
    }
}

/// Lists where a schema of ours takes what the contract's does not, or lacks what that has.
fn compare(ours: &'static Value, theirs: &'static Value, place: &str, looser: &mut Vec<String>) {
    let (theirs, _) = Side::Theirs.alternatives(theirs);
    let [theirs] = theirs.as_slice() else {
        panic!("{place}: the contract has one sort of values");
    };
    let (ours, _) = Side::Ours.alternatives(ours);
    let keys = ours
        .iter()
        .filter_map(|one| one["properties"].as_object())
        .flat_map(|map| map.keys());
    let known: BTreeSet<_> = keys.map(String::as_str).collect();
    for ours in ours {
        compare_one(ours, theirs, &known, place, looser);
    }
}

/// Compares one alternative of ours; `known` are the properties of all of them.
fn compare_one(
    ours: &'static Value,
    theirs: &'static Value,
    known: &BTreeSet<&str>,
    place: &str,
    looser: &mut Vec<String>,
) {
    let mut note = |what: String| looser.push(format!("{place}: {what}"));
    let wanted = types(theirs);
    if !wanted.is_empty() {
        let have = types(ours);
        let fits = |one: &&str| {
            *one == "null" || wanted.contains(one) || *one == "integer" && wanted.contains("number")
        };
        if have.is_empty() || !have.iter().all(fits) {
            note(format!("is {have:?}, not {wanted:?}"));
        }
    }
    if let Some(wanted) = words(theirs) {
        let field = place.rsplit('.').next().unwrap();
        let allowed = |word: &&str| wanted.contains(word) || MORE_WORDS.contains(&(field, *word));
        match words(ours) {
            None => note(format!("may be anything, not only {wanted:?}")),
            Some(have) if !have.iter().all(allowed) => {
                note(format!("is one of {have:?}, not of {wanted:?}"))
            }
            Some(_) => {}
        }
    }
    // A URL that is unset may be an empty text; the other formats are promises.
    if let Some(format @ ("date-time" | "uuid")) = theirs["format"].as_str()
        && ours["format"] != format
    {
        note(format!("has not the format {format}"));
    }
    for (bound, keeps) in [
        (
            "minimum",
            (|ours, theirs| ours >= theirs) as fn(f64, f64) -> bool,
        ),
        ("maximum", |ours, theirs| ours <= theirs),
        ("minLength", |ours, theirs| ours >= theirs),
    ] {
        if let Some(theirs) = theirs[bound].as_f64()
            && !ours[bound].as_f64().is_some_and(|ours| keeps(ours, theirs))
        {
            note(format!("has the {bound} {}, not {theirs}", ours[bound]));
        }
    }
    let required = |schema: &Value, key: &str| {
        let listed = schema["required"].as_array();
        listed.is_some_and(|listed| listed.iter().any(|one| one == key))
    };
    for (key, wanted) in theirs["properties"].as_object().into_iter().flatten() {
        let Some(have) = ours["properties"].get(key) else {
            let left_out = LEFT_OUT
                .iter()
                .any(|(at, left)| place.ends_with(at) && left == key);
            if !known.contains(key.as_str()) && !left_out {
                note(format!("has no {key}"));
            }
            continue;
        };
        if required(theirs, key) {
            if !required(ours, key) {
                note(format!("may come without {key}"));
            }
            // Optional properties that are unset are null; these are not optional.
            if Side::Ours.alternatives(have).1 && !Side::Theirs.alternatives(wanted).1 {
                note(format!("may have null for {key}"));
            }
        }
    }
    for (key, wanted) in theirs["properties"].as_object().into_iter().flatten() {
        if let Some(have) = ours["properties"].get(key) {
            compare(have, wanted, &format!("{place}.{key}"), looser);
        }
    }
    if let Some(wanted) = theirs.get("items") {
        match ours.get("items") {
            Some(have) => compare(have, wanted, &format!("{place}[]"), looser),
            None => looser.push(format!("{place}: may list anything")),
        }
    }
}

/// Finds the route of an operation of the contract, whatever the parts in braces are called.
fn route_of(operation: &str) -> Option<&'static str> {
    let plain = |path: &str| {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "{}" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let (method, path) = operation.split_once(' ').unwrap();
    ROUTES
        .iter()
        .find(|route| route.method == method && plain(route.path) == plain(path))
        .map(|route| route.path)
}

#[test]
fn no_answer_is_looser_than_the_contract() {
    let mut looser = Vec::new();
    let mut compared = 0;
    for (operation, answers) in CONTRACT["operations"].as_object().unwrap() {
        let Some(path) = route_of(operation) else {
            continue;
        };
        let method = operation.split_once(' ').unwrap().0.to_ascii_lowercase();
        let ours = &DOCUMENT["paths"][path][method]["responses"];
        for (status, contents) in answers.as_object().unwrap() {
            let place = format!("{operation} {status}");
            let Some(declared) = ours.get(status) else {
                // An error that cannot occur need not be told of.
                if status.starts_with('2') {
                    looser.push(format!("{place}: is no answer"));
                }
                continue;
            };
            for (content_type, wanted) in contents.as_object().unwrap() {
                match resolved(declared)["content"].get(content_type) {
                    Some(have) => compare(&have["schema"], wanted, &place, &mut looser),
                    None => looser.push(format!("{place}: is no {content_type}")),
                }
                compared += 1;
            }
        }
        for status in ours
            .as_object()
            .unwrap()
            .keys()
            .filter(|status| status.starts_with('2'))
        {
            if answers.get(status).is_none() {
                looser.push(format!("{operation}: answers with {status}"));
            }
        }
    }
    assert!(looser.is_empty(), "{}", looser.join("\n"));
    assert!(compared >= 12, "only {compared} answers were compared");
}

#[test]
fn every_operation_of_the_contract_is_offered_but_those_of_recordings_and_call_control() {
    let operations = CONTRACT["operations"].as_object().unwrap().keys();
    let missing: BTreeSet<_> = operations
        .map(String::as_str)
        .filter(|operation| route_of(operation).is_none())
        .collect();
    assert_eq!(missing, NOT_OFFERED.iter().copied().collect());
}
