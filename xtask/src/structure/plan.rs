//! The plan of the house. A room may use the rooms and crates that stand behind its name.

/// Rooms, each with the rooms that it may use.
pub(super) type Rooms = &'static [(&'static str, &'static [&'static str])];

/// What one crate may look like.
pub(super) struct CratePlan {
    /// Its name, which is also its folder's.
    pub(super) name: &'static str,
    /// The crates of the workspace that it may depend on.
    pub(super) crates: &'static [&'static str],
    /// Its rooms from the ground up, each with the rooms that it may use; `None` if they are not
    /// planned yet.
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
        rooms: None,
        pure: &[],
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
        name: "shared-token-cache-credential",
        crates: &[
            "entra-token-endpoint",
            "msal-token-cache",
            "token-credential",
        ],
        rooms: None,
        pure: &[],
    },
];
