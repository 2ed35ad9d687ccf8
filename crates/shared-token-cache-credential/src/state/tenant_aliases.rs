//! The tenant IDs that domain names led to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use msal_token_cache::identifier::is_same_tenant;

/// More domain names than a program uses. Beyond it the oldest are forgotten.
const CAPACITY: usize = 64;

/// Remembers which tenant issued the tokens that were asked for under a domain name.
#[derive(Debug, Default)]
pub(crate) struct TenantAliases(ArcSwap<Vec<(String, Arc<str>)>>);

impl TenantAliases {
    /// Returns the ID of the tenant that a domain name led to.
    pub(crate) fn tid(&self, domain: &str) -> Option<Arc<str>> {
        let known = self.0.load();
        let (_, tid) = known
            .iter()
            .find(|(known, _)| is_same_tenant(known, domain))?;
        Some(Arc::clone(tid))
    }

    /// Remembers that a token which was asked for by this domain name is of this tenant.
    pub(crate) fn remember(&self, domain: &str, tid: &str) {
        if self
            .tid(domain)
            .is_some_and(|known| is_same_tenant(&known, tid))
        {
            return;
        }
        self.0.rcu(|known| {
            let others = known
                .iter()
                .filter(|(known, _)| !is_same_tenant(known, domain));
            let mut known: Vec<_> = others.cloned().collect();
            if known.len() == CAPACITY {
                known.remove(0);
            }
            known.push((domain.to_owned(), tid.into()));
            known
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TID: &str = "11111111-2222-3333-4444-555555555555";

    #[test]
    fn a_domain_is_remembered_with_the_tenant_it_led_to() {
        let aliases = TenantAliases::default();
        assert_eq!(aliases.tid("contoso.example"), None);
        aliases.remember("contoso.example", "old");
        aliases.remember("Contoso.Example", TID);
        assert_eq!(aliases.tid("CONTOSO.example").as_deref(), Some(TID));
        for n in 0..CAPACITY {
            aliases.remember(&format!("{n}.example"), TID);
        }
        assert_eq!(aliases.tid("contoso.example"), None);
        assert_eq!(aliases.tid("0.example").as_deref(), Some(TID));
    }
}
