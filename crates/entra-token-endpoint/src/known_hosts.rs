//! The hosts of the clouds that Microsoft runs.
//!
//! `msal-token-cache` has the same hosts by their clouds, because it compares cached entries. A
//! test of `shared-token-cache-credential` holds both tables together.

/// The hosts that MSAL.NET has in its `KnownMetadataProvider`.
pub(crate) const KNOWN_HOSTS: [&str; 16] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "sts.windows.net",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login-us.microsoftonline.com",
    "login.microsoftonline.de",
    "login.windows-ppe.net",
    "sts.windows-ppe.net",
    "login.microsoft-ppe.com",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
];

/// Returns `true` for a host in the table, in any case of its letters.
pub(crate) fn is_known(host: &str) -> bool {
    KNOWN_HOSTS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_whole_and_in_any_case() {
        for host in KNOWN_HOSTS {
            assert!(is_known(host) && is_known(&host.to_uppercase()), "{host}");
        }
        for near in [
            "",
            "microsoftonline.com",
            "login.microsoftonline.com.",
            "login.microsoftonline.com:443",
            "login.contoso.example",
        ] {
            assert!(!is_known(near), "{near}");
        }
    }
}
