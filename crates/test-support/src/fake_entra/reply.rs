use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::Answer;
use super::context::Context;
use super::entra_error::EntraError;
use crate::guid;

/// What a [`FakeEntra`](super::FakeEntra) is told to answer next.
///
/// ```
/// use std::time::Duration;
/// use serde_json::json;
/// use test_support::{EntraError, Reply};
///
/// let slow = Reply::success().delayed(Duration::from_secs(2));
/// let no_identity = Reply::success().without("id_token").without("client_info");
/// let guest = Reply::success().with_id_claim("tid", json!("9d1f..."));
/// let refused = Reply::error(EntraError::Revoked);
/// let busy = Reply::error(EntraError::Throttled).with_header("retry-after", "20");
/// ```
#[derive(Clone)]
pub struct Reply {
    content: Content,
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    edits: Vec<Edit>,
    body_limit: Option<usize>,
    delay: Duration,
    ending: Ending,
}

#[derive(Clone)]
enum Content {
    Default,
    Error(EntraError),
    Json(Value),
    Raw(&'static str, Vec<u8>),
}

/// A member set to a value, or removed.
#[derive(Clone)]
enum Edit {
    Member(&'static str, Option<Value>),
    IdClaim(&'static str, Option<Value>),
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    KeepOpen,
    /// Closed after the answer, without a word in the answer's head.
    HangUp,
    /// Dropped, without a TLS goodbye, before the answer begins.
    Drop,
    /// The same after so many bytes of the body.
    DropWithin(usize),
}

/// A reply with all decisions taken.
pub(super) struct Rendered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) ending: Ending,
}

impl Reply {
    fn new(content: Content) -> Self {
        Self {
            content,
            status: None,
            headers: Vec::new(),
            edits: Vec::new(),
            body_limit: None,
            delay: Duration::ZERO,
            ending: Ending::KeepOpen,
        }
    }

    /// What Entra would answer without a script: tokens, if the request deserves them.
    pub fn success() -> Self {
        Self::new(Content::Default)
    }

    /// A refusal, whatever the request says.
    pub fn error(error: EntraError) -> Self {
        Self::new(Content::Error(error))
    }

    /// Status 200 with this JSON, which need not be an object.
    pub fn json(body: Value) -> Self {
        Self::new(Content::Json(body))
    }

    /// Status 200 with this body.
    pub fn raw(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::Raw(content_type, body.into()))
    }

    /// Status 200 with a page that a captive portal might put between.
    pub fn proxy_page() -> Self {
        let page = "<!DOCTYPE html><html><head><title>Guest network</title></head>\
                    <body><h1>Please accept the terms of use</h1></body></html>";
        Self::raw("text/html; charset=utf-8", page)
    }

    /// A redirect, 301 to 308, to another address.
    pub fn redirect(status: u16, location: impl AsRef<str>) -> Self {
        Self::raw("text/html; charset=utf-8", "")
            .with_status(status)
            .with_header("location", location)
    }

    /// No answer: the connection drops when the request has arrived.
    pub fn dropped() -> Self {
        let mut reply = Self::success();
        reply.ending = Ending::Drop;
        reply
    }

    /// Sets a member of the JSON answer.
    ///
    /// # Panics
    ///
    /// When this is no JSON answer.
    pub fn with(self, member: &'static str, value: Value) -> Self {
        self.edited(Edit::Member(member, Some(value)))
    }

    /// Removes a member of the JSON answer.
    ///
    /// # Panics
    ///
    /// When this is no JSON answer.
    pub fn without(self, member: &'static str) -> Self {
        self.edited(Edit::Member(member, None))
    }

    /// Sets a claim of the ID token, if the answer has one.
    ///
    /// # Panics
    ///
    /// When this is no JSON answer.
    pub fn with_id_claim(self, claim: &'static str, value: Value) -> Self {
        self.edited(Edit::IdClaim(claim, Some(value)))
    }

    /// Removes a claim of the ID token, if the answer has one.
    ///
    /// # Panics
    ///
    /// When this is no JSON answer.
    pub fn without_id_claim(self, claim: &'static str) -> Self {
        self.edited(Edit::IdClaim(claim, None))
    }

    fn edited(mut self, edit: Edit) -> Self {
        let has_members = match &self.content {
            Content::Default | Content::Error(_) => true,
            Content::Json(body) => body.is_object(),
            Content::Raw(..) => false,
        };
        assert!(has_members, "this reply has no members to change");
        self.edits.push(edit);
        self
    }

    /// Sets the lifetime of the access token, in seconds.
    pub fn with_expires_in(self, seconds: u64) -> Self {
        self.with("expires_in", seconds.into())
            .with("ext_expires_in", seconds.into())
    }

    /// Sets the status.
    ///
    /// # Panics
    ///
    /// When HTTP has no such status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(StatusCode::from_u16(status).expect("a status"));
        self
    }

    /// Sets a header, in place of one that is there.
    ///
    /// # Panics
    ///
    /// When name or value are none that HTTP allows.
    pub fn with_header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let name = name.parse().expect("a header's name");
        let value = value.as_ref().parse().expect("a header's value");
        self.headers.push((name, value));
        self
    }

    /// Cuts the body to so many bytes, with a `Content-Length` that says so: broken JSON in a
    /// whole answer.
    pub fn cut_to(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Waits before answering; the request counts as arrived at once.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection after the answer, which says so: `Connection: close`.
    pub fn then_close(self) -> Self {
        self.with_header(CONNECTION.as_str(), "close")
    }

    /// Closes the connection after the answer, which does not say so: what an idle timeout looks
    /// like to a pool.
    pub fn then_hang_up(mut self) -> Self {
        self.ending = Ending::HangUp;
        self
    }

    /// Drops the connection after so many bytes of the body, whose `Content-Length` promised more.
    pub fn dropped_within(mut self, bytes: usize) -> Self {
        self.ending = Ending::DropWithin(bytes);
        self
    }

    /// The members to answer with, if there are any; `default` asks the directory.
    pub(super) fn answer(
        &self,
        context: &Context<'_>,
        default: impl FnOnce() -> Answer,
    ) -> Option<Answer> {
        match &self.content {
            Content::Default => Some(default()),
            Content::Error(error) => Some(error.answer(context)),
            Content::Json(Value::Object(members)) => {
                Some(Answer::new(StatusCode::OK, members.clone()))
            }
            Content::Json(_) | Content::Raw(..) => None,
        }
    }

    pub(super) fn render(self, context: &Context<'_>, answer: Option<Answer>) -> Rendered {
        let (status, content_type, mut body) = match (answer, self.content) {
            (Some(answer), _) => {
                let status = answer.status;
                (status, JSON, edited(answer, self.edits).to_string().into())
            }
            (None, Content::Raw(content_type, body)) => (StatusCode::OK, content_type, body),
            (None, Content::Json(body)) => (StatusCode::OK, JSON, body.to_string().into()),
            (None, Content::Default | Content::Error(_)) => {
                unreachable!("these always have an answer")
            }
        };
        if let Some(limit) = self.body_limit {
            body.truncate(limit);
        }
        let mut headers = HeaderMap::new();
        if content_type == JSON {
            entra_headers(&mut headers, context);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, body.len().into());
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        Rendered {
            status: self.status.unwrap_or(status),
            headers,
            body: body.into(),
            delay: self.delay,
            ending: self.ending,
        }
    }
}

const JSON: &str = "application/json; charset=utf-8";

fn edited(mut answer: Answer, edits: Vec<Edit>) -> Value {
    let (id_claims, members): (Vec<_>, Vec<_>) = edits
        .into_iter()
        .partition(|edit| matches!(edit, Edit::IdClaim(..)));
    if let Some(id_token) = &mut answer.id_token {
        for edit in id_claims {
            edit.apply(&mut id_token.claims);
        }
        let id_token = id_token.encode();
        answer
            .members
            .insert("id_token".to_owned(), id_token.into());
    }
    for edit in members {
        edit.apply(&mut answer.members);
    }
    Value::Object(answer.members)
}

impl Edit {
    fn apply(self, members: &mut serde_json::Map<String, Value>) {
        match self {
            Self::Member(name, Some(value)) | Self::IdClaim(name, Some(value)) => {
                members.insert(name.to_owned(), value);
            }
            Self::Member(name, None) | Self::IdClaim(name, None) => {
                members.remove(name);
            }
        }
    }
}

fn entra_headers(headers: &mut HeaderMap, context: &Context<'_>) {
    let id = |text: &str| HeaderValue::from_str(text).expect("an id is a valid header");
    for (name, value) in [
        ("cache-control", "no-store, no-cache"),
        ("pragma", "no-cache"),
        ("expires", "-1"),
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-ms-ests-server", "2.1.0.0 - TEST ProdSlices"),
        (
            "set-cookie",
            "stsservicecookie=estsfd; path=/; secure; samesite=none; httponly",
        ),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert("x-ms-request-id", id(&guid::random()));
    headers.insert("client-request-id", id(&context.correlation_id));
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("delay", &self.delay)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}
