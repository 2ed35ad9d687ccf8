//! The syntax of a home account ID, `uid.utid`. Pure.

/// Returns the tenant that an account belongs to: the part behind the only dot of its ID.
pub(crate) fn home_tenant(home_account_id: &str) -> Option<&str> {
    let (_, tenant) = home_account_id.split_once('.')?;
    (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
}
