//! The vectors of authentication records.

use shared_token_cache_credential::AuthenticationRecord;

use crate::compare::Difference;
use crate::derive::clause::Clause;
use crate::json::{Json, texts};
use crate::run::failure;
use crate::vector::{Failure, RecordExpected, RecordOp, RecordVector};

/// What should come of a record vector by our decisions, and the clauses that make it differ.
pub(crate) fn derive(vector: &RecordVector) -> (Option<Failure>, Vec<Clause>) {
    let Some(expected) = &vector.expected else {
        return (None, Vec::new());
    };
    let is_odd = fields(expected)
        .iter()
        .any(|(_, value)| value.as_ref().is_some_and(|value| value.as_str().is_none()));
    match expected.error_kind {
        Some(Failure::Other) => (Some(Failure::InvalidArgument), vec![Clause::K8Error]),
        None if is_odd => (Some(Failure::InvalidArgument), vec![Clause::K8Answer]),
        kind => (kind, Vec::new()),
    }
}

/// Compares with the original's own outcome.
pub(crate) fn compare(vector: &RecordVector) -> Vec<Difference> {
    let kind = vector
        .expected
        .as_ref()
        .and_then(|expected| expected.error_kind);
    compare_with(vector, kind)
}

/// Compares with an outcome whose error, if any, is this one.
pub(crate) fn compare_with(vector: &RecordVector, kind: Option<Failure>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut check = |field: &str, expected: &str, got: &str| {
        if expected != got {
            differences.push(Difference::new(field, expected, got));
        }
    };
    let record = match vector.op {
        RecordOp::Deserialize => {
            AuthenticationRecord::deserialize(vector.input.as_str().unwrap_or_default())
        }
        RecordOp::Serialize => of_fields(&vector.input),
    };
    let shown = |kind: Option<Failure>| kind.map_or("nothing", Failure::name);
    check(
        "error_kind",
        shown(kind),
        shown(record.as_ref().err().map(failure)),
    );
    let (Ok(record), None) = (record, kind) else {
        return differences;
    };
    if let Some(expected) = &vector.expected {
        for (name, value) in fields(expected) {
            let got = match name {
                "authority" => record.authority(),
                "client_id" => record.client_id(),
                "home_account_id" => record.home_account_id(),
                "tenant_id" => record.tenant_id(),
                _ => record.username(),
            };
            let expected = value
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), Json::to_string);
            check(name, &expected, &Json::text(got).to_string());
        }
    }
    let written = [
        ("reserialized", &vector.expected_reserialized),
        ("text", &vector.expected_text),
    ];
    for (field, expected) in written {
        if let Some(expected) = expected {
            check(field, expected, &record.serialize());
        }
    }
    differences
}

fn fields(expected: &RecordExpected) -> [(&'static str, &Option<Json>); 5] {
    [
        ("authority", &expected.authority),
        ("client_id", &expected.client_id),
        ("home_account_id", &expected.home_account_id),
        ("tenant_id", &expected.tenant_id),
        ("username", &expected.username),
    ]
}

/// The way to a record is its JSON.
fn of_fields(fields: &Json) -> shared_token_cache_credential::Result<AuthenticationRecord> {
    let record = texts([
        ("authority", fields.str("authority")),
        ("clientId", fields.str("client_id")),
        ("homeAccountId", fields.str("home_account_id")),
        ("tenantId", fields.str("tenant_id")),
        ("username", fields.str("username")),
        ("version", Some("1.0")),
    ]);
    AuthenticationRecord::deserialize(&record.to_string())
}
