//! Caches, made up at random: most of what they hold is right, and every single thing is wrong now
//! and then.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::cache::{Cache, Section};

pub(crate) const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(crate) const PERSONAL_PASSTHROUGH: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// About the time of all caches; each has its own.
const NOW: i64 = 1_800_000_000;

const CLIENTS: [&str; 5] = [
    CLI,
    "11111111-0000-4000-8000-000000000001",
    "22222222-0000-4000-8000-000000000002",
    "aaaaaaaa-0000-4000-8000-00000000000a",
    "eeeeeeee-0000-4000-8000-00000000000e",
];
pub(crate) const TENANTS: [&str; 4] = [
    "aaaa1111-0000-4000-8000-00000000aaaa",
    "bbbb2222-0000-4000-8000-00000000bbbb",
    "cccc3333-0000-4000-8000-00000000cccc",
    PERSONAL,
];
const UIDS: [&str; 4] = [
    "SubjectOfAdfs",
    "0d0d0d0d-0000-4000-8000-0000000000d1",
    "0d0d0d0d-0000-4000-8000-0000000000d2",
    "00000000-0000-0000-8899-aabbccddeeff",
];
pub(crate) const NAMES: [&str; 6] = [
    "\u{212a}im@contoso.example",
    "ada@contoso.example",
    "Bob@Contoso.example",
    "J\u{f6}rg@fabrikam.example",
    "ada@fabrikam.example",
    "eve",
];
/// Hosts of one cloud each, with another host at the end.
pub(crate) const CLOUDS: [&[&str]; 7] = [
    &[
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
    ],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.windows-ppe.net", "login.microsoft-ppe.com"],
    &["login.sovcloud-identity.fr"],
    &["login.contoso.example", "login.contoso.example:8443"],
];
const SCOPES: [&str; 7] = [
    "https://management.azure.com/.default",
    "https://vault.azure.net/.default",
    "https://graph.microsoft.com/User.Read",
    "openid",
    "api://app/Read",
    "user_impersonation",
    "https://management.azure.com//.default",
];
const BINDING: [&str; 14] = [
    "key_id",
    "kid",
    "keyid",
    "ext_cache_key",
    "ext",
    "user_assertion_hash",
    "userAssertionHash",
    "additionalCacheKeyComponents",
    "requestedClaims",
    "requestedClaimsHash",
    "resource",
    "persisted_cache_parameters",
    "x_unknown",
    "exp_unknown",
];
/// What ends a secret that cannot be sent.
const UNSENDABLE: [&str; 6] = ["\r\n", "\0", "\u{7f}", " ", "\u{202e}", "\u{e9}"];

/// Somebody whom a cache knows.
pub(crate) struct Person {
    pub(crate) home_account_id: String,
    pub(crate) tenant: String,
    pub(crate) name: &'static str,
}

/// Makes a cache, the time at which it is looked at, and look-ups in it.
pub(crate) struct Maker {
    pub(crate) rng: Rng,
    /// The last whole second.
    now: i64,
    now_millis: u64,
    pub(crate) cloud: &'static [&'static str],
    pub(crate) people: Vec<Person>,
    /// Whether most entries are much alike, so that several will do.
    alike: bool,
    secrets: u32,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = if rng.bool() {
            CLOUDS[0]
        } else {
            CLOUDS[rng.usize(..CLOUDS.len())]
        };
        let people = (0..pick(&mut rng, &[1, 1, 2, 2, 3]))
            .map(|_| {
                let (uid, utid) = (pick(&mut rng, &UIDS), pick(&mut rng, &TENANTS));
                let home_account_id = match rng.u8(..40) {
                    0 => uid.to_owned(),
                    1 => format!("{uid}."),
                    2 => format!("{uid}.{utid}.x"),
                    3 => format!("{uid}.{}", utid.to_uppercase()),
                    _ => format!("{uid}.{utid}"),
                };
                Person {
                    home_account_id,
                    tenant: utid.to_owned(),
                    name: pick(&mut rng, &NAMES),
                }
            })
            .collect();
        let now = NOW + rng.i64(0..1000);
        let part = if rng.bool() { 0 } else { rng.u64(..1000) };
        let alike = rng.bool();
        Self {
            now,
            now_millis: now.unsigned_abs() * 1000 + part,
            rng,
            cloud,
            people,
            alike,
            secrets: 0,
        }
    }

    /// The time at which the cache is looked at.
    pub(crate) fn now_millis(&self) -> u64 {
        self.now_millis
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    pub(crate) fn cache(&mut self) -> Cache {
        let mut sections: Vec<(&'static str, Section)> = Vec::new();
        let mut counts = [
            ("AccessToken", self.rng.usize(5..=14)),
            ("RefreshToken", self.rng.usize(1..=5)),
            ("Account", self.rng.usize(1..=4)),
            ("AppMetadata", self.rng.usize(0..=3)),
        ];
        self.rng.shuffle(&mut counts);
        for (name, count) in counts {
            if self.once_in(100) {
                let value = self.odd_value();
                if !value.is_object() {
                    sections.push((name, Section::Malformed(value)));
                }
                continue;
            }
            let mut entries = Vec::new();
            if name == "Account" {
                entries.extend((0..self.people.len()).map(|person| self.account(person)));
            }
            for _ in 0..count {
                let entry = match name {
                    "AccessToken" => self.access_token(),
                    "RefreshToken" => self.refresh_token(),
                    "Account" => {
                        let person = self.rng.usize(..self.people.len());
                        self.account(person)
                    }
                    _ => self.app(),
                };
                entries.push(entry);
            }
            for entry in &mut entries {
                self.spoil(entry);
            }
            self.rng.shuffle(&mut entries);
            sections.push((name, Section::Entries(entries)));
        }
        Cache(sections)
    }

    pub(crate) fn home_account_id(&mut self) -> String {
        let person = self.rng.usize(..self.people.len());
        let own = self.people[person].home_account_id.clone();
        match self.rng.u8(..20) {
            0 => format!("{}.{}", self.one_of(&UIDS), self.one_of(&TENANTS)),
            1 => own.to_uppercase(),
            2 => own.to_lowercase(),
            _ => own,
        }
    }

    fn environment(&mut self) -> String {
        let host = if self.once_in(12) {
            let cloud = self.one_of(&CLOUDS);
            self.one_of(cloud)
        } else {
            self.one_of(self.cloud)
        };
        self.seldom_in_capitals(host)
    }

    fn seldom_in_capitals(&mut self, text: &str) -> String {
        if self.once_in(15) {
            text.to_uppercase()
        } else {
            text.to_owned()
        }
    }

    /// The same, now and then with other case.
    pub(crate) fn cased(&mut self, text: &str) -> String {
        match self.rng.u8(..12) {
            0 => text.to_uppercase(),
            1 => text
                .chars()
                .map(|c| {
                    if self.rng.bool() {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                })
                .collect(),
            _ => text.to_owned(),
        }
    }

    pub(crate) fn client(&mut self) -> String {
        let client = if self.once_in(2) {
            CLI
        } else {
            self.one_of(&CLIENTS)
        };
        self.seldom_in_capitals(client)
    }

    /// A tenant that a token of this account may well be for.
    fn realm(&mut self, home_account_id: &str) -> String {
        let home = home_account_id.split('.').nth(1).unwrap_or_default();
        let realm = match self.rng.u8(..if self.alike { 30 } else { 12 }) {
            0 => "common",
            1 | 2 => "organizations",
            3 => PERSONAL_PASSTHROUGH,
            4 | 5 => self.one_of(&TENANTS),
            6 => "contoso.example",
            _ => home,
        };
        self.seldom_in_capitals(realm)
    }

    pub(crate) fn scopes(&mut self, most: usize) -> Vec<String> {
        let count = self.rng.usize(1..=most);
        (0..count)
            .map(|_| {
                let others = if self.alike { 6 } else { 2 };
                let scope = if self.once_in(others) {
                    self.one_of(&SCOPES)
                } else {
                    SCOPES[0]
                };
                self.cased(scope)
            })
            .collect()
    }

    /// A number of seconds, in one of the ways in which writers put it.
    fn time(&mut self, seconds: i64) -> Value {
        match self.rng.u8(..30) {
            0 => json!(seconds),
            #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
            1 => json!(seconds as f64 + 0.75),
            2 => json!(format!(" {seconds}\t")),
            3 => json!(format!("+{seconds}")),
            4 if seconds > 9999 => json!(format!("{}_{:03}", seconds / 1000, seconds % 1000)),
            5 => json!(format!("{seconds}.0")),
            6 => json!(format!("-{seconds}")),
            7 => json!(format!("{seconds}000000000000000000000")),
            8 => json!("soon"),
            _ => json!(seconds.to_string()),
        }
    }

    /// An end of a token's life near one of the limits, or anywhere.
    fn end(&mut self) -> i64 {
        let limit = self.one_of(&[0, 30, 299, 300, 301, 7 * 24 * 3600, 7 * 24 * 3600]);
        match self.rng.u8(..if self.alike { 20 } else { 10 }) {
            0 | 1 => self.now + limit + self.rng.i64(-1..=1),
            2 => self.now - self.rng.i64(0..10_000),
            3 => self.now + 3600,
            _ => self.now + self.rng.i64(302..100_000),
        }
    }

    fn secret(&mut self, kind: &str) -> String {
        self.secrets += 1;
        let bad = if self.once_in(40) {
            self.one_of(&UNSENDABLE)
        } else {
            ""
        };
        format!("{kind}-{}{bad}", self.secrets)
    }

    fn access_token(&mut self) -> Value {
        let (id, end) = (self.home_account_id(), self.end());
        let scopes = self.scopes(3);
        let separator = self.one_of(&[" ", " ", " ", "  ", "\t"]);
        let target = scopes.join(separator);
        let start = match self.rng.u8(..12) {
            0 => self.now + 300 + self.rng.i64(-1..=1),
            1 => self.now + 100_000,
            2 => self.now - self.rng.i64(-1..=31),
            _ => self.now - self.rng.i64(0..5000),
        };
        let mut entry = json!({
            "credential_type": "AccessToken",
            "secret": self.secret("access-token"),
            "home_account_id": id,
            "environment": self.environment(),
            "client_id": self.client(),
            "realm": self.realm(&id),
            "target": target,
            "cached_at": self.time(start),
            "expires_on": self.time(end),
            "extended_expires_on": self.time(end),
        });
        match self.rng.u8(..16) {
            0 => {}
            1 => entry["token_type"] = json!("pop"),
            2 => entry["token_type"] = json!("bearer"),
            3 => entry["token_type"] = json!("ssh-cert"),
            4 => entry["token_type"] = Value::Null,
            _ => entry["token_type"] = json!("Bearer"),
        }
        if self.once_in(16) {
            entry["credential_type"] = json!(self.one_of(&[
                "AccessToken_With_AuthScheme",
                "accesstoken",
                "AccessTokenExtended",
                "RefreshToken",
            ]));
        }
        if self.once_in(3) {
            let refresh_on = self.now + self.rng.i64(-5000..5000);
            entry["refresh_on"] = self.time(refresh_on);
        }
        self.bind(&mut entry, 8);
        entry
    }

    fn refresh_token(&mut self) -> Value {
        let changed = self.now - self.one_of(&[10, 10, 20, 30, 4000]);
        let mut entry = json!({
            "credential_type": "RefreshToken",
            "secret": self.secret("refresh-token"),
            "home_account_id": self.home_account_id(),
            "environment": self.environment(),
            "client_id": self.client(),
            "target": "",
        });
        if !self.once_in(4) {
            entry["last_modification_time"] = self.time(changed);
        }
        match self.rng.u8(..8) {
            0..=2 => entry["family_id"] = json!("1"),
            3 => entry["family_id"] = json!(self.one_of(&["", "2"])),
            4 => entry["family_id"] = Value::Null,
            _ => {}
        }
        if self.once_in(8) {
            let end = self.now + self.one_of(&[-1000, -1, 1, 1000]);
            entry["expires_on"] = self.time(end);
        }
        self.bind(&mut entry, 10);
        entry
    }

    /// Adds a member that binds a token, once in `n` times.
    fn bind(&mut self, entry: &mut Value, n: u32) {
        if self.once_in(n) {
            let name = self.one_of(&BINDING);
            entry[name] = match self.rng.u8(..8) {
                0 => Value::Null,
                1 => json!(""),
                2 => self.odd_value(),
                3 => json!({}),
                4 => json!({"part": "of a key"}),
                5 => json!([]),
                _ => json!("bound to this"),
            };
        }
    }

    fn account(&mut self, person: usize) -> Value {
        let Person {
            home_account_id,
            tenant,
            name,
        } = &self.people[person];
        let (id, tenant, name) = (home_account_id.clone(), tenant.clone(), *name);
        let realm = match self.rng.u8(..4) {
            0 => self.one_of(&TENANTS).to_owned(),
            1 => "organizations".to_owned(),
            _ => tenant,
        };
        let username = match self.rng.u8(..8) {
            0 => json!(""),
            1 => Value::Null,
            2 => json!(self.one_of(&NAMES)),
            _ => json!(self.cased(name)),
        };
        let mut entry = json!({
            "home_account_id": id,
            "environment": self.environment(),
            "realm": realm,
            "local_account_id": "somebody",
            "username": username,
            "authority_type": self.one_of(&["MSSTS", "MSSTS", "MSSTS", "ADFS", "Other", "mssts"]),
        });
        if self.once_in(5) {
            entry["account_source"] = json!(self.one_of(&["broker", "broker", "password"]));
        }
        entry
    }

    fn app(&mut self) -> Value {
        let mut entry = json!({
            "environment": self.environment(),
            "client_id": self.client(),
        });
        match self.rng.u8(..5) {
            0 => entry["family_id"] = json!(""),
            1 => entry["family_id"] = Value::Null,
            2 => {}
            _ => entry["family_id"] = json!(self.one_of(&["1", "1", "2"])),
        }
        entry
    }

    /// Makes an entry malformed, once in a while.
    fn spoil(&mut self, entry: &mut Value) {
        if self.once_in(50) {
            *entry = self.odd_value();
        } else if self.once_in(12)
            && let Some(members) = entry.as_object_mut()
        {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = &names[self.rng.usize(..names.len())];
            if self.rng.bool() {
                members.remove(name);
            } else {
                let value = self.odd_value();
                members.insert(name.clone(), value);
            }
        }
    }

    fn odd_value(&mut self) -> Value {
        match self.rng.u8(..9) {
            0 => Value::Null,
            1 => json!(""),
            2 => json!(" "),
            3 => json!(7),
            4 => json!(-1.5),
            5 => json!(true),
            6 => json!(["AccessToken"]),
            7 => json!({"secret": "inner"}),
            _ => json!("\u{1f512} \"quoted\" \\ \u{0}"),
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}
