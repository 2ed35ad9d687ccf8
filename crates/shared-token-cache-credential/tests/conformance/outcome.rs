//! What comes of a call: the result, and what it leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::Json;
use crate::vector::{Failure, FileBody, Kind, Method, Vector};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Token, Failure>,
    pub(crate) requests: Vec<Request>,
    /// The waits between requests in seconds, those that are not zero.
    pub(crate) sleeps: Vec<f64>,
    pub(crate) left: Left,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Token {
    pub(crate) token: Json,
    pub(crate) expires_on: i64,
    /// `get_token` says no more than that.
    pub(crate) info: Option<Info>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Info {
    pub(crate) refresh_on: Option<i64>,
    pub(crate) token_type: Json,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) form: BTreeMap<String, String>,
}

/// What is there afterwards.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Left {
    Caches { nocae: Json, cae: Json },
    Files(BTreeMap<String, FileLeft>),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct FileLeft {
    pub(crate) mode: String,
    pub(crate) content: Content,
}

/// The content of a file. JSON compares by value: its layout is the writer's own.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Content {
    Json(Json),
    Text(String),
    Base64(String),
}

impl Outcome {
    /// What a vector says that comes of it.
    pub(crate) fn expected_by(vector: &Vector) -> Result<Self, String> {
        let expected = &vector.expected;
        let result = match (&expected.error_kind, &expected.token) {
            (Some(failure), None) => Err(*failure),
            (None, Some(token)) => Ok(Token {
                token: token.clone(),
                expires_on: expected.expires_on.ok_or("a token without expires_on")?,
                info: match (
                    vector.call.method,
                    &expected.refresh_on,
                    &expected.token_type,
                ) {
                    (Method::GetToken, None, None) => None,
                    (Method::GetTokenInfo, Some(refresh_on), Some(token_type)) => Some(Info {
                        refresh_on: match refresh_on {
                            Json::Null => None,
                            Json::Number(n) => Some(n.as_i64().ok_or("a refresh_on that is none")?),
                            _ => return Err("a refresh_on that is none".to_owned()),
                        },
                        token_type: token_type.clone(),
                    }),
                    _ => return Err("refresh_on and token_type do not fit the method".to_owned()),
                },
            }),
            _ => return Err("neither a token nor an error, or both".to_owned()),
        };
        let requests = vector.expected_requests.iter().map(|request| Request {
            method: request.method.clone(),
            url: request.url.clone(),
            form: request.form.clone(),
        });
        let after = |after: &Option<Json>| after.clone().unwrap_or_else(Json::empty_object);
        let left = match (vector.kind, &vector.expected_files_after) {
            (Kind::Lookup, None) => Left::Caches {
                nocae: after(&vector.expected_cache_after),
                cae: after(&vector.expected_cae_cache_after),
            },
            (Kind::File, Some(files)) => Left::Files(
                files
                    .iter()
                    .map(|(name, file)| Ok((name.clone(), FileLeft::of(file)?)))
                    .collect::<Result<_, String>>()?,
            ),
            _ => return Err("what is left does not fit the kind".to_owned()),
        };
        Ok(Self {
            result,
            requests: requests.collect(),
            sleeps: vector.expected_sleeps.clone(),
            left,
        })
    }
}

impl FileLeft {
    pub(crate) fn of(file: &FileBody) -> Result<Self, String> {
        let content = match (&file.json, &file.text, &file.base64) {
            (Some(json), None, None) => Content::Json(json.clone()),
            (None, Some(text), None) => Content::of_text(text),
            (None, None, Some(base64)) => Content::Base64(base64.clone()),
            _ => return Err("a file is one of json, text and base64".to_owned()),
        };
        Ok(Self {
            mode: file.mode.clone().unwrap_or_else(|| "0600".to_owned()),
            content,
        })
    }
}

impl Content {
    /// A text is JSON if it is an object.
    pub(crate) fn of_text(text: &str) -> Self {
        match Json::parse(text) {
            Some(json) if json.is_object() => Self::Json(json),
            _ => Self::Text(text.to_owned()),
        }
    }
}
