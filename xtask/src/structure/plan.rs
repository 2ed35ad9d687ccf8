//! The plan of the house. A room may use the rooms and crates that stand behind its name.

/// Rooms, each with the rooms that it may use.
pub(super) type Rooms = &'static [(&'static str, &'static [&'static str])];

/// What one crate may look like.
pub(super) struct CratePlan {
    /// Its name, which is also its folder's.
    pub(super) name: &'static str,
    /// The crates of the workspace that it may depend on.
    pub(super) crates: &'static [&'static str],
    /// Its rooms from the ground up, each with the rooms that it may use; `None` for a crate that
    /// only has to be without circles.
    pub(super) rooms: Option<Rooms>,
    /// The rooms without I/O, clock, log, lock or runtime.
    pub(super) pure: &'static [&'static str],
}

/// What a pure room must not name.
pub(super) const IMPURE: &[&str] = &[
    "arc_swap",
    "fastrand",
    "hyper",
    "hyper_util",
    "rustix",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::atomic",
    "std::thread",
    "std::time::Instant",
    "tokio",
    "tokio_util",
    "tracing",
];

pub(super) const CRATES: &[CratePlan] = &[
    CratePlan {
        name: "token-credential",
        crates: &[],
        rooms: Some(&[
            ("sanitize", &[]),
            ("secret", &[]),
            ("clock", &[]),
            ("access_token", &["secret"]),
            ("request", &[]),
            ("error", &["sanitize"]),
            ("credential", &["access_token", "error", "request"]),
            (
                "chain",
                &["access_token", "credential", "error", "request", "sanitize"],
            ),
        ]),
        pure: &["access_token", "error", "request", "sanitize", "secret"],
    },
    CratePlan {
        name: "msal-token-cache",
        crates: &["token-credential"],
        rooms: Some(&[
            // The ground.
            ("error", &[]),
            ("identifier", &[]),
            ("seen_tick", &[]),
            ("time", &[]),
            ("unsupported_format", &[]),
            ("wipe", &[]),
            // The wing of bytes.
            ("fs", &["error", "time"]),
            ("lock", &["error", "fs", "time"]),
            ("lease", &["fs", "lock", "time"]),
            (
                "persistence",
                &["error", "fs", "lock", "time", "unsupported_format", "wipe"],
            ),
            // The wing of text.
            ("document", &["identifier", "wipe"]),
            ("schema", &["document", "identifier"]),
            ("index", &["document"]),
            ("snapshot", &["document", "identifier", "index", "schema"]),
            (
                "content",
                &["document", "error", "snapshot", "unsupported_format"],
            ),
            ("transaction", &["document", "error", "schema", "snapshot"]),
            (
                "merge",
                &["document", "error", "identifier", "schema", "transaction"],
            ),
            // Both meet.
            (
                "cache",
                &[
                    "content",
                    "error",
                    "fs",
                    "lease",
                    "persistence",
                    "seen_tick",
                    "snapshot",
                    "time",
                    "transaction",
                ],
            ),
        ]),
        pure: &[
            "document",
            "error",
            "identifier",
            "index",
            "merge",
            "schema",
            "transaction",
            "unsupported_format",
        ],
    },
    CratePlan {
        name: "entra-token-endpoint",
        crates: &["token-credential"],
        rooms: Some(&[
            ("env", &[]),
            ("host", &[]),
            ("known_hosts", &[]),
            ("tenant", &[]),
            ("authority", &["host", "known_hosts", "tenant"]),
            ("json_members", &[]),
            ("usable", &[]),
            ("token_endpoint", &[]),
            ("error_response", &["json_members", "token_endpoint"]),
            ("error", &["error_response", "token_endpoint"]),
            (
                "token_response",
                &[
                    "error",
                    "error_response",
                    "json_members",
                    "token_endpoint",
                    "usable",
                ],
            ),
            ("retry", &["token_endpoint"]),
            (
                "post",
                &["error", "retry", "token_endpoint", "token_response"],
            ),
            ("http", &["env", "token_endpoint"]),
        ]),
        pure: &[
            "authority",
            "error",
            "error_response",
            "host",
            "json_members",
            "known_hosts",
            "retry",
            "tenant",
            "token_endpoint",
            "token_response",
            "usable",
        ],
    },
    CratePlan {
        name: "token-credential-engine",
        crates: &["token-credential"],
        rooms: Some(&[
            ("call", &[]),
            ("clock", &[]),
            ("negative_cache", &[]),
            ("refresh_schedule", &[]),
            ("shutdown", &[]),
            ("sync", &[]),
            ("single_flight", &["sync"]),
            ("unsaved", &[]),
            ("source", &["call", "unsaved"]),
            ("memo", &["source"]),
            ("shelf", &["memo", "source", "unsaved"]),
            (
                "lookup",
                &[
                    "call",
                    "clock",
                    "memo",
                    "refresh_schedule",
                    "shelf",
                    "source",
                ],
            ),
            ("lease", &["call", "lookup", "shelf", "source"]),
            (
                "redeemer",
                &[
                    "call",
                    "lease",
                    "lookup",
                    "refresh_schedule",
                    "shelf",
                    "shutdown",
                    "source",
                ],
            ),
            ("background", &["call", "refresh_schedule"]),
            (
                "engine",
                &[
                    "background",
                    "call",
                    "clock",
                    "lookup",
                    "redeemer",
                    "refresh_schedule",
                    "shutdown",
                    "single_flight",
                    "source",
                ],
            ),
        ]),
        pure: &["call", "refresh_schedule"],
    },
    CratePlan {
        name: "shared-token-cache-credential",
        crates: &[
            "entra-token-endpoint",
            "msal-token-cache",
            "token-credential",
            "token-credential-engine",
        ],
        rooms: Some(&[
            ("authentication_record", &[]),
            ("env", &[]),
            ("persistence_options", &[]),
            ("policy", &["authentication_record"]),
            ("error", &["policy"]),
            ("caches", &["error"]),
            ("shared_cache", &["error", "persistence_options"]),
            ("account_source", &["policy"]),
            ("state", &["caches", "error", "policy"]),
            ("redemption", &["error", "policy", "state"]),
            (
                "source",
                &["account_source", "error", "policy", "redemption", "state"],
            ),
            (
                "silent_credential",
                &["account_source", "caches", "source", "state"],
            ),
            ("credential", &["silent_credential"]),
            (
                "builder",
                &[
                    "account_source",
                    "authentication_record",
                    "caches",
                    "credential",
                    "env",
                    "persistence_options",
                    "policy",
                    "shared_cache",
                    "silent_credential",
                ],
            ),
        ]),
        pure: &["error", "policy"],
    },
    CratePlan {
        name: "test-support",
        crates: &[
            "msal-token-cache",
            "shared-token-cache-credential",
            "token-credential",
        ],
        rooms: None,
        pure: &[],
    },
];
