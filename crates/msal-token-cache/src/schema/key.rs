//! The keys under which the other MSALs put an entry.
//!
//! Keys are composed for new entries, and never read: an entry is matched by its members.

/// Returns the key of a plain access token.
pub(crate) fn access_token(
    home_account_id: &str,
    environment: &str,
    client_id: &str,
    realm: &str,
    target: &str,
) -> String {
    [
        home_account_id,
        environment,
        "accesstoken",
        client_id,
        realm,
        target,
    ]
    .join("-")
    .to_lowercase()
}

/// Returns the key of a refresh token.
pub(crate) fn refresh_token(
    home_account_id: &str,
    environment: &str,
    client_id: &str,
    target: &str,
) -> String {
    [
        home_account_id,
        environment,
        "refreshtoken",
        client_id,
        "",
        target,
    ]
    .join("-")
    .to_lowercase()
}

/// Returns the key of an ID token.
pub(crate) fn id_token(
    home_account_id: &str,
    environment: &str,
    client_id: &str,
    realm: &str,
) -> String {
    [
        home_account_id,
        environment,
        "idtoken",
        client_id,
        realm,
        "",
    ]
    .join("-")
    .to_lowercase()
}

/// Returns the key of an account.
pub(crate) fn account(home_account_id: &str, environment: &str, realm: &str) -> String {
    [home_account_id, environment, realm]
        .join("-")
        .to_lowercase()
}

/// Returns the key of an application's metadata. It alone keeps its case.
pub(crate) fn app_metadata(environment: &str, client_id: &str) -> String {
    ["appmetadata", environment, client_id].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_msal_python() {
        assert_eq!(
            access_token(
                "Uid.Utid",
                "login.microsoftonline.com",
                "Client",
                "Tenant",
                "A/.default b"
            ),
            "uid.utid-login.microsoftonline.com-accesstoken-client-tenant-a/.default b"
        );
        assert_eq!(
            refresh_token(
                "Uid.Utid",
                "login.microsoftonline.com",
                "Client",
                "A/.default"
            ),
            "uid.utid-login.microsoftonline.com-refreshtoken-client--a/.default"
        );
        assert_eq!(
            id_token("Uid.Utid", "login.microsoftonline.com", "Client", "Tenant"),
            "uid.utid-login.microsoftonline.com-idtoken-client-tenant-"
        );
        assert_eq!(
            account("Uid.Utid", "login.microsoftonline.com", "Tenant"),
            "uid.utid-login.microsoftonline.com-tenant"
        );
        assert_eq!(
            app_metadata("login.microsoftonline.com", "Client"),
            "appmetadata-login.microsoftonline.com-Client"
        );
    }
}
