//! K12: who issues the tokens.

use super::clause::{Clause, Rules};
use super::identifier::Id;
use crate::vector::Failure;

/// Where requests go, and which entries are of that cloud.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// `host[:port]`, and in the original a path perhaps.
    pub(super) address: String,
    environments: Vec<String>,
    on: Rules,
}

/// The clouds that the original knows.
const ITS_CLOUDS: &[&[&str]] = &[
    &[
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
    ],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
];

/// Those that MSAL.NET knows besides.
const MORE_CLOUDS: &[&[&str]] = &[
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

const DEFAULT: &str = "login.microsoftonline.com";

impl Authority {
    pub(super) fn new(
        argument: Option<&str>,
        environment: Option<&str>,
        on: Rules,
    ) -> Result<Self, Failure> {
        let strict = on.has(Clause::K12Authority);
        let argument = argument.filter(|text| !text.is_empty());
        let environment = environment.filter(|text| !strict || !text.is_empty());
        let text = argument.or(environment).unwrap_or(DEFAULT);
        if strict {
            Self::strict(text, on)
        } else {
            Self::lax(text, on)
        }
    }

    /// As the original takes it.
    fn lax(text: &str, on: Rules) -> Result<Self, Failure> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let scheme = scheme.filter(|scheme| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
        let rest = match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => {
                let rest = &text[scheme.len() + 1..];
                rest.strip_prefix("//").unwrap_or(rest)
            }
            Some(_) => return Err(Failure::InvalidArgument),
            None => text,
        };
        let address = rest.trim_end_matches([' ', '/']);
        let host = address.split(['/', '?', '#']).next().unwrap_or_default();
        Ok(Self {
            address: address.to_owned(),
            environments: group(ITS_CLOUDS.iter(), host),
            on,
        })
    }

    fn strict(text: &str, on: Rules) -> Result<Self, Failure> {
        let invalid = Err(Failure::InvalidArgument);
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return invalid,
            // The original takes the host of "host:port" for a scheme, and refuses.
            None if text.contains(':') => return invalid,
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = rest.split_once(':').unwrap_or((rest, "443"));
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let number = port
            .parse::<u16>()
            .ok()
            .filter(|n| n.to_string() == port && *n != 0);
        let (true, Some(number)) = (host.split('.').all(label), number) else {
            return invalid;
        };
        let host = host.to_lowercase();
        let clouds = || ITS_CLOUDS.iter().chain(MORE_CLOUDS);
        let is_known = clouds().any(|cloud| cloud.contains(&&*host));
        let mut environments = group(clouds(), &host);
        let address = match number {
            443 => host,
            _ if is_known => return invalid,
            _ => format!("{host}:{number}"),
        };
        if !environments.contains(&address) {
            environments.push(address.clone());
        }
        Ok(Self {
            address,
            environments,
            on,
        })
    }

    pub(super) fn knows(&self, environment: Option<&str>) -> bool {
        let mut own = self.environments.iter();
        own.any(|own| Id::Host.is_same(Some(own), environment, self.on))
    }

    /// Where a host stands among those of the cloud.
    pub(super) fn place(&self, environment: Option<&str>, on: Rules) -> Option<usize> {
        let mut hosts = self.environments.iter();
        hosts.position(|own| Id::Host.is_same(Some(own), environment, on))
    }

    pub(super) fn is_known_cloud(&self) -> bool {
        let clouds = ITS_CLOUDS.iter().chain(MORE_CLOUDS);
        clouds
            .flat_map(|cloud| *cloud)
            .any(|host| *host == self.host())
    }

    /// The own host and then its aliases.
    pub(super) fn hosts(&self) -> Vec<String> {
        let own = self.host();
        let others = self.environments.iter().filter(|host| **host != own);
        std::iter::once(&own).chain(others).cloned().collect()
    }

    /// What the original writes as `environment`.
    pub(super) fn host(&self) -> String {
        let host = self.address.split(['/', '?', '#', ':']).next();
        host.unwrap_or_default().to_lowercase()
    }
}

fn group<'c>(mut clouds: impl Iterator<Item = &'c &'c [&'c str]>, host: &str) -> Vec<String> {
    match clouds.find(|cloud| cloud.contains(&host)) {
        Some(cloud) => cloud.iter().map(|host| (*host).to_owned()).collect(),
        None => vec![host.to_owned()],
    }
}

/// K12: what may be a tenant.
pub(super) fn is_tenant(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        && !matches!(text, "." | "..")
        && !text.eq_ignore_ascii_case("adfs")
}
