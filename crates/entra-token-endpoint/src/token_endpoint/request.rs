use std::borrow::Cow;
use std::fmt;

use token_credential::Secret;
use zeroize::Zeroizing;

/// The form of a grant, to be posted to a token endpoint (RFC 6749 sections 4 and 6).
///
/// `Debug` shows the address, the id, the names of the fields, and whether it is repeatable.
#[derive(Clone)]
pub struct TokenRequest {
    url: String,
    client_request_id: Option<String>,
    user_agent: Cow<'static, str>,
    is_repeatable: bool,
    form: Vec<(&'static str, Secret)>,
}

/// The `User-Agent` of a request whose sender names no program.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

impl TokenRequest {
    /// Makes an empty form for this address, that is not repeatable.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            client_request_id: None,
            user_agent: Cow::Borrowed(USER_AGENT),
            is_repeatable: false,
            form: Vec::new(),
        }
    }

    /// Adds a field behind those that are there.
    pub fn with_field(mut self, name: &'static str, value: Secret) -> Self {
        self.form.push((name, value));
        self
    }

    /// Returns the same form for another address: for tests and gateways that stand in for the server.
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Sets the id by which this request is found in the server's logs: one for a call, kept over
    /// its retries. One that cannot stand in a header makes the request fail.
    pub fn with_client_request_id(mut self, id: impl Into<String>) -> Self {
        self.client_request_id = Some(id.into());
        self
    }

    /// Sets the `User-Agent`, `my-program/1.0` for example. By default it is this crate's name and
    /// version. One that cannot stand in a header makes the request fail.
    pub fn with_user_agent(mut self, user_agent: impl Into<Cow<'static, str>>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets whether [`post`](crate::post) may send this form again after the server may have acted
    /// on it. By default it may not, because an authorization code or a device code is valid once.
    /// A refresh token of Entra may be redeemed twice.
    pub fn with_repeatable(mut self, is_repeatable: bool) -> Self {
        self.is_repeatable = is_repeatable;
        self
    }

    /// Returns the address: `https://{host}/{tenant}/oauth2/v2.0/token`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the id for the server's logs.
    pub fn client_request_id(&self) -> Option<&str> {
        self.client_request_id.as_deref()
    }

    /// Returns the `User-Agent`.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Returns `true` if the form may be sent again after the server may have acted on it.
    pub fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Returns the fields in their order.
    pub fn form(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.form.iter().map(|(name, value)| (*name, value))
    }

    /// Returns the form as `application/x-www-form-urlencoded`, in memory that is overwritten afterwards.
    pub fn body(&self) -> Zeroizing<String> {
        // Every byte takes at most three, so the text never grows and leaves no copy behind.
        let room = self
            .form
            .iter()
            .map(|(n, v)| 3 * (n.len() + v.expose_secret().len()) + 2)
            .sum();
        let mut body = Zeroizing::new(String::with_capacity(room));
        for (name, value) in self.form() {
            if !body.is_empty() {
                body.push('&');
            }
            push_encoded(&mut body, name);
            body.push('=');
            push_encoded(&mut body, value.expose_secret());
        }
        body
    }
}

fn push_encoded(body: &mut String, text: &str) {
    // Mostly it is a long token that stands for itself. Without a way out in the middle that is
    // seen in large steps.
    let stands_for_itself =
        |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'*');
    let is_plain = |so_far, byte| so_far & stands_for_itself(byte);
    if text.bytes().fold(true, is_plain) {
        body.push_str(text);
    } else {
        body.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.form().map(|(name, _)| name).collect();
        f.debug_struct("TokenRequest")
            .field("url", &self.url)
            .field("client_request_id", &self.client_request_id)
            .field("fields", &fields)
            .field("is_repeatable", &self.is_repeatable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_form_that_never_grew() {
        let request = TokenRequest::new("https://login.example/t/oauth2/v2.0/token")
            .with_field("scope", Secret::new("a/.default openid"))
            .with_field("refresh_token", Secret::new("\u{20ac}&="));
        let body = request.body();
        assert_eq!(
            *body,
            "scope=a%2F.default+openid&refresh_token=%E2%82%AC%26%3D"
        );
        assert!(body.capacity() >= body.len());
        assert_eq!(body.capacity(), 3 * (5 + 17 + 13 + 5) + 4);
    }

    #[test]
    fn every_byte_is_encoded_as_the_library_does() {
        // Each by itself, for a text is encoded as a whole or not at all.
        let texts: Vec<String> = ('\0'..='\u{ff}').map(String::from).collect();
        for text in texts
            .iter()
            .map(String::as_str)
            .chain(["", "a-b.c_d*E9", "a~b", "a b"])
        {
            let mut expected = form_urlencoded::Serializer::new(String::new());
            expected.append_pair("name", text).append_pair("x", "");
            let request = TokenRequest::new("https://login.example")
                .with_field("name", Secret::new(text))
                .with_field("x", Secret::new(""));
            assert_eq!(*request.body(), expected.finish(), "{text:?}");
        }
    }

    #[test]
    fn a_form_is_sent_once_unless_its_sender_says_otherwise() {
        let request = TokenRequest::new("https://login.example");
        assert!(!request.is_repeatable());
        assert!(request.with_repeatable(true).is_repeatable());
    }

    #[test]
    fn debug_shows_no_value() {
        let request =
            TokenRequest::new("https://login.example").with_field("scope", Secret::new("canary"));
        assert!(!format!("{request:?}").contains("canary"));
    }
}
