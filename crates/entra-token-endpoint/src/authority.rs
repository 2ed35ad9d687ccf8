use std::fmt;

use crate::host::is_host;
use crate::known_hosts::{KNOWN_HOSTS, is_known};
use crate::tenant::is_adfs;

/// The issuer of tokens: the host of a cloud, reached over https.
///
/// Take it from the program or its environment, never from a file or the network: the host that it
/// names gets the secrets of every request.
///
/// ```
/// use entra_token_endpoint::Authority;
///
/// let authority = Authority::parse("https://Login.MicrosoftOnline.com/")?;
/// assert_eq!(
///     authority.token_endpoint("organizations"),
///     "https://login.microsoftonline.com/organizations/oauth2/v2.0/token"
/// );
/// # Ok::<_, entra_token_endpoint::InvalidAuthority>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    /// `None` is 443.
    port: Option<u16>,
}

/// The error of [`Authority::parse`]. Its text names the authority without a user name or password,
/// and the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authority \"{shown}\" {why}")]
pub struct InvalidAuthority {
    shown: String,
    why: &'static str,
}

impl Authority {
    /// The host of the public cloud.
    pub const DEFAULT: &str = "login.microsoftonline.com";

    /// Reads `https://host[:port]` or `host`; slashes at the end do not count.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidAuthority`] for another scheme, a user name, a path, an invalid host or port,
    /// a known cloud at another port, and AD FS.
    pub fn parse(text: &str) -> Result<Self, InvalidAuthority> {
        let invalid = |why: &'static str| {
            // A user name and password before the host are not ours to show.
            let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
            let shown = shown.escape_debug().take(200).collect();
            Err(InvalidAuthority { shown, why })
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
        if port.is_some() && is_known(&host) {
            return invalid("is a known cloud at another port");
        }
        Ok(Self { host, port })
    }

    /// Returns the host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, unless it is 443.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the address of the token endpoint for this tenant, which must be a
    /// [tenant](crate::tenant::is_tenant).
    pub fn token_endpoint(&self, tenant: &str) -> String {
        format!("https://{self}/{tenant}/oauth2/v2.0/token")
    }

    /// Returns `true` for a cloud that Microsoft runs. Such a cloud is not AD FS.
    pub fn is_known_cloud(&self) -> bool {
        is_known(&self.host)
    }

    /// Returns the hosts of the clouds that Microsoft runs, aliases included, in lower case.
    pub fn known_hosts() -> impl Iterator<Item = &'static str> {
        KNOWN_HOSTS.into_iter()
    }
}

/// Writes the host, with the port unless it is 443.
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
            let error = error.to_string();
            assert!(error.starts_with("the authority \""), "{error}");
            assert!(!error.contains('\n') && !error.contains("pw"), "{error}");
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
            assert!(error.to_string().contains("is one of AD FS"), "{error}");
        }
        // The name of a host says nothing.
        for text in ["adfs.contoso.example", "https://adfs"] {
            assert!(Authority::parse(text).is_ok(), "{text}");
        }
        let other = Authority::parse("https://login.microsoftonline.com/adfsx");
        assert!(!other.unwrap_err().to_string().contains("AD FS"));
    }
}
