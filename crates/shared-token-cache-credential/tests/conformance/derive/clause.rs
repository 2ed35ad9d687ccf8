//! The decisions, clause by clause, in the words of the design.

/// A clause of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Clause {
    /// "A refresh token is redeemed with the `client_id` of its own entry."
    K1Client,
    /// "The request asks for the caller's scopes plus `openid profile offline_access`, without
    /// doubles." In the caller's order, where the original's record path sorts.
    K1Scopes,
    /// "A family token refused under its own client is tried once more as each client whose
    /// `AppMetadata` in this store carries the same `family_id` (at most 2)."
    K1Relatives,
    /// "An account qualifies with any refresh token of its `home_account_id` in the alias group;
    /// `family_id` is not required."
    K2AnyToken,
    /// "When several accounts are left and exactly one of them has a family token, that one is
    /// taken."
    K2FamilyFirst,
    /// "Several Account entries of one `home_account_id` are one account: any non-empty name
    /// matches."
    K2OneAccount,
    /// "Never with one that has a non-empty `user_assertion_hash`, `ext`, `ext_cache_key`, or is
    /// past its own `expires_on`."
    K2NotAnyones,
    /// "`username` compares case-insensitively."
    K2NameCase,
    /// "Must match account, alias group, ..."
    K3Cloud,
    /// "... `credential_type` `AccessToken`, Bearer, ..."; of an answer as of an entry.
    K3Bearer,
    /// "... tenant"; "no tenant asked = the home tenant or the literal organizations/common".
    K3Tenant,
    /// "Personal account ...: redeem at organizations, accept realm 9188..., f8cdef31-...,
    /// organizations."
    K3Personal,
    /// "Have none of `key_id`, `kid`, `keyid`, `ext_cache_key`, `ext`, `user_assertion_hash`."
    K3Unbound,
    /// "Belong to a known client ... (in this order; within one client the one that expires
    /// last)."
    K3Client,
    /// "For broker profiles, no refresh token is needed for a hit."
    K3Broker,
    /// "Scopes compare case-insensitively as sets."
    K3Scopes,
    /// "`expires_on` beyond now + 7 days or `cached_at` beyond now + 5 min: ignored."
    K3Times,
    /// "Malformed entries are skipped, never fatal, and kept."
    K3Malformed,
    /// "Refresh tokens of the account in the alias group, ..."
    K4Cloud,
    /// "... newest `last_modification_time` first ..."
    K4Newest,
    /// "... at most 3. Go on after `invalid_grant`, ...; stop at ..."
    K4GoOn,
    /// "Empty = absent."
    K5Empty,
    /// "It is then ignored, as the class documents, ... unless `additionally_allowed_tenants` is
    /// set."
    K5Ignored,
    /// "Then it governs lookup and redemption; a tenant not listed (and no `*`) is
    /// `AuthenticationFailed` before any lookup."
    K5Listed,
    /// "`invalid_grant` never removes a token from the shared cache."
    K6Kept,
    /// "... are remembered ... by (client, authority + tenant, scopes, hash of the refresh token,
    /// claims), `bad_token`/`token_expired` by the refresh token alone"; also within a call.
    K6Remembered,
    /// "A lookup never writes."
    K7Lookup,
    /// "A malformed *section* reads as empty; a write that needs it is refused and the overlay
    /// serves."
    K7Section,
    /// "`client_info` absent, null or empty: the response belongs to the redeemed entry's account;
    /// present but undecodable or naming another account: refused and not stored; ... an
    /// undecodable `id_token` is not stored, the token is served"; a tid that contradicts the URL.
    K7Answer,
    /// "One redemption = one transaction": rivals and expired ones go, `realm`, `target` and
    /// `environment` tell the truth, no blank names, members are kept.
    K7Merge,
    /// "A lifetime of 2 h or more without it gives half-life as `refresh_on`, derived when read,
    /// never stored."
    K7HalfLife,
    /// "Every failure is our Error."
    K8Error,
    /// "Proxy pages, bad JSON, empty bodies, odd types, missing members": an answer is read by
    /// what it holds.
    K8Answer,
    /// "At most 2, for connect errors, 408 and 5xx, ... once for a connection lost ...; 429 only
    /// with a Retry-After of at most 10 s."
    K9Retries,
    /// "`access_token.xms_cc.values = ["cp1"]` merged into the caller's claims, nothing of theirs
    /// overwritten."
    K11Capability,
    /// "The alias group comes from the parsed connection host. ... No user info, path, query,
    /// fragment, blanks, nor another port in a known cloud."
    K12Authority,
    /// "The host is never taken from the file or the network."
    K12Host,
    /// "Tenants: `[A-Za-z0-9.-]{1,255}`, not `.` or `..`."
    K12Tenant,
    /// "Bad scopes, tenants and claims are `InvalidArgument` before anything is read; empty claims =
    /// absent."
    K13Arguments,
    /// "No discovery requests."
    K13Discovery,
    /// "300 s left is a miss on both paths."
    K13Margin,
    /// "No in-call refresh at `refresh_on`."
    K13NoRefresh,
    /// "Unavailable or failed does not depend on being inside a chain."
    K13Chain,
    /// "A UTF-8 BOM is accepted on reading."
    K13Bom,
    /// Section 6: "What we cannot read is unavailable with the reason."
    K13Unreadable,
    /// "The file's mode and text layout are ours (0600 ...)."
    K13Mode,
    /// Section 4: "A token with at least 30 s left is served when a redemption fails; never for a
    /// call with `claims`."
    K13LastResort,
}

use Clause::{
    K1Client, K1Relatives, K1Scopes, K2AnyToken, K2FamilyFirst, K2NameCase, K2NotAnyones,
    K2OneAccount, K3Bearer, K3Broker, K3Client, K3Cloud, K3Malformed, K3Personal, K3Scopes,
    K3Tenant, K3Times, K3Unbound, K4Cloud, K4GoOn, K4Newest, K5Empty, K5Ignored, K5Listed, K6Kept,
    K6Remembered, K7Answer, K7HalfLife, K7Lookup, K7Merge, K7Section, K8Answer, K8Error, K9Retries,
    K11Capability, K12Authority, K12Host, K12Tenant, K13Arguments, K13Bom, K13Chain, K13Discovery,
    K13LastResort, K13Margin, K13Mode, K13NoRefresh, K13Unreadable,
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
        clauses: &[K12Authority, K12Host, K12Tenant],
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
