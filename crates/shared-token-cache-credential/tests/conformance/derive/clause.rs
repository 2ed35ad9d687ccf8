//! The decisions (`docs/DEVIATIONS.md`), clause by clause.

/// A clause of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Clause {
    /// A refresh token is redeemed as the client of its own entry, not as the Azure CLI.
    K1Client,
    /// `openid profile offline_access` are asked for besides the scopes of the caller, in the caller's
    /// order and each once. With a record the original asks for them too, and sorts.
    K1Scopes,
    /// A family token that is refused is tried as up to two more clients that `AppMetadata` names for
    /// the family.
    K1Relatives,
    /// Any refresh token of the account in the cloud makes it eligible, with a family or without.
    K2AnyToken,
    /// Of several accounts that are left, the only one with a family token is meant.
    K2FamilyFirst,
    /// Several entries of one `home_account_id` are one account, and each of their names is its name.
    K2OneAccount,
    /// Refresh tokens that belong to a session, or are past their own expiry, do not count.
    K2NotAnyones,
    /// Usernames compare without case.
    K2NameCase,
    /// An access token must be of the authority's cloud.
    K3Cloud,
    /// It must be an `AccessToken` and a bearer token; so must the one in an answer.
    K3Bearer,
    /// It must be of the tenant that is asked for: of the home tenant, or the words for it, where none
    /// is.
    K3Tenant,
    /// Personal accounts redeem at `organizations` and take tokens of their three realms.
    K3Personal,
    /// It must not be bound to a key or a session.
    K3Unbound,
    /// It must be of a client that is known for the account. The better known come first, and of one
    /// client the token that expires last.
    K3Client,
    /// A broker's account needs no refresh token for a hit.
    K3Broker,
    /// Scopes compare without case.
    K3Scopes,
    /// What is valid for more than seven days, or from the future, is passed over.
    K3Times,
    /// A time in a text loses its fraction, as one in a number does.
    K3Fractions,
    /// Malformed entries are passed over and stay where they are.
    K3Malformed,
    /// Only refresh tokens of the authority's cloud are sent to it.
    K4Cloud,
    /// The newest is tried first.
    K4Newest,
    /// Requests are sent for up to three, until an error shows that no other will do; a code says more
    /// than the error's word.
    K4GoOn,
    /// An empty tenant is none.
    K5Empty,
    /// The tenant of a call is ignored where `additionally_allowed_tenants` is not set.
    K5Ignored,
    /// Where it is set, the tenant of a call governs the look-up too, and one that is not listed is
    /// refused before that.
    K5Listed,
    /// A refused refresh token stays in the shared cache.
    K6Kept,
    /// What was refused is not asked again, be it in the same call; a bad or expired refresh token as
    /// no client.
    K6Remembered,
    /// A look-up writes nothing.
    K7Lookup,
    /// A section that is no object reads as empty and is not written.
    K7Section,
    /// An answer that names another account or tenant, or one that cannot be read, is refused. Where
    /// nothing else names the account, an ID token of the home tenant does.
    K7Answer,
    /// What a redemption brought is written once: overlapping and expired access tokens go, `realm`,
    /// `target` and `environment` are true, names are not blanked, members stay, and an answer that
    /// names nobody is the account's.
    K7Merge,
    /// A token that lives for two hours or more has half of that for `refresh_on` when it is read.
    K7HalfLife,
    /// Every failure is one of ours.
    K8Error,
    /// An answer is judged by what it holds: whatever its content type, and odd types where they can be
    /// read. An error that says nothing does not count beside a token, and a secret is of graphic ASCII.
    K8Answer,
    /// Two retries after failed connects, 408 and 5xx, one after a lost connection, and after 429 only
    /// where a short wait is asked for.
    K9Retries,
    /// `cp1` is added to the caller's capabilities.
    K11Capability,
    /// An authority is a host, with a port where it is one's own; case and `:443` do not count.
    K12Authority,
    /// The host is the authority's, never one that an entry names.
    K12Host,
    /// A tenant is of letters, digits, dots and hyphens, and not the word for AD FS.
    K12Tenant,
    /// Nothing is redeemed for an account of AD FS, unless the authority is a known cloud.
    K12Adfs,
    /// Bad scopes and claims are invalid arguments before anything is read.
    K13Arguments,
    /// There are no discovery requests.
    K13Discovery,
    /// A token with 300 s left is a miss with a record, too.
    K13Margin,
    /// A token whose `refresh_on` has passed is handed out.
    K13NoRefresh,
    /// Failed is failed within a chain, too.
    K13Chain,
    /// A byte order mark is read.
    K13Bom,
    /// A cache that cannot be read makes the credential unavailable.
    K13Unreadable,
    /// A file that is written is readable for its owner only.
    K13Mode,
    /// A cached token with 30 s left serves when a redemption fails, unless the call has claims.
    K13LastResort,
    /// A lifetime is `expires_in` from 1 s to seven days, else `expires_on` within as much; what has
    /// less than 30 s left is not handed out, and only its refresh token is stored. The other times of
    /// an answer have the same bounds, and a token is refreshed before its end.
    K15Lifetime,
    /// Identifiers compare in one way each: GUIDs, hosts and domain names without ASCII case, names
    /// by ASCII case only. New entries have them in lower case.
    K16Identifiers,
    /// Scopes that are the same text are the same only where they are of the same resource: in a
    /// look-up, and for what has to make way. A call of bare scopes alone stores only such.
    K14Resources,
}

use Clause::{
    K1Client, K1Relatives, K1Scopes, K2AnyToken, K2FamilyFirst, K2NameCase, K2NotAnyones,
    K2OneAccount, K3Bearer, K3Broker, K3Client, K3Cloud, K3Fractions, K3Malformed, K3Personal,
    K3Scopes, K3Tenant, K3Times, K3Unbound, K4Cloud, K4GoOn, K4Newest, K5Empty, K5Ignored,
    K5Listed, K6Kept, K6Remembered, K7Answer, K7HalfLife, K7Lookup, K7Merge, K7Section, K8Answer,
    K8Error, K9Retries, K11Capability, K12Adfs, K12Authority, K12Host, K12Tenant, K13Arguments,
    K13Bom, K13Chain, K13Discovery, K13LastResort, K13Margin, K13Mode, K13NoRefresh, K13Unreadable,
    K14Resources, K15Lifetime, K16Identifiers,
};

/// A decision: its number and its clauses.
pub(crate) struct Decision {
    pub(crate) number: u8,
    pub(crate) clauses: &'static [Clause],
}

/// The decisions, roughly in the order in which a call meets them. K10 is about texts, which no
/// vector compares.
pub(crate) const DECISIONS: &[Decision] = &[
    Decision {
        number: 12,
        clauses: &[K12Authority, K12Host, K12Tenant, K12Adfs],
    },
    Decision {
        number: 13,
        clauses: &[
            K13Arguments,
            K13Discovery,
            K13Unreadable,
            K13Bom,
            K13Margin,
            K13NoRefresh,
            K13Chain,
            K13Mode,
            K13LastResort,
        ],
    },
    Decision {
        number: 16,
        clauses: &[K16Identifiers],
    },
    Decision {
        number: 5,
        clauses: &[K5Empty, K5Ignored, K5Listed],
    },
    Decision {
        number: 7,
        clauses: &[K7Section, K7Lookup, K7Answer, K7Merge, K7HalfLife],
    },
    Decision {
        number: 2,
        clauses: &[
            K2AnyToken,
            K2NotAnyones,
            K2OneAccount,
            K2NameCase,
            K2FamilyFirst,
        ],
    },
    Decision {
        number: 3,
        clauses: &[
            K3Malformed,
            K3Fractions,
            K3Broker,
            K3Cloud,
            K3Bearer,
            K3Tenant,
            K3Personal,
            K3Unbound,
            K3Times,
            K3Scopes,
            K3Client,
        ],
    },
    Decision {
        number: 14,
        clauses: &[K14Resources],
    },
    Decision {
        number: 11,
        clauses: &[K11Capability],
    },
    Decision {
        number: 1,
        clauses: &[K1Client, K1Scopes, K1Relatives],
    },
    Decision {
        number: 4,
        clauses: &[K4Cloud, K4Newest, K4GoOn],
    },
    Decision {
        number: 9,
        clauses: &[K9Retries],
    },
    Decision {
        number: 6,
        clauses: &[K6Kept, K6Remembered],
    },
    Decision {
        number: 8,
        clauses: &[K8Answer, K8Error],
    },
    Decision {
        number: 15,
        clauses: &[K15Lifetime],
    },
];

/// Which clauses are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(u64);

impl Rules {
    pub(crate) fn with(self, clause: Clause) -> Self {
        Self(self.0 | 1 << clause as u8)
    }

    pub(crate) fn without(self, clause: Clause) -> Self {
        Self(self.0 & !(1 << clause as u8))
    }

    pub(crate) fn has(self, clause: Clause) -> bool {
        self.0 & 1 << clause as u8 != 0
    }
}
