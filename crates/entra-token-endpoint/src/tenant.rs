//! The syntax of a tenant, and the tenants that Entra gives a meaning.
//!
//! ```
//! use entra_token_endpoint::tenant::{ORGANIZATIONS, is_tenant};
//!
//! assert!(is_tenant(ORGANIZATIONS) && is_tenant("contoso.onmicrosoft.com"));
//! assert!(!is_tenant("../evil"));
//! ```

/// The word for the home tenant of an organization's account.
pub const ORGANIZATIONS: &str = "organizations";
/// The word for the home tenant of any account, personal ones included.
pub const COMMON: &str = "common";
/// The tenant of all personal accounts.
pub const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// The tenant in which personal accounts use Azure.
pub const PERSONAL_PASSTHROUGH_TENANT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// Returns `true` for a text that can name a tenant, in an address as well: a GUID, a domain name,
/// or a word like `organizations`. The word of AD FS is refused.
///
/// Letters, digits, `.` and `-` are allowed, so that a tenant cannot leave its place in the address
/// of the token endpoint.
pub fn is_tenant(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (1..=255).contains(&text.len())
        && text.bytes().all(allowed)
        && !matches!(text, "." | "..")
        && !is_adfs(text)
}

/// Returns `true` for the word `adfs`, in any case. In the place of a tenant it means AD FS, which
/// has its token endpoint at another address.
pub fn is_adfs(text: &str) -> bool {
    text.eq_ignore_ascii_case("adfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_cannot_leave_its_place_in_the_address() {
        for tenant in [
            ORGANIZATIONS,
            COMMON,
            PERSONAL_TENANT,
            PERSONAL_PASSTHROUGH_TENANT,
            "contoso.onmicrosoft.com",
        ] {
            assert!(is_tenant(tenant), "{tenant}");
        }
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "../evil?x=1#",
            "a b",
            "a\r\n",
            "t\u{e9}nant",
            "*",
            "adfs",
            "ADFS",
        ] {
            assert!(!is_tenant(text), "{text:?}");
        }
        assert!(is_tenant(&"a".repeat(255)) && !is_tenant(&"a".repeat(256)));
    }
}
