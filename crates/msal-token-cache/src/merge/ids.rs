//! The identifiers of new entries.

use std::borrow::Cow;

use super::redemption::Redemption;
use crate::identifier::{lower_client_id, lower_environment, lower_home_account_id, lower_tenant};

/// The identifiers of a redemption as new entries have them. An entry that is rewritten keeps its
/// own spelling.
pub(super) struct LowerIds<'r> {
    pub(super) home_account_id: Cow<'r, str>,
    pub(super) environment: Cow<'r, str>,
    pub(super) client_id: Cow<'r, str>,
    pub(super) realm: Cow<'r, str>,
}

impl<'r> LowerIds<'r> {
    pub(super) fn of(new: &'r Redemption) -> Self {
        Self {
            home_account_id: lower_home_account_id(new.home_account_id()),
            environment: lower_environment(new.environment()),
            client_id: lower_client_id(&new.client_id),
            realm: lower_tenant(&new.realm),
        }
    }
}
