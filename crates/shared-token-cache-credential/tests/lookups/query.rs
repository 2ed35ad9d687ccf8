//! Look-ups, made up at random: most of them ask for what the cache holds.

use serde_json::json;

use crate::maker::{CLOUDS, Maker, NAMES, PERSONAL_PASSTHROUGH, Person, TENANTS};
use crate::reading::Id;

/// The members of a record that say which account and application it is about.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) authority: String,
    pub(crate) client_id: String,
    pub(crate) home_account_id: String,
    pub(crate) tenant_id: String,
    pub(crate) username: String,
}

impl Record {
    /// The JSON of the other SDKs.
    pub(crate) fn to_json(&self) -> String {
        json!({
            "authority": self.authority,
            "clientId": self.client_id,
            "homeAccountId": self.home_account_id,
            "tenantId": self.tenant_id,
            "username": self.username,
            "version": "1.0",
        })
        .to_string()
    }
}

/// How a credential is set up, and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) authority: String,
    pub(crate) username: Option<String>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) allowed: Vec<String>,
    pub(crate) record: Option<Record>,
    pub(crate) scopes: Vec<String>,
    pub(crate) call_tenant: Option<String>,
}

impl Query {
    /// Whether the program allows this tenant besides the account's own.
    pub(crate) fn allows(&self, tenant: &str) -> bool {
        self.allowed
            .iter()
            .any(|own| Id::Tenant.is_same(own, tenant) || own == "*")
    }
}

impl Maker {
    /// How a credential is set up; what it is asked for is to be filled in.
    pub(crate) fn credential(&mut self) -> Query {
        let person = self.rng.usize(..self.people.len());
        let record = self.once_in(4).then(|| self.record(person));
        let Person { tenant, name, .. } = &self.people[person];
        let (tenant, name) = (tenant.clone(), *name);
        let username = match self.rng.u8(..16) {
            0 => Some(self.one_of(&NAMES).to_owned()),
            1..=4 => Some(self.cased(name)),
            5 => Some(String::new()),
            _ => None,
        };
        let tenant_id = match self.rng.u8(..16) {
            0..=2 => Some(tenant),
            3 => Some(tenant.to_uppercase()),
            4 => Some(self.tenant()),
            5 => Some(String::new()),
            _ => None,
        };
        let allowed = match self.rng.u8(..6) {
            0 => vec!["*".to_owned()],
            1 | 2 => {
                let count = self.rng.usize(1..=3);
                (0..count)
                    .map(|_| {
                        let tenant = self.one_of(&TENANTS);
                        self.cased(tenant)
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        Query {
            authority: self.authority(),
            username,
            tenant_id,
            allowed,
            record,
            scopes: Vec::new(),
            call_tenant: None,
        }
    }

    /// What a credential that is set up like this is asked for.
    pub(crate) fn call(&mut self, credential: &Query) -> Query {
        let most = self.one_of(&[1, 1, 2]);
        let mut scopes = self.scopes(most);
        match self.rng.u8(..150) {
            0 => scopes.clear(),
            1 => scopes[0] = String::new(),
            2 => scopes[0].push_str(self.one_of(&[" ", "\n", " openid", "\u{a0}"])),
            3 => scopes[0].push('x'),
            _ => {}
        }
        let call_tenant = self.once_in(3).then(|| self.tenant());
        Query {
            scopes,
            call_tenant,
            ..credential.clone()
        }
    }

    fn authority(&mut self) -> String {
        let host = if self.once_in(20) {
            let cloud = self.one_of(&CLOUDS);
            self.one_of(cloud)
        } else {
            self.one_of(self.cloud)
        };
        match self.rng.u8(..150) {
            0 => format!("https://{host}/a/path"),
            1 => format!("https://somebody@{host}"),
            2 => format!("http://{host}"),
            3 => format!("https://{host}:8444"),
            4 => format!("https://{host}?q"),
            5 => format!(" {host}"),
            6 => host.to_owned(),
            7..=15 => format!("https://{}:443/", host.trim_end_matches(":8443")),
            16..=40 => format!("HTTPS://{}//", host.to_uppercase()),
            _ => format!("https://{host}"),
        }
    }

    fn tenant(&mut self) -> String {
        match self.rng.u8(..40) {
            0 => "..".to_owned(),
            1 => "a/b".to_owned(),
            2 => String::new(),
            3..=6 => self.cased("organizations"),
            7 | 8 => self.cased("common"),
            9 | 10 => PERSONAL_PASSTHROUGH.to_owned(),
            11 => self.cased("contoso.example"),
            12 => self.one_of(&TENANTS).to_uppercase(),
            13..=20 => self.one_of(&TENANTS).to_owned(),
            _ => {
                let person = self.rng.usize(..self.people.len());
                self.people[person].tenant.clone()
            }
        }
    }

    fn record(&mut self, person: usize) -> Record {
        let Person {
            home_account_id,
            tenant,
            name,
        } = &self.people[person];
        let (home_account_id, home, name) = (home_account_id.clone(), tenant.clone(), *name);
        let tenant_id = match self.rng.u8(..6) {
            0 => self.cased("organizations"),
            1 => "common".to_owned(),
            2 => self.one_of(&TENANTS).to_owned(),
            _ => self.cased(&home),
        };
        let authority = if self.once_in(12) {
            let cloud = self.one_of(&CLOUDS);
            self.one_of(cloud)
        } else {
            self.one_of(self.cloud)
        };
        Record {
            authority: authority.to_owned(),
            client_id: self.client(),
            home_account_id: if self.once_in(12) {
                self.home_account_id()
            } else {
                self.cased(&home_account_id)
            },
            tenant_id,
            username: if self.once_in(12) {
                self.one_of(&NAMES).to_owned()
            } else {
                self.cased(name)
            },
        }
    }
}
