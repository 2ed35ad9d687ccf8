//! K5: the tenant of a call.

use super::call::{Matter, Player};
use super::clause::Clause;
use super::find::{is_personal, is_personal_tenant};
use super::identifier::Id;
use super::whose::Record;
use crate::vector::{Failure, Method};

impl Player<'_> {
    /// The tenant that the call asks for, as far as that counts.
    pub(super) fn asked_tenant(&self) -> Option<&str> {
        let asked = self.vector.call.tenant_id.as_deref();
        let drops_empty = self.has(Clause::K5Empty) || self.vector.call.method == Method::GetToken;
        asked.filter(|asked| !(drops_empty && asked.is_empty()))
    }

    pub(super) fn is_multitenant_disabled(&self) -> bool {
        self.env("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH")
            .is_some_and(|value| !value.is_empty())
    }

    pub(super) fn is_allowed(&self, tenant: &str) -> bool {
        let allowed = &self.vector.constructor.additionally_allowed_tenants;
        let is_same = |known: &str| Id::Tenant.is_same(Some(known), Some(tenant), self.on);
        allowed.iter().any(|known| is_same(known) || known == "*")
    }

    /// The tenant of a call with a record.
    pub(super) fn tenant_with(&self, record: &Record) -> Result<Option<String>, Failure> {
        let constructor = &self.vector.constructor;
        let default = constructor
            .tenant_id
            .clone()
            .filter(|text| !text.is_empty());
        let default = default.unwrap_or_else(|| record.tenant_id.clone());
        let is_default = |asked: &&str| Id::Tenant.is_same(Some(asked), Some(&default), self.on);
        let Some(asked) = self.asked_tenant().filter(|asked| !is_default(asked)) else {
            return Ok(Some(default));
        };
        if self.is_multitenant_disabled() || default == "adfs" {
            return Ok(Some(default));
        }
        let any = Id::Tenant.plain(&default, self.on) == "organizations"
            && constructor.additionally_allowed_tenants.is_empty();
        if any || self.is_allowed(asked) {
            return Ok(Some(asked.to_owned()));
        }
        Err(Failure::AuthenticationFailed)
    }

    /// K5: the tenant of a call without a record, where it governs the lookup.
    pub(super) fn tenant_without(&self) -> Result<Option<String>, Failure> {
        let list = &self.vector.constructor.additionally_allowed_tenants;
        let Some(asked) = self
            .asked_tenant()
            .filter(|asked| *asked != "organizations")
        else {
            return Ok(None);
        };
        if !self.has(Clause::K5Listed) || list.is_empty() || self.is_multitenant_disabled() {
            return Ok(None);
        }
        if self.is_allowed(asked) {
            return Ok(Some(asked.to_owned()));
        }
        Err(Failure::AuthenticationFailed)
    }

    /// The tenant in the address: in the original it is decided on only here.
    pub(super) fn tenant_of_redemption(&self, matter: &Matter) -> Result<String, Failure> {
        let list = &self.vector.constructor.additionally_allowed_tenants;
        let is_personal = is_personal(&matter.home_account_id);
        if self.has(Clause::K3Personal) && is_personal && is_personal_tenant(&matter.tenant) {
            return Ok("organizations".to_owned());
        }
        let default = || Ok(matter.tenant.clone());
        if self.record.is_some() || self.is_multitenant_disabled() {
            return default();
        }
        match self.asked_tenant() {
            None | Some("organizations") => default(),
            Some(_) if list.is_empty() && self.has(Clause::K5Ignored) => default(),
            Some(asked) if list.is_empty() || self.is_allowed(asked) => Ok(asked.to_owned()),
            Some(_) => Err(Failure::AuthenticationFailed),
        }
    }
}
