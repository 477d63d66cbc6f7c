//! What the document says of an operation. Most of it is read off the handler: its extractors say what it
//! takes and how that can fail ([`Input`]), its return type what it answers ([`Answer`]). A resource's file
//! adds, in its `operations` module, what types cannot tell: a sentence, the query parameters, and the code
//! that reads the body.

use std::collections::BTreeMap;
use std::future::Future;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use ringtrip_model::{AccountId, FieldErrors, Generator, Timestamp};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::{self, ApiError};
use crate::fields::{self, Fields, FromJson};
use crate::page::MAX_SIZE;
use crate::schema::words;

/// One operation of the document.
#[derive(Debug)]
pub(crate) struct Operation {
    summary: &'static str,
    description: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// Whether the handler reads an object, whose shape must be declared.
    reads_object: bool,
    needs_key: bool,
    answers: BTreeMap<u16, Value>,
}

/// What the code that reads a body is given when it is only to be described: an account at some time.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) account: AccountId,
    pub(crate) now: Timestamp,
    pub(crate) rng: Generator,
}

impl Operation {
    /// Begins with a short sentence in the imperative, without a full stop.
    pub(crate) fn new(summary: &'static str) -> Self {
        Self {
            summary,
            description: None,
            parameters: Vec::new(),
            body: None,
            reads_object: false,
            needs_key: false,
            answers: BTreeMap::new(),
        }
    }

    /// Adds what else a caller should know, in full sentences.
    pub(crate) fn description(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    /// Describes the body by the code that reads and checks it: `read` is run on an empty object, and again
    /// with each field set to `null`, and nothing it makes is kept.
    pub(crate) fn body<T>(
        mut self,
        read: impl Fn(&mut Fields<'_>, &mut Sample) -> Result<T, FieldErrors>,
    ) -> Self {
        self.body = Some(fields::record(|fields| {
            let mut rng = Generator::from_seed([1; 32]);
            let mut sample = Sample {
                account: AccountId::generate(&mut rng),
                now: Timestamp::from_secs(1_800_000_000),
                rng,
            };
            read(fields, &mut sample)
        }));
        self
    }

    /// Describes a body that is no object read by [`Fields`].
    pub(crate) fn raw_body(mut self, schema: Value) -> Self {
        self.body = Some(schema);
        self
    }

    /// Adds `page[number]` and `page[size]` with their aliases, as [`crate::page::PageRequest::read`] takes them.
    pub(crate) fn paged(self, default_size: u32) -> Self {
        self.paged_up_to(default_size, MAX_SIZE)
    }

    /// As [`Operation::paged`], for lists whose pages may not be as large.
    pub(crate) fn paged_up_to(mut self, default_size: u32, max_size: u32) -> Self {
        let number = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1});
        let size =
            json!({"type": "integer", "minimum": 1, "maximum": max_size, "default": default_size});
        for (name, schema, text) in [
            ("page[number]", &number, "Which page, counted from 1."),
            ("page[size]", &size, "Rows on a page."),
            ("page_number", &number, "Wins over page[number]."),
            ("page_size", &size, "Wins over page[size]."),
        ] {
            self = self.query(name, schema.clone(), text);
        }
        self
    }

    /// Adds `sort`, as [`crate::page::read_sort`] takes it.
    pub(crate) fn sorted<T>(self, fields: &[(&str, T)]) -> Self {
        let up = fields.iter().map(|(name, _)| (*name).to_owned());
        let down = fields.iter().map(|(name, _)| format!("-{name}"));
        let names: Vec<_> = up.chain(down).collect();
        let schema = json!({"type": "string", "enum": names});
        self.query("sort", schema, "The order; with - the greatest first.")
    }

    /// Adds `filter[<field>]`, whose text is read as a `T` is in a body.
    pub(crate) fn filter<T: FromJson>(self, field: &str, text: &'static str) -> Self {
        self.query(&format!("filter[{field}]"), T::schema(), text)
    }

    /// Adds `filter[<field>][<operator>]`.
    pub(crate) fn filter_by<T: FromJson>(
        self,
        field: &str,
        operator: &str,
        text: &'static str,
    ) -> Self {
        self.query(&format!("filter[{field}][{operator}]"), T::schema(), text)
    }

    /// Adds `filter[<field>]`, which takes one or several of some words with commas between.
    pub(crate) fn filter_any(self, field: &str, names: &[&str], text: &'static str) -> Self {
        let schema = json!({"type": "array", "items": words(names)});
        let mut operation = self.query(&format!("filter[{field}]"), schema, text);
        if let Some(Value::Object(parameter)) = operation.parameters.last_mut() {
            parameter.insert("explode".to_owned(), false.into());
        }
        operation
    }

    /// Adds a query parameter that may be left out.
    pub(crate) fn query(self, name: &str, schema: Value, text: &'static str) -> Self {
        self.parameter("query", name, false, schema, text)
    }

    /// Adds a query parameter that must be there.
    pub(crate) fn required_query(self, name: &str, schema: Value, text: &'static str) -> Self {
        self.parameter("query", name, true, schema, text)
    }

    /// Adds a header of the request.
    pub(crate) fn header(
        self,
        name: &str,
        required: bool,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameter("header", name, required, schema, text)
    }

    fn parameter(
        mut self,
        place: &str,
        name: &str,
        required: bool,
        schema: Value,
        text: &str,
    ) -> Self {
        let mut parameter = Map::new();
        parameter.insert("name".to_owned(), name.into());
        parameter.insert("in".to_owned(), place.into());
        if required {
            parameter.insert("required".to_owned(), true.into());
        }
        if !text.is_empty() {
            parameter.insert("description".to_owned(), text.into());
        }
        parameter.insert("schema".to_owned(), schema);
        self.parameters.push(Value::Object(parameter));
        self
    }

    /// Says that it may be refused with a status that its handler's types do not tell of, such as 422 where
    /// something in use is not deleted.
    pub(crate) fn may_fail(mut self, status: StatusCode) -> Self {
        self.fails(status);
        self
    }

    /// Reads off a handler what its types tell.
    pub(crate) fn of<H: Handler<A>, A>(mut self, _: H, schemas: &mut SchemaGenerator) -> Self {
        H::describe(&mut self, schemas);
        self
    }

    /// Prints it under its id.
    ///
    /// # Panics
    ///
    /// When its declaration and its handler do not fit: a test builds the document.
    pub(crate) fn finish(self, id: &str, tag: &str, path: &str) -> Value {
        for name in path.split('/').filter_map(|segment| {
            let inner = segment.strip_prefix('{')?;
            inner.strip_suffix('}')
        }) {
            let known = self
                .parameters
                .iter()
                .any(|parameter| parameter["in"] == "path" && parameter["name"] == name);
            assert!(known, "{id} does not describe {{{name}}} of its path");
        }
        assert!(
            !self.reads_object || self.body.is_some(),
            "{id} reads an object but does not describe it"
        );
        let mut operation = json!({
            "operationId": id,
            "tags": [tag],
            "summary": self.summary,
            "security": if self.needs_key { json!([{"ApiKey": []}]) } else { json!([]) },
            "responses": self
                .answers
                .into_iter()
                .map(|(status, answer)| (status.to_string(), answer))
                .collect::<Map<_, _>>(),
        });
        if let Some(text) = self.description {
            operation["description"] = text.into();
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(schema) = self.body {
            let required = schema.get("required").is_some();
            operation["requestBody"] = json!({
                "required": required,
                "content": {"application/json": {"schema": schema}},
            });
        }
        operation
    }

    /// Says what it needs: the key of an account.
    pub(crate) fn needs_key(&mut self) {
        self.needs_key = true;
    }

    /// Says that it reads an object, which [`Operation::body`] describes.
    pub(crate) fn reads_object(&mut self) {
        self.reads_object = true;
    }

    /// Adds the parameter that stands in braces in the path.
    pub(crate) fn in_path(&mut self, name: &str, schema: Value) {
        self.parameters.insert(
            0,
            json!({"name": name, "in": "path", "required": true, "schema": schema}),
        );
    }

    /// Adds a header that a request may bring.
    pub(crate) fn in_header(&mut self, name: &str, schema: Value, text: &str) {
        self.parameters
            .push(json!({"name": name, "in": "header", "description": text, "schema": schema}));
    }

    /// Adds an error answer.
    pub(crate) fn fails(&mut self, status: StatusCode) {
        let reference =
            json!({"$ref": format!("#/components/responses/{}", error::answer_name(status))});
        self.answers.insert(status.as_u16(), reference);
    }

    /// Adds an answer with a body.
    pub(crate) fn answers(&mut self, status: StatusCode, content_type: &str, schema: Value) {
        self.answers.insert(
            status.as_u16(),
            json!({
                "description": status.canonical_reason().unwrap_or_default(),
                "headers": common_headers(),
                "content": {content_type: {"schema": schema}},
            }),
        );
    }

    /// Adds an answer without a body.
    pub(crate) fn answers_nothing(&mut self, status: StatusCode) {
        self.answers.insert(
            status.as_u16(),
            json!({
                "description": status.canonical_reason().unwrap_or_default(),
                "headers": common_headers(),
            }),
        );
    }
}

/// Describes the headers that every answer has.
pub(crate) fn common_headers() -> Value {
    json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}})
}

/// What a handler takes from a request.
pub(crate) trait Input {
    /// Adds what is taken, and how that can fail.
    fn describe(operation: &mut Operation) {
        let _ = operation;
    }
}

/// What a handler answers with.
pub(crate) trait Answer {
    /// Adds the statuses and the bodies.
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

/// An async function from [`Input`]s to an [`Answer`].
pub(crate) trait Handler<Args> {
    /// Adds what its types tell.
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

macro_rules! handlers {
    ($(($($input:ident)*))+) => {$(
        impl<F, A, R, $($input),*> Handler<($($input,)*)> for F
        where
            F: FnOnce($($input),*) -> A,
            A: Future<Output = R>,
            R: Answer,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
                $($input::describe(operation);)*
                R::describe(operation, schemas);
            }
        }
    )+};
}

handlers! {
    ()
    (I1)
    (I1 I2)
    (I1 I2 I3)
    (I1 I2 I3 I4)
    (I1 I2 I3 I4 I5)
    (I1 I2 I3 I4 I5 I6)
    (I1 I2 I3 I4 I5 I6 I7)
    (I1 I2 I3 I4 I5 I6 I7 I8)
}

impl<T> Input for State<T> {}

// What is taken from them, a declaration must say.
impl Input for HeaderMap {}
impl Input for Body {}

impl<T: Answer> Answer for Result<T, ApiError> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        T::describe(operation, schemas);
        operation.fails(StatusCode::INTERNAL_SERVER_ERROR);
        operation.fails(StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// Describes a type of an answer, as a reference where it has a name.
pub(crate) fn schema_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}
