//! Whether a connection goes through a proxy, and through which.

use std::fmt;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::env;
use crate::token_endpoint::error::{TransportError, TransportErrorKind};

/// The variables that name a proxy for https, and those that name the hosts to reach without one.
/// Of each the first that is set and not empty counts.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Where an explicit setting comes from, for messages.
const GIVEN: &str = "the proxy that was set";

/// Which proxy there is, and for which hosts. Never shows its password.
pub(super) struct ProxyRules {
    matcher: Matcher,
    /// The variable that it stands in.
    origin: &'static str,
    malformed: bool,
}

/// The proxy for a connection.
pub(super) struct Proxy {
    intercept: Intercept,
    origin: &'static str,
}

impl ProxyRules {
    /// Straight to every host.
    pub(super) fn none() -> Self {
        Self::parse(GIVEN, "", "")
    }

    /// What the environment says now. What is wrong in it is told to who needs it.
    pub(super) fn of_environment() -> Self {
        Self::of_variables(env::first_of)
    }

    fn of_variables(first_of: impl Fn(&[&'static str]) -> Option<(&'static str, String)>) -> Self {
        let (origin, proxy) = first_of(&PROXY).unwrap_or_default();
        let (_, no_proxy) = first_of(&NO_PROXY).unwrap_or_default();
        // To the matcher this means every name, and no address.
        if no_proxy.split(',').any(|entry| entry.trim() == "*") {
            return Self::none();
        }
        Self::parse(origin, &proxy, &no_proxy)
    }

    /// This proxy for every host.
    pub(super) fn given(url: &str) -> Result<Self, TransportError> {
        let rules = Self::parse(GIVEN, url, "");
        if url.is_empty() {
            return Err(rules.malformed());
        }
        rules.proxy_for(&Uri::from_static("https://localhost/"))?;
        Ok(rules)
    }

    fn parse(origin: &'static str, proxy: &str, no_proxy: &str) -> Self {
        Self {
            matcher: Matcher::builder().https(proxy).no(no_proxy).build(),
            origin,
            malformed: !proxy.is_empty() && !is_well_formed(proxy),
        }
    }

    /// The proxy to reach this address through, if any.
    pub(super) fn proxy_for(&self, address: &Uri) -> Result<Option<Proxy>, TransportError> {
        if self.malformed {
            return Err(self.malformed());
        }
        let Some(intercept) = self.matcher.intercept(address) else {
            return Ok(None);
        };
        match intercept.uri().scheme_str() {
            Some("http") => Ok(Some(Proxy {
                intercept,
                origin: self.origin,
            })),
            scheme => Err(self.unusable(&format!(
                "names a proxy to be spoken to by {}",
                scheme.unwrap_or("nothing")
            ))),
        }
    }

    fn malformed(&self) -> TransportError {
        self.unusable("is not the URL of a proxy")
    }

    /// What is wrong, without the value: it may hold a password, or be one.
    fn unusable(&self, what: &str) -> TransportError {
        let text = format!(
            "{} {what}: supported is http://host:port, with user:password@ (percent-encoded) \
             before the host where the proxy wants that",
            self.origin
        );
        TransportError::new(TransportErrorKind::Setup, text)
    }
}

/// Whether this is a URL of host and port, with user info at most. The matcher takes more, and
/// then reads a password with an unencoded `/`, `#` or `@` as a part of the host.
fn is_well_formed(proxy: &str) -> bool {
    let accepts = Matcher::builder().https(proxy).build();
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let Ok(Some(parsed)) = proxy.parse().map(|uri: Uri| uri.authority().cloned()) else {
        return false;
    };
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    parsed == authority
        && authority.matches('@').count() <= 1
        && (host_and_port == parsed.host() || parsed.port_u16().is_some())
        && accepts
            .intercept(&Uri::from_static("https://localhost/"))
            .is_some()
}

impl Proxy {
    /// The address of the proxy itself: host and port.
    pub(super) fn address(&self) -> &Uri {
        self.intercept.uri()
    }

    /// What it is to be told about who asks.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }
}

/// Host and port, and where they were named.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.intercept.uri();
        let port = uri.port_u16().unwrap_or(80);
        let host = uri.host().unwrap_or_default();
        write!(f, "the proxy {host}:{port}")?;
        if self.origin != GIVEN {
            write!(f, " of {}", self.origin)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(variables: &[(&'static str, &str)]) -> ProxyRules {
        ProxyRules::of_variables(|names| {
            let value = |name: &&'static str| {
                let (name, value) = variables.iter().find(|(known, _)| known == name)?;
                Some((*name, (*value).to_owned()))
            };
            names.iter().find_map(value)
        })
    }

    fn shown(rules: &ProxyRules, address: &str) -> String {
        match rules.proxy_for(&address.parse().unwrap()) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "none".to_owned(),
            Err(error) => {
                assert_eq!(error.kind(), TransportErrorKind::Setup);
                format!("{error}")
            }
        }
    }

    #[test]
    fn the_more_particular_variable_wins_and_the_upper_case() {
        let all = [
            ("all_proxy", "http://d:1"),
            ("ALL_PROXY", "http://c:1"),
            ("https_proxy", "http://b:1"),
            ("HTTPS_PROXY", "http://a:1"),
        ];
        for (count, expected) in [
            (0, "none"),
            (1, "the proxy d:1 of all_proxy"),
            (2, "the proxy c:1 of ALL_PROXY"),
            (3, "the proxy b:1 of https_proxy"),
            (4, "the proxy a:1 of HTTPS_PROXY"),
        ] {
            let rules = rules(&all[..count]);
            assert_eq!(shown(&rules, "https://login.example/t"), expected);
        }
        let other = rules(&[("HTTP_PROXY", "http://e:1"), ("http_proxy", "http://e:1")]);
        assert_eq!(shown(&other, "https://login.example/t"), "none");
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_straight() {
        for (no_proxy, host, straight) in [
            ("login.example", "login.example", true),
            ("login.example", "login.example:8443", true),
            ("login.example", "LOGIN.example", true),
            (".example", "login.example", true),
            ("example", "login.example", true),
            ("a, example ,b", "login.example", true),
            ("*", "login.example", true),
            ("a, *", "127.0.0.1", true),
            ("in.example", "login.example", false),
            ("127.0.0.1", "127.0.0.1:1", true),
            ("127.0.0.0/8", "127.1.2.3", true),
            ("::1", "[::1]:1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "localhost", false),
            (" , ", "login.example", false),
        ] {
            for variable in NO_PROXY {
                let rules = rules(&[("HTTPS_PROXY", "p:3128"), (variable, no_proxy)]);
                let shown = shown(&rules, &format!("https://{host}/t"));
                let expected = if straight {
                    "none"
                } else {
                    "the proxy p:3128 of HTTPS_PROXY"
                };
                assert_eq!(shown, expected, "{no_proxy} {host}");
            }
        }
    }

    #[test]
    fn user_and_password_go_where_they_belong_and_are_not_shown() {
        for (url, authorization) in [
            ("http://p", None),
            ("p:80", None),
            ("http://p:80/", None),
            ("http://ada:se%40cret@p:80", Some("Basic YWRhOnNlQGNyZXQ=")),
            ("ada:secret@p:80", Some("Basic YWRhOnNlY3JldA==")),
            ("http://ada@p", Some("Basic YWRhOg==")),
        ] {
            let rules = ProxyRules::given(url).unwrap();
            let proxy = rules
                .proxy_for(&Uri::from_static("https://login.example/"))
                .unwrap()
                .unwrap();
            assert_eq!(proxy.to_string(), "the proxy p:80");
            let header = proxy.authorization().map(|value| value.to_str().unwrap());
            assert_eq!(header, authorization);
            assert!(proxy.authorization().is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn a_proxy_may_be_an_address() {
        for url in ["http://127.0.0.1:3128", "http://ada:secret@[::1]:3128/"] {
            let host = url
                .rsplit(['@', '/'])
                .find(|part| part.contains(':'))
                .unwrap();
            let rules = ProxyRules::given(url).unwrap();
            let shown = shown(&rules, "https://login.example/");
            assert_eq!(shown, format!("the proxy {host}"));
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_value() {
        for url in [
            "http://",
            "http://ada:canary@",
            "http://ada:can@ary@p:80",
            "http://ada:can/ary@p:80",
            "http://ada:can#ary@p:80",
            "http://ada:can?ary@p:80",
            "http://ada:1/canary@p:80",
            "http://ada:can ary@p:80",
            "http://p:canary",
            "http://p:99999",
            "http://p:80/canary",
            "canary://p:80",
            "/canary",
            "\u{fffd}canary",
        ] {
            let rules = rules(&[("ALL_PROXY", url)]);
            let text = shown(&rules, "https://login.example/t");
            let expected = "ALL_PROXY is not the URL of a proxy: supported is http://host:port,";
            assert!(text.starts_with(expected), "{url}: {text}");
            assert!(!text.contains("canary") && !text.contains("can"), "{text}");
            assert!(ProxyRules::given(url).is_err());
        }
        assert!(ProxyRules::given("").is_err());
    }

    #[test]
    fn other_ways_to_speak_to_a_proxy_are_told_to_whom_they_concern() {
        for scheme in ["https", "socks5", "socks5h", "socks4"] {
            let url = format!("{scheme}://ada:canary@p:80");
            let rules = rules(&[("HTTPS_PROXY", &url), ("NO_PROXY", "straight.example")]);
            let text = shown(&rules, "https://login.example/t");
            let expected = format!("HTTPS_PROXY names a proxy to be spoken to by {scheme}: ");
            assert!(text.starts_with(&expected), "{text}");
            assert!(!text.contains("canary"), "{text}");
            assert_eq!(shown(&rules, "https://straight.example/t"), "none");
        }
    }
}
