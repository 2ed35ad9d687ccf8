//! An authority, as a program names it and as cached entries do. Pure.

use entra_token_endpoint::Authority;
use msal_token_cache::identifier::is_same_environment;
use msal_token_cache::same_cloud;
use token_credential::{Error, ErrorKind, Result};

/// Reads the authority that the program names.
pub(crate) fn parse_authority(text: &str) -> Result<Authority> {
    Authority::parse(text).map_err(|error| {
        let text = format!(
            "{error}: write it as https://login.microsoftonline.com, in AZURE_AUTHORITY_HOST, the \
             builder's authority or the authentication record"
        );
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

/// Compares an authority with the entries of a cache.
pub(crate) trait KnowsEnvironment {
    /// Returns `true` if an entry's `environment` names this authority's cloud. Some writers add
    /// the port of a private host.
    fn knows(&self, environment: &str) -> bool;
}

impl KnowsEnvironment for Authority {
    fn knows(&self, environment: &str) -> bool {
        same_cloud(self.host(), environment)
            || (self.port().is_some() && is_same_environment(&self.to_string(), environment))
    }
}

#[cfg(test)]
mod tests {
    use msal_token_cache::identifier::is_host;
    use msal_token_cache::{is_known_cloud, is_usable_secret, known_hosts};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_authority_knows_the_aliases_of_its_cloud() {
        let public = Authority::parse("login.microsoftonline.com").expect("an authority");
        assert!(public.knows("login.windows.net"));
        assert!(!public.knows("login.microsoftonline.us"));
        let own = Authority::parse("https://localhost:8443").expect("an authority");
        assert!(own.knows("localhost"));
        assert!(own.knows("localhost:8443"));
        assert!(!own.knows("localhost:8444"));
    }

    #[test]
    fn an_invalid_authority_is_an_invalid_argument_that_names_the_settings() {
        for text in ["", "http://login.example", "https://login.example/adfs"] {
            let error = parse_authority(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}");
            assert!(
                error.to_string().contains(": write it as https://"),
                "{error}"
            );
        }
    }

    /// The endpoint's table of hosts and the cache's are two, because neither crate needs the other.
    #[test]
    fn the_endpoint_and_the_cache_know_the_same_hosts() {
        let of_endpoint: Vec<_> = Authority::known_hosts().collect();
        let of_cache: Vec<_> = known_hosts().collect();
        assert_eq!(of_endpoint.len(), of_cache.len());
        for host in &of_endpoint {
            assert!(is_known_cloud(host) && of_cache.contains(host), "{host}");
        }
        for host in &of_cache {
            let authority = Authority::parse(host).expect(host);
            assert!(authority.is_known_cloud(), "{host}");
            assert!(of_endpoint.contains(host), "{host}");
        }
    }

    /// Returns `true` if the endpoint's crate takes this text for a host.
    fn is_host_of_endpoint(text: &str) -> bool {
        Authority::parse(text).is_ok()
    }

    /// Returns `true` if the endpoint's crate takes this text for a token.
    fn is_usable_at_endpoint(text: &str) -> bool {
        use entra_token_endpoint::{HttpResponse, TokenResponse};

        let body = json!({ "access_token": text }).to_string();
        TokenResponse::parse(&HttpResponse::new(200, body)).is_ok()
    }

    #[test]
    fn the_endpoint_and_the_cache_have_one_notion_of_a_host_and_of_a_token() {
        let long = |length: usize| "a".repeat(length);
        for text in [
            "",
            ".",
            "a",
            "a.b",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b",
            "a b",
            " a",
            "a.",
            ".a",
            "A.B",
            "127.0.0.1",
            "xn--e1afmkfd",
            "\u{430}.example",
            "a\u{7f}",
            "a\n",
            "~",
            "a!",
            &long(253),
            &long(254),
        ] {
            assert_eq!(is_host_of_endpoint(text), is_host(text), "{text:?}");
            assert_eq!(
                is_usable_at_endpoint(text),
                is_usable_secret(text),
                "{text:?}"
            );
        }
        for length in [64 * 1024, 64 * 1024 + 1] {
            let text = long(length);
            assert_eq!(
                is_usable_at_endpoint(&text),
                is_usable_secret(&text),
                "{length}"
            );
        }
    }

    proptest! {
        /// Without the characters that part an address.
        #[test]
        fn any_text_is_a_host_for_both_or_for_neither(text in "[^/:@]{0,8}|[aZ0.\\-_ ]{0,8}") {
            prop_assert_eq!(is_host_of_endpoint(&text), is_host(&text));
        }

        #[test]
        fn any_text_is_a_token_for_both_or_for_neither(text in "\\PC{0,8}|[ -~]{0,8}|.{0,8}") {
            prop_assert_eq!(is_usable_at_endpoint(&text), is_usable_secret(&text));
        }
    }
}
