//! The tenant that a call is for. Pure.

use entra_token_endpoint::tenant::{COMMON, ORGANIZATIONS, PERSONAL_TENANT, is_adfs, is_tenant};
use msal_token_cache::identifier::{is_guid, is_same_tenant};
use token_credential::{Error, ErrorKind, Result};

use crate::policy::account::SelectedAccount;

/// In the list of allowed tenants: all of them.
const ANY: &str = "*";

/// The tenants that a credential gets tokens of.
#[derive(Clone, Debug)]
pub struct Tenants {
    /// For a call that names no tenant.
    default: String,
    of_calls: OfCalls,
}

/// The effect of a tenant in a call.
#[derive(Clone, Debug)]
enum OfCalls {
    /// It is ignored, as the original class documents.
    Ignored,
    /// It governs, if it is one of these.
    Listed(Vec<String>),
    /// It governs.
    Any,
}

impl Default for Tenants {
    /// The home tenant of the account.
    fn default() -> Self {
        Self::of_account(Vec::new())
    }
}

impl Tenants {
    /// Gets tokens of the account's home tenant, and of the allowed ones when a call names one; `*`
    /// allows all. Without any, as by [`default`](Self::default), the tenant of a call is ignored.
    ///
    /// # Errors
    ///
    /// Returns `InvalidArgument` if an allowed tenant is malformed.
    pub fn of_home(allowed: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        Ok(Self::of_account(checked(allowed)?))
    }

    /// Gets tokens of this tenant, and of the allowed ones when a call names one; `*` allows all.
    /// A call that names another one fails. The tenant `organizations` with an empty list allows
    /// all, because it is no tenant in particular.
    ///
    /// # Errors
    ///
    /// Returns `InvalidArgument` if a tenant is malformed.
    pub fn of_tenant(
        tenant: impl Into<String>,
        allowed: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self> {
        let tenant = tenant.into();
        check_tenant(&tenant, "the tenant of the account")?;
        Ok(Self::of_sign_in(tenant, checked(allowed)?))
    }

    pub(crate) fn of_account(allowed: Vec<String>) -> Self {
        let of_calls = if allowed.is_empty() {
            OfCalls::Ignored
        } else {
            OfCalls::from(allowed)
        };
        Self {
            default: ORGANIZATIONS.to_owned(),
            of_calls,
        }
    }

    /// A sign-in to no tenant in particular allows all.
    pub(crate) fn of_sign_in(default: String, allowed: Vec<String>) -> Self {
        let of_calls = if allowed.is_empty() && is_same_tenant(&default, ORGANIZATIONS) {
            OfCalls::Any
        } else {
            OfCalls::from(allowed)
        };
        Self { default, of_calls }
    }

    /// Ignores the tenants of calls.
    pub fn without_choice(self) -> Self {
        Self {
            of_calls: OfCalls::Ignored,
            ..self
        }
    }

    /// Returns the tenant of a call that names this one or no tenant.
    pub(crate) fn of_call<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        let Some(asked) = asked.filter(|asked| !is_same_tenant(asked, &self.default)) else {
            return Ok(&self.default);
        };
        match &self.of_calls {
            OfCalls::Any => Ok(asked),
            OfCalls::Listed(allowed) if allowed.iter().any(|own| is_same_tenant(own, asked)) => {
                Ok(asked)
            }
            OfCalls::Listed(_) => Err(Error::new(
                ErrorKind::AuthenticationFailed,
                format!(
                    "the tenant {asked} is not one that this credential gets tokens of: name it, or \
                     \"*\" for all, in the builder's additionally_allowed_tenants"
                ),
            )),
            OfCalls::Ignored => Ok(&self.default),
        }
    }

    /// Returns `true` if a call that names this tenant gets a token of another one.
    pub(crate) fn ignore(&self, asked: &str) -> bool {
        matches!(self.of_calls, OfCalls::Ignored)
            && !asked.is_empty()
            && !is_same_tenant(asked, &self.default)
    }
}

fn checked(allowed: impl IntoIterator<Item = impl Into<String>>) -> Result<Vec<String>> {
    let allowed: Vec<String> = allowed.into_iter().map(Into::into).collect();
    let mut tenants = allowed.iter();
    tenants.try_for_each(|tenant| check_allowed_tenant(tenant))?;
    Ok(allowed)
}

impl From<Vec<String>> for OfCalls {
    fn from(allowed: Vec<String>) -> Self {
        if allowed.iter().any(|tenant| tenant == ANY) {
            Self::Any
        } else {
            Self::Listed(allowed)
        }
    }
}

/// Checks the tenant of this place: a GUID, a domain name, or a word like `organizations`.
pub(crate) fn check_tenant(tenant: &str, place: &str) -> Result<()> {
    if is_adfs(tenant) {
        let text = format!(
            "{place}, \"{tenant}\", stands for AD FS, which is not supported: give the id of a tenant \
             of Microsoft Entra"
        );
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    if is_tenant(tenant) {
        return Ok(());
    }
    let shown: String = tenant.escape_debug().take(200).collect();
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "{place}, \"{shown}\", is none: give its id or a domain name, of letters, digits, '.' \
             and '-'"
        ),
    ))
}

/// Checks a tenant of the list of allowed ones, which may also be `*`.
pub(crate) fn check_allowed_tenant(tenant: &str) -> Result<()> {
    if tenant == ANY {
        return Ok(());
    }
    check_tenant(tenant, "one of the builder's additionally_allowed_tenants")
}

/// A call's tenant, seen from the account that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenant<'a> {
    /// The account's home, by a word that stands for it.
    Home(&'a str),
    /// This one, by its id or a domain name.
    Named(&'a str),
}

impl<'a> Tenant<'a> {
    pub(crate) fn new(tenant: &'a str, selected: &SelectedAccount) -> Self {
        if is_word_for_home(tenant) {
            Self::Home(tenant)
        } else if selected.is_personal() && is_same_tenant(tenant, PERSONAL_TENANT) {
            // Personal accounts use Azure as guests of a tenant that this word leads to.
            Self::Home(ORGANIZATIONS)
        } else {
            Self::Named(tenant)
        }
    }

    /// The tenant in the address of the token endpoint.
    pub(crate) fn in_address(self) -> &'a str {
        match self {
            Self::Home(tenant) | Self::Named(tenant) => tenant,
        }
    }

    /// The domain name, if it is one.
    pub(crate) fn domain(self) -> Option<&'a str> {
        match self {
            Self::Named(tenant) if !is_guid(tenant) => Some(tenant),
            _ => None,
        }
    }
}

/// Returns `true` for a word that stands for the home tenant of an organization's account.
pub(crate) fn is_word_for_home(tenant: &str) -> bool {
    [ORGANIZATIONS, COMMON]
        .iter()
        .any(|word| is_same_tenant(word, tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TID: &str = "11111111-2222-3333-4444-555555555555";

    fn tenants(allowed: &[&str]) -> Vec<String> {
        allowed.iter().map(|tenant| (*tenant).to_owned()).collect()
    }

    /// What the call's tenant comes to: `-` for one that is refused.
    #[track_caller]
    fn assert_of_call(tenants: &Tenants, expected: &[(&str, &str)]) {
        for (asked, expected) in expected {
            let asked = Some(*asked).filter(|asked| !asked.is_empty());
            match tenants.of_call(asked) {
                Ok(tenant) => assert_eq!(tenant, *expected, "{asked:?}"),
                Err(error) => {
                    assert_eq!(*expected, "-", "{asked:?}: {error}");
                    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
                    assert!(error.to_string().contains("additionally_allowed_tenants"));
                }
            }
        }
    }

    #[test]
    fn an_accounts_credential_ignores_the_tenant_of_a_call_unless_some_are_allowed() {
        let home = ("", ORGANIZATIONS);
        let ignored = [home, ("a", ORGANIZATIONS)];
        assert_of_call(&Tenants::of_account(Vec::new()), &ignored);
        let listed = Tenants::of_account(tenants(&["a", "b.example"]));
        let expected = [
            home,
            (ORGANIZATIONS, ORGANIZATIONS),
            ("a", "a"),
            ("b.example", "b.example"),
            // Texts that are neither ids nor domain names.
            ("A", "-"),
            ("c", "-"),
            ("common", "-"),
        ];
        assert_of_call(&listed, &expected);
        assert_of_call(&listed.without_choice(), &ignored);
        let any = Tenants::of_account(tenants(&["a", "*"]));
        assert_of_call(&any, &[home, ("a", "a"), ("c", "c")]);
    }

    #[test]
    fn k16_a_tenant_compares_without_case() {
        let upper = TID.to_uppercase();
        let listed = Tenants::of_account(tenants(&[TID, "Contoso.Example"]));
        let expected = [
            (&*upper, &*upper),
            (TID, TID),
            ("contoso.EXAMPLE", "contoso.EXAMPLE"),
            ("ORGANIZATIONS", ORGANIZATIONS),
            ("Common", "-"),
        ];
        assert_of_call(&listed, &expected);
        let own = Tenants::of_sign_in(upper.clone(), Vec::new());
        assert_of_call(&own, &[(TID, &upper)]);
        let open = Tenants::of_sign_in("Organizations".to_owned(), Vec::new());
        assert_of_call(&open, &[("a", "a")]);
        assert!(is_word_for_home("Common") && !is_word_for_home("consumers"));
    }

    #[test]
    fn a_sign_ins_credential_is_for_its_tenant_and_the_allowed_ones() {
        let own = Tenants::of_sign_in("own".to_owned(), Vec::new());
        assert_of_call(&own, &[("", "own"), ("own", "own"), ("a", "-")]);
        assert_of_call(&own.without_choice(), &[("", "own"), ("a", "own")]);
        let listed = Tenants::of_sign_in("own".to_owned(), tenants(&["a"]));
        assert_of_call(&listed, &[("", "own"), ("a", "a"), ("b", "-")]);
        let any = Tenants::of_sign_in("own".to_owned(), tenants(&["*"]));
        assert_of_call(&any, &[("", "own"), ("a", "a")]);
        let open = Tenants::of_sign_in(ORGANIZATIONS.to_owned(), Vec::new());
        assert_of_call(&open, &[("", ORGANIZATIONS), ("a", "a")]);
        let listed = Tenants::of_sign_in(ORGANIZATIONS.to_owned(), tenants(&["a"]));
        assert_of_call(&listed, &[("", ORGANIZATIONS), ("a", "a"), ("b", "-")]);
    }

    #[test]
    fn a_tenant_cannot_leave_its_place_in_the_address() {
        for tenant in ["organizations", "contoso.onmicrosoft.com", PERSONAL_TENANT] {
            assert!(check_tenant(tenant, "the tenant").is_ok());
        }
        for tenant in [
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
            &"a".repeat(256),
        ] {
            let error = check_tenant(tenant, "the tenant").expect_err(tenant);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{tenant:?}");
        }
        assert!(check_allowed_tenant("*").is_ok() && check_allowed_tenant("**").is_err());
    }

    #[test]
    fn a_tenant_is_the_accounts_home_by_a_word_or_a_name() {
        let selected = |home: &str| SelectedAccount {
            home_account_id: format!("uid.{home}"),
            username: None,
            client_id: None,
        };
        let personal = selected(PERSONAL_TENANT);
        for (tenant, selected, expected) in [
            (ORGANIZATIONS, &selected(TID), Tenant::Home(ORGANIZATIONS)),
            ("common", &personal, Tenant::Home("common")),
            (TID, &selected(TID), Tenant::Named(TID)),
            (PERSONAL_TENANT, &personal, Tenant::Home(ORGANIZATIONS)),
            (
                PERSONAL_TENANT,
                &selected(TID),
                Tenant::Named(PERSONAL_TENANT),
            ),
            (
                "contoso.example",
                &personal,
                Tenant::Named("contoso.example"),
            ),
        ] {
            assert_eq!(Tenant::new(tenant, selected), expected);
        }
        assert_eq!(Tenant::Named("a.example").domain(), Some("a.example"));
        assert_eq!(Tenant::Named(TID).domain(), None);
        assert_eq!(Tenant::Home(ORGANIZATIONS).domain(), None);
    }
}
