use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::guid;

/// The tenant in which all personal Microsoft accounts live.
const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Somebody who can sign in at a [`FakeEntra`](crate::FakeEntra).
///
/// ```
/// use test_support::FakeAccount;
///
/// let ada = FakeAccount::new("ada@contoso.example");
/// let bob = FakeAccount::new("bob@contoso.example");
/// assert_eq!(ada.utid, bob.utid);
/// assert_eq!(ada.home_account_id(), format!("{}.{}", ada.uid, ada.utid));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeAccount {
    /// The object id in the home tenant; guests have another one in each tenant.
    pub oid: String,
    /// The first half of the home account id.
    pub uid: String,
    /// The second half of the home account id: the home tenant.
    pub utid: String,
    /// The `preferred_username`.
    pub username: String,
    /// The display name.
    pub name: String,
}

impl FakeAccount {
    /// A work account. The same name gives the same ids, and the same domain the same tenant.
    pub fn new(username: &str) -> Self {
        let (local, domain) = username.split_once('@').unwrap_or((username, ""));
        let oid = guid::from_text(username);
        Self {
            uid: oid.clone(),
            oid,
            utid: guid::from_text(domain),
            username: username.to_owned(),
            name: local.to_owned(),
        }
    }

    /// A personal Microsoft account.
    pub fn personal(username: &str) -> Self {
        let work = Self::new(username);
        // A personal account's object id is its 64-bit id, widened.
        let oid = format!("00000000-0000-0000-{}", &work.oid[19..]);
        Self {
            uid: oid.clone(),
            oid,
            utid: PERSONAL_TENANT.to_owned(),
            ..work
        }
    }

    /// `uid.utid`: what cache entries are filed under.
    pub fn home_account_id(&self) -> String {
        format!("{}.{}", self.uid, self.utid)
    }

    /// What a token endpoint answers as `client_info`: base64url of the JSON of both ids.
    pub fn client_info(&self) -> String {
        let ids = json!({ "uid": self.uid, "utid": self.utid });
        URL_SAFE_NO_PAD.encode(ids.to_string())
    }

    /// The object id in a tenant: at home its own, elsewhere a guest's.
    pub fn oid_in(&self, tenant: &str) -> String {
        if tenant.eq_ignore_ascii_case(&self.utid) {
            self.oid.clone()
        } else {
            guid::from_text(&format!("{}@{tenant}", self.oid))
        }
    }
}
