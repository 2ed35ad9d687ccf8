//! The form of a vector file. A member that is not known here fails the file: it would not be
//! compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::json::Json;

/// A file. Its vectors are read one by one, so that one of a strange form fails alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Which versions of the original were recorded: for the reader.
    #[serde(default, rename = "packages")]
    _packages: Option<Json>,
    #[serde(default)]
    pub(crate) lookup: Vec<Json>,
    #[serde(default)]
    pub(crate) record: Vec<Json>,
    #[serde(default)]
    pub(crate) constructor: Vec<Json>,
}

/// A vector of whatever kind.
///
/// # Errors
///
/// It has a member that is not known, or lacks one.
pub(crate) fn read<T: serde::de::DeserializeOwned>(vector: &Json) -> Result<T, String> {
    serde_json::from_str(&vector.to_string()).map_err(|error| error.to_string())
}

/// The name of a vector, for the report.
pub(crate) fn name_of(vector: &Json) -> &str {
    vector.str("name").unwrap_or("(without a name)")
}

/// A call for a token.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(crate) kind: Kind,
    #[serde(default, deserialize_with = "given")]
    pub(crate) cache: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) cae_cache: Option<Json>,
    #[serde(default)]
    pub(crate) cache_load_fails: bool,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, FileBody>,
    #[serde(default)]
    pub(crate) constructor: Constructor,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) call: Call,
    pub(crate) now: i64,
    #[serde(default)]
    pub(crate) within_chain: bool,
    #[serde(default)]
    pub(crate) transport: Vec<Answer>,
    pub(crate) expected: Expected,
    #[serde(default)]
    pub(crate) expected_requests: Vec<ExpectedRequest>,
    #[serde(default)]
    pub(crate) expected_sleeps: Vec<f64>,
    /// How long the original waited before it read a bad file again; ours waits as it sees fit.
    #[serde(default, rename = "expected_local_sleeps")]
    _expected_local_sleeps: Vec<f64>,
    #[serde(default)]
    pub(crate) expected_cache_after: Option<Json>,
    #[serde(default)]
    pub(crate) expected_cae_cache_after: Option<Json>,
    #[serde(default)]
    pub(crate) expected_files_after: Option<BTreeMap<String, FileBody>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Lookup,
    File,
}

/// A file: exactly one of `json`, `text` and `base64`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileBody {
    #[serde(default, deserialize_with = "given")]
    pub(crate) json: Option<Json>,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) base64: Option<String>,
    #[serde(default)]
    pub(crate) mode: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constructor {
    #[serde(default)]
    pub(crate) username: Option<String>,
    #[serde(default)]
    pub(crate) tenant_id: Option<String>,
    #[serde(default)]
    pub(crate) authority: Option<String>,
    #[serde(default)]
    pub(crate) additionally_allowed_tenants: Vec<String>,
    /// The members of a record's JSON.
    #[serde(default)]
    pub(crate) authentication_record: Option<Json>,
    #[serde(default)]
    pub(crate) cache_name: Option<String>,
    #[serde(default)]
    pub(crate) allow_unencrypted_storage: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) claims: Option<String>,
    #[serde(default)]
    pub(crate) tenant_id: Option<String>,
    /// What Python takes for true.
    #[serde(default, deserialize_with = "given")]
    pub(crate) enable_cae: Option<Json>,
    #[serde(default)]
    pub(crate) method: Method,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    #[default]
    GetTokenInfo,
    GetToken,
}

/// What the transport answers: a status with a body, or an error.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) json: Option<Json>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<AnswerError>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnswerError {
    Connect,
    Read,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    #[serde(default, deserialize_with = "given")]
    pub(crate) token: Option<Json>,
    #[serde(default, deserialize_with = "seconds")]
    pub(crate) expires_on: Option<i64>,
    /// Absent is not compared, null is none.
    #[serde(default, deserialize_with = "given")]
    pub(crate) refresh_on: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) token_type: Option<Json>,
    #[serde(default)]
    pub(crate) error_kind: Option<Failure>,
    // Python's own words, for the reader.
    #[serde(default, rename = "exception")]
    _exception: Option<String>,
    #[serde(default, rename = "message")]
    _message: Option<String>,
    #[serde(default, rename = "response_status")]
    _response_status: Option<u16>,
    #[serde(default, rename = "phase")]
    _phase: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Unavailable,
    AuthenticationFailed,
    InvalidArgument,
    /// An exception of the original that is no authentication error.
    Other,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) form: BTreeMap<String, String>,
    // The same once more as it went over the wire, in Python's order.
    #[serde(default, rename = "body")]
    _body: Option<String>,
    #[serde(default, rename = "headers")]
    _headers: BTreeMap<String, String>,
}

/// A record that is read or written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordVector {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(crate) op: RecordOp,
    /// A text to read, or an object of fields to write.
    pub(crate) input: Json,
    #[serde(default)]
    pub(crate) expected: Option<RecordExpected>,
    #[serde(default)]
    pub(crate) expected_reserialized: Option<String>,
    #[serde(default)]
    pub(crate) expected_text: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordOp {
    Deserialize,
    Serialize,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordExpected {
    #[serde(default, deserialize_with = "given")]
    pub(crate) authority: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) client_id: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) home_account_id: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) tenant_id: Option<Json>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) username: Option<Json>,
    #[serde(default)]
    pub(crate) error_kind: Option<Failure>,
    #[serde(default, rename = "exception")]
    _exception: Option<String>,
    #[serde(default, rename = "message")]
    _message: Option<String>,
}

/// A credential that is built, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstructorVector {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    #[serde(default)]
    pub(crate) constructor: Constructor,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default, rename = "within_chain")]
    _within_chain: bool,
    pub(crate) expected: ConstructorExpected,
}

/// An error, or nothing for a success.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstructorExpected {
    #[serde(default)]
    pub(crate) ok: Option<bool>,
    #[serde(default)]
    pub(crate) error_kind: Option<Failure>,
    #[serde(default, rename = "exception")]
    _exception: Option<String>,
    #[serde(default, rename = "message")]
    _message: Option<String>,
    #[serde(default, rename = "phase")]
    _phase: Option<String>,
}

/// A time; Python knows larger ones than we do.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
    let seconds =
        |number: serde_json::Number| number.as_i64().or_else(|| Some(number.as_f64()? as i64));
    Ok(number.and_then(seconds))
}

/// A member that is there, null included.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl Failure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::AuthenticationFailed => "authentication_failed",
            Self::InvalidArgument => "invalid_argument",
            Self::Other => "other",
        }
    }
}

impl Call {
    /// Whether Python would take it for true.
    pub(crate) fn enables_cae(&self) -> bool {
        match &self.enable_cae {
            None | Some(Json::Null | Json::Bool(false)) => false,
            Some(Json::Number(number)) => number.as_f64() != Some(0.0),
            Some(Json::Text(text)) => !text.is_empty(),
            Some(Json::List(list)) => !list.is_empty(),
            Some(object @ Json::Object(_)) => !object.members().is_empty(),
            Some(Json::Bool(true)) => true,
        }
    }
}
