use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::logs;

/// A JSON answer before it becomes text, so that a script can change it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) members: Map<String, Value>,
    pub(super) id_token: Option<IdToken>,
}

impl Answer {
    pub(super) fn new(status: u16, members: Map<String, Value>) -> Self {
        Self {
            status,
            members,
            id_token: None,
        }
    }
}

/// Members of a JSON object.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// An ID token whose signature is a canary, and which holds that canary among its claims: it is
/// found in a log whole, in parts and decoded.
pub(super) struct IdToken {
    pub(super) claims: Map<String, Value>,
    canary: String,
}

impl IdToken {
    pub(super) fn new(mut claims: Map<String, Value>) -> Self {
        // Entra's own name for what identifies one token.
        let canary = logs::canary_of_length("id_token", 342);
        claims.insert("uti".to_owned(), json!(canary));
        Self { claims, canary }
    }

    pub(super) fn encode(&self) -> String {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "test-support" });
        let claims = Value::Object(self.claims.clone());
        let [header, claims] = [header, claims].map(|v| URL_SAFE_NO_PAD.encode(v.to_string()));
        format!("{header}.{claims}.{}", self.canary)
    }
}
