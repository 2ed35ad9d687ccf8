use std::fmt;

use msal_token_cache::identifier::{is_host, is_same_environment};
use msal_token_cache::{is_known_cloud, same_cloud};
use token_credential::{Error, ErrorKind, Result};

/// Who issues the tokens: the host of a cloud, reached over https.
///
/// It comes from the program or its environment, never from a file or the network: whoever names
/// the host gets the refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    host: String,
    /// `None` is 443.
    port: Option<u16>,
}

impl Authority {
    pub(crate) const DEFAULT: &str = "login.microsoftonline.com";

    /// Reads `https://host[:port]` or `host`; slashes at the end do not count.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            // A user name and password before the host are not ours to show.
            let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
            let text: String = shown.escape_debug().take(200).collect();
            Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the authority \"{text}\" {why}: write it as https://login.microsoftonline.com, \
                     in AZURE_AUTHORITY_HOST, the builder's authority or the authentication record"
                ),
            ))
        };
        if text.contains('@') {
            return invalid("comes with a user name");
        }
        let address = match text.split_once("://") {
            Some((scheme, address)) if scheme.eq_ignore_ascii_case("https") => address,
            Some(_) => return invalid("is not https"),
            None if text.contains(':') => return invalid("has a port and no scheme"),
            None => text,
        };
        let address = address.trim_end_matches('/');
        let mut path = address.split('/').skip(1);
        if path.next().is_some_and(is_adfs) {
            return invalid("is one of AD FS, which is not supported");
        }
        let (host, port) = match address.split_once(':') {
            None => (address, None),
            Some((host, "443")) => (host, None),
            Some((host, port)) => match port.parse() {
                // `parse` takes a sign and leading zeros, a port has neither.
                Ok(number) if !port.starts_with(['+', '0']) => (host, Some(number)),
                _ => return invalid("has a port that is none"),
            },
        };
        if !is_host(host) {
            return invalid("is not a host, or more than a host");
        }
        let host = host.to_ascii_lowercase();
        if port.is_some() && is_known_cloud(&host) {
            return invalid("is a known cloud at another port");
        }
        Ok(Self { host, port })
    }

    /// The address that tokens of this tenant come from.
    pub(crate) fn token_endpoint(&self, tenant: &str) -> String {
        format!("https://{self}/{tenant}/oauth2/v2.0/token")
    }

    /// Whether it is one of Microsoft's clouds, and so none of AD FS.
    pub(crate) fn is_known_cloud(&self) -> bool {
        is_known_cloud(&self.host)
    }

    /// Whether an entry's `environment` names this authority's cloud. Some writers add the port of
    /// a host of one's own.
    pub(crate) fn knows(&self, environment: &str) -> bool {
        same_cloud(&self.host, environment)
            || (self.port.is_some() && is_same_environment(&self.to_string(), environment))
    }
}

/// Whether a path's first part, or what stands for a tenant, says that this is AD FS: its token
/// endpoint is elsewhere.
pub(crate) fn is_adfs(text: &str) -> bool {
    text.eq_ignore_ascii_case("adfs")
}

/// The host, with the port where there is one.
impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_nothing_else() {
        for (text, shown) in [
            ("login.microsoftonline.com", "login.microsoftonline.com"),
            (
                "https://login.microsoftonline.com",
                "login.microsoftonline.com",
            ),
            (
                "HTTPS://LOGIN.microsoftonline.com//",
                "login.microsoftonline.com",
            ),
            (
                "https://login.microsoftonline.com:443/",
                "login.microsoftonline.com",
            ),
            ("https://localhost:8443", "localhost:8443"),
            ("https://127.0.0.1:8443", "127.0.0.1:8443"),
        ] {
            assert_eq!(
                Authority::parse(text)
                    .map(|a| a.to_string())
                    .ok()
                    .as_deref(),
                Some(shown)
            );
        }
        for text in [
            "",
            " login.microsoftonline.com",
            "login.microsoftonline.com ",
            "http://login.microsoftonline.com",
            "ftp://login.microsoftonline.com",
            "localhost:8080",
            "https://",
            "https://user@login.microsoftonline.com",
            "https://user:pw@login.microsoftonline.com",
            "https://login.microsoftonline.com/tenant",
            "https://login.microsoftonline.com?x",
            "https://login.microsoftonline.com#x",
            "https://LOGIN.microsoftonline.com:8443",
            "https://login.microsoftonline.com:",
            "https://localhost:0",
            "https://localhost:0443",
            "https://localhost:+443",
            "https://localhost:65536",
            "https://[::1]:443",
            "https://login\u{430}.microsoftonline.com",
            "https://login.microsoftonline.com\n",
            "https://a..b",
            "https://-a.b",
            "login.microsoftonline.com\\@evil.example",
        ] {
            let error = Authority::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text:?}");
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_authority_of_adfs_is_refused_as_one() {
        for text in [
            "https://adfs.contoso.example/adfs",
            "https://adfs.contoso.example/adfs/",
            "https://adfs.contoso.example:8443/ADFS/oauth2/token",
            "adfs.contoso.example/adfs",
        ] {
            let error = Authority::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
            assert!(error.to_string().contains("is one of AD FS"), "{error}");
        }
        // The name of a host says nothing.
        for text in ["adfs.contoso.example", "https://adfs"] {
            assert!(Authority::parse(text).is_ok(), "{text}");
        }
        let other = Authority::parse("https://login.microsoftonline.com/adfsx");
        assert!(!other.unwrap_err().to_string().contains("AD FS"));
    }

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
}
