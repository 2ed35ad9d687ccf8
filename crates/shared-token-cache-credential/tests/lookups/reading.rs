//! How the judge reads the members of an entry and the words of a query.

use serde_json::Value;

/// Seconds in thousandths, as the clock reads.
pub(crate) type Millis = i128;

/// The hosts of each cloud. A host of no cloud stands for itself.
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

/// K12: the hosts that an entry of this authority's cloud may name.
pub(crate) struct Cloud(Vec<String>);

impl Cloud {
    /// `None` if the text is no authority.
    pub(crate) fn of(authority: &str) -> Option<Self> {
        let mut rest = authority.to_lowercase();
        if let Some((scheme, address)) = rest.split_once("://") {
            if scheme != "https" {
                return None;
            }
            rest = address.to_owned();
        } else if rest.contains(':') {
            return None;
        }
        while rest.ends_with('/') {
            rest.pop();
        }
        let (host, port) = match rest.split_once(':') {
            Some((host, "443")) => (host, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
            None => (&*rest, None),
        };
        let is_host = host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if host.is_empty() || !is_host {
            return None;
        }
        let known = CLOUDS.iter().find(|hosts| hosts.contains(&host));
        let mut hosts = vec![host.to_owned()];
        match (known, port) {
            (Some(_), Some(_)) => return None,
            (Some(known), None) => hosts.extend(known.iter().map(|host| (*host).to_owned())),
            (None, Some(port)) => hosts.push(format!("{host}:{port}")),
            (None, None) => {}
        }
        Some(Self(hosts))
    }

    pub(crate) fn knows(&self, entry: &Value, name: &str) -> bool {
        text(entry, name)
            .is_some_and(|host| self.0.iter().any(|known| Id::Host.is_same(known, host)))
    }
}

/// K16: what an identifier names, which says whether its case counts.
#[derive(Clone, Copy)]
pub(crate) enum Id {
    Account,
    Client,
    Host,
    Tenant,
}

impl Id {
    /// The identifier with its letters in lower case, if their case does not count.
    pub(crate) fn plain(self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let hex = |group: &str| group.chars().all(|c| c.is_ascii_hexdigit());
        let is_guid = |text: &str| {
            let groups: Vec<&str> = text.split('-').collect();
            let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
            sizes == [8, 4, 4, 4, 12] && groups.into_iter().all(hex)
        };
        let is_host = |text: &str| {
            let mut labels = text.split('.');
            let good = |c: char| c == '-' || c.is_ascii_alphanumeric();
            labels.all(|label| {
                !label.is_empty() && !label.starts_with('-') && label.chars().all(good)
            })
        };
        let is_domain = |text: &str| text.contains('.') && is_host(text);
        let counts = match self {
            Self::Account => {
                let parts = text.split('.').map(|part| {
                    if is_guid(part) {
                        part.to_ascii_lowercase()
                    } else {
                        part.to_owned()
                    }
                });
                return parts.collect::<Vec<_>>().join(".");
            }
            Self::Client => !is_guid(text) && !is_domain(text),
            Self::Host => match text.split_once(':') {
                Some((host, port)) => {
                    !is_host(host) || port.contains(|c: char| !c.is_ascii_digit())
                }
                None => !is_host(text),
            },
            Self::Tenant => {
                let is_word = matches!(&*lower, "organizations" | "common" | "consumers");
                !is_word && !is_guid(text) && !is_domain(text)
            }
        };
        if counts { text.to_owned() } else { lower }
    }

    /// Whether a member names the same.
    pub(crate) fn is(self, entry: &Value, name: &str, wanted: &str) -> bool {
        text(entry, name).is_some_and(|own| self.is_same(own, wanted))
    }

    /// Whether both name the same.
    pub(crate) fn is_same(self, one: &str, other: &str) -> bool {
        // Most are equal, or differ in more than case, and that is soon seen.
        one == other || (one.eq_ignore_ascii_case(other) && self.plain(one) == self.plain(other))
    }
}

/// Whether something can be sent: printable ASCII without blanks, of 64 KiB at most.
pub(crate) fn can_be_sent(text: &str) -> bool {
    (1..=65_536).contains(&text.len()) && text.chars().all(|c| ('!'..='~').contains(&c))
}

/// The text of a member that is a string and not empty.
pub(crate) fn text<'e>(entry: &'e Value, name: &str) -> Option<&'e str> {
    entry.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A time in seconds, as a number or as a text with blanks, a sign, underscores and a fraction that
/// does not count; no earlier than 1970 and no later than 9999.
pub(crate) fn time(entry: &Value, name: &str) -> Option<Millis> {
    let seconds = match entry.get(name)? {
        Value::Number(number) => match number.as_i64() {
            Some(seconds) => i128::from(seconds),
            #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off")]
            None => number.as_f64()? as i128,
        },
        Value::String(text) => {
            let text = text.trim();
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            let (digits, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            if fraction.contains(|c: char| !c.is_ascii_digit()) {
                return None;
            }
            let is_number = digits
                .split('_')
                .all(|group| !group.is_empty() && group.chars().all(|c| c.is_ascii_digit()));
            if !is_number {
                return None;
            }
            sign * digits.replace('_', "").parse::<i128>().unwrap_or(i128::MAX)
        }
        _ => return None,
    };
    Some(seconds.clamp(0, 253_402_300_799) * 1000)
}

/// What follows the only dot.
pub(crate) fn home_tenant(home_account_id: &str) -> Option<&str> {
    let parts: Vec<&str> = home_account_id.split('.').collect();
    match *parts {
        [_, tenant] if !tenant.is_empty() => Some(tenant),
        _ => None,
    }
}

pub(crate) fn is_tenant(text: &str) -> bool {
    text.len() <= 255
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        && text != "."
        && text != ".."
}

/// Empty is as not given.
pub(crate) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
