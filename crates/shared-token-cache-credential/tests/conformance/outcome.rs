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
    pub(crate) secret: Json,
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
                secret: token.clone(),
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

impl Outcome {
    /// Puts the outcome in the place of what a vector says.
    pub(crate) fn put_into(&self, vector: &mut Json) {
        let mut expected = Json::empty_object();
        match &self.result {
            Err(failure) => expected.set("error_kind", Json::text(failure.name())),
            Ok(token) => {
                let number = |n: i64| Json::Number(n.into());
                expected.set("token", token.secret.clone());
                expected.set("expires_on", number(token.expires_on));
                if let Some(info) = &token.info {
                    expected.set("refresh_on", info.refresh_on.map_or(Json::Null, number));
                    expected.set("token_type", info.token_type.clone());
                }
            }
        }
        vector.set("expected", expected);
        let requests = self.requests.iter().map(|request| {
            let form = request.form.iter();
            let form = form.map(|(name, value)| (name.clone(), Json::text(value)));
            Json::Object(vec![
                ("method".to_owned(), Json::text(&request.method)),
                ("url".to_owned(), Json::text(&request.url)),
                ("form".to_owned(), Json::Object(form.collect())),
            ])
        });
        vector.set("expected_requests", Json::List(requests.collect()));
        let sleeps = self
            .sleeps
            .iter()
            .filter_map(|s| serde_json::Number::from_f64(*s));
        vector.set(
            "expected_sleeps",
            Json::List(sleeps.map(Json::Number).collect()),
        );
        match &self.left {
            Left::Caches { nocae, cae } => {
                vector.set("expected_cache_after", nocae.clone());
                vector.set("expected_cae_cache_after", cae.clone());
            }
            Left::Files(files) => {
                let files = files.iter().map(|(name, file)| {
                    let (kind, content) = match &file.content {
                        Content::Json(json) => ("json", json.clone()),
                        Content::Text(text) => ("text", Json::text(text)),
                        Content::Base64(base64) => ("base64", Json::text(base64)),
                    };
                    let members = vec![
                        ("mode".to_owned(), Json::text(&file.mode)),
                        (kind.to_owned(), content),
                    ];
                    (name.clone(), Json::Object(members))
                });
                vector.set("expected_files_after", Json::Object(files.collect()));
            }
        }
    }
}
