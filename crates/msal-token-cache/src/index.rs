//! The positions of each account's access tokens, so that a look-up does not read those of others.

use crate::document::{Document, Section, hash_without_case};

/// Positions in the `AccessToken` section by the hash of the `home_account_id`, whatever its case,
/// and in document order where that is the same.
#[derive(Default)]
pub(crate) struct Index(Vec<(u64, usize)>);

impl Index {
    pub(crate) fn of(document: &Document) -> Self {
        let positions = 0..document.entries(Section::AccessToken).len();
        let mut positions: Vec<_> = positions
            .filter_map(|position| {
                let account = document.owner(Section::AccessToken, position)?;
                Some((hash_without_case(account.as_bytes()), position))
            })
            .collect();
        positions.sort_unstable();
        Self(positions)
    }

    /// Returns the positions of an account's tokens, and of others with the same hash.
    pub(crate) fn near(&self, home_account_id: &str) -> impl Iterator<Item = usize> + use<'_> {
        let hash = hash_without_case(home_account_id.as_bytes());
        let first = self.0.partition_point(|(other, _)| *other < hash);
        let same = self.0[first..]
            .iter()
            .take_while(move |(other, _)| *other == hash);
        same.map(|(_, position)| *position)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zeroize::Zeroizing;

    use crate::Snapshot;
    use crate::document::twins;

    #[test]
    fn accounts_of_one_hash_have_tokens_of_their_own() {
        let [one, two] = twins("");
        let token = |owner: &str, secret: &str| {
            json!({
                "home_account_id": owner, "environment": "e", "client_id": "c", "realm": "r",
                "target": "t", "expires_on": "1", "secret": secret,
            })
        };
        let cache = json!({"AccessToken": {
            "1": token(&one, "first"), "2": token(&two, "second"),
            "3": token("another", "third"), "4": token(&one, "fourth"),
        }});
        let snapshot = Snapshot::parse(Zeroizing::new(cache.to_string())).expect("a cache");
        for (owner, secrets) in [
            (&*one, &["first", "fourth"][..]),
            (&two, &["second"]),
            ("another", &["third"]),
            ("nobody", &[]),
        ] {
            let secret = |token: &crate::AccessToken<'_>| token.secret().expose_secret().to_owned();
            let all = snapshot.access_tokens_of(owner);
            assert_eq!(all.map(|token| secret(&token)).collect::<Vec<_>>(), secrets);
            let good = snapshot.access_tokens_for(owner, &["t"]);
            assert_eq!(
                good.map(|token| secret(&token)).collect::<Vec<_>>(),
                secrets
            );
        }
    }
}
