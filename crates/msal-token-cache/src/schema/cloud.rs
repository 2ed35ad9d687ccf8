//! The clouds, and the hosts of each.

use crate::identifier::is_same_environment;

/// The clouds and the hosts of each, as MSAL.NET knows them (`KnownMetadataProvider`).
const CLOUDS: [&[&str]; 9] = [
    &[
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
    ],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.microsoftonline.de"],
    &[
        "login.windows-ppe.net",
        "sts.windows-ppe.net",
        "login.microsoft-ppe.com",
    ],
    &["login.sovcloud-identity.fr"],
    &["login.sovcloud-identity.de"],
    &["login.sovcloud-identity.sg"],
];

/// Returns `true` if two values of an entry's `environment` name the same cloud.
///
/// Hosts of one group are aliases of each other; an unknown host is an alias of itself alone. Hosts
/// compare without case.
///
/// ```
/// use msal_token_cache::same_cloud;
///
/// assert!(same_cloud("login.windows.net", "login.microsoftonline.com"));
/// assert!(!same_cloud("login.microsoftonline.us", "login.microsoftonline.com"));
/// assert!(same_cloud("login.windows.net", "Login.MicrosoftOnline.com"));
/// ```
pub fn same_cloud(one: &str, other: &str) -> bool {
    is_same_environment(one, other)
        || cloud_of(one).is_some_and(|cloud| cloud_of(other) == Some(cloud))
}

/// Returns `true` if a host belongs to a cloud that Microsoft runs.
pub fn is_known_cloud(host: &str) -> bool {
    cloud_of(host).is_some()
}

/// Returns the hosts of the clouds that Microsoft runs, in lower case.
///
/// ```
/// assert!(msal_token_cache::known_hosts().any(|host| host == "login.windows.net"));
/// ```
pub fn known_hosts() -> impl Iterator<Item = &'static str> {
    CLOUDS.into_iter().flatten().copied()
}

/// Returns the place of a host among those of its cloud. Programs ask the first one.
pub(crate) fn place_in_cloud(host: &str) -> usize {
    let hosts = cloud_of(host).map_or(&[][..], |cloud| CLOUDS[cloud]);
    let is_it = |known: &&str| known.eq_ignore_ascii_case(host);
    hosts.iter().position(is_it).unwrap_or_default()
}

fn cloud_of(host: &str) -> Option<usize> {
    let is_it = |known: &&str| known.eq_ignore_ascii_case(host);
    CLOUDS.iter().position(|hosts| hosts.iter().any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k16_a_host_is_an_alias_of_those_of_its_cloud_only_in_any_case() {
        let hosts = || {
            let clouds = CLOUDS.iter().enumerate();
            clouds.flat_map(|(cloud, hosts)| hosts.iter().map(move |host| (cloud, *host)))
        };
        for (cloud, host) in hosts() {
            let upper = host.to_uppercase();
            assert!(is_known_cloud(host) && is_known_cloud(&upper), "{host}");
            for (other_cloud, other) in hosts() {
                for host in [host, &upper] {
                    let same = same_cloud(host, other);
                    assert_eq!(same, cloud == other_cloud, "{host} {other}");
                }
            }
            assert!(!same_cloud(host, "login.contoso.example"));
        }
    }

    #[test]
    fn an_unknown_host_is_an_alias_of_itself_alone() {
        assert!(!is_known_cloud("login.contoso.example"));
        assert!(!same_cloud(
            "login.contoso.example",
            "login.fabrikam.example"
        ));
        assert!(same_cloud("Localhost:8443", "localhost:8443"));
        // Neither a part of a known name nor one with more around it.
        for near in [
            "",
            "microsoftonline.com",
            "login.microsoftonline.com.",
            "login.microsoftonline.com:443",
        ] {
            assert!(!is_known_cloud(near), "{near}");
            assert!(!same_cloud(near, "login.microsoftonline.com"), "{near}");
        }
    }
}
