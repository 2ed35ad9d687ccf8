use std::fmt;

use bytes::Bytes;
use hyper::http::request::Parts;

/// A request as it arrived.
///
/// `Debug` shows the address and the names of the fields.
#[derive(Clone)]
pub struct SeenRequest {
    /// The HTTP method.
    pub method: String,
    /// The path with its query, as sent.
    pub path: String,
    /// The first segment of the path, as sent: a GUID, a domain name, `organizations`.
    pub tenant: String,
    /// The fields of the form, decoded, in their order.
    pub form: Vec<(String, String)>,
    /// The headers in their order, the names in lower case.
    pub headers: Vec<(String, String)>,
    /// The client's port: the same for all requests of one connection.
    pub peer_port: u16,
}

impl SeenRequest {
    pub(super) fn new(head: &Parts, body: &Bytes, peer_port: u16) -> Self {
        let path = head.uri.to_string();
        let tenant = head.uri.path().split('/').nth(1).unwrap_or_default();
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        Self {
            method: head.method.to_string(),
            tenant: tenant.to_owned(),
            path,
            form: form_urlencoded::parse(body).into_owned().collect(),
            headers: headers.collect(),
            peer_port,
        }
    }

    /// The value of a field of the form, if it is there.
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// The value of a header, if it is there; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The scopes asked for, in their order.
    pub fn scopes(&self) -> Vec<&str> {
        self.field("scope")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .collect()
    }
}

fn find<'a>(pairs: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.as_str())
}

impl fmt::Debug for SeenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.form.iter().map(|(name, _)| name).collect();
        f.debug_struct("SeenRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("fields", &fields)
            .field("peer_port", &self.peer_port)
            .finish_non_exhaustive()
    }
}
