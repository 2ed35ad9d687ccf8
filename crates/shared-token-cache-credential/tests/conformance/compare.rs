//! Field by field: what was expected, and what came.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Display};

use crate::json::Json;
use crate::outcome::{Left, Outcome, Request};

/// A field that differs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) field: String,
    expected: String,
    got: String,
}

impl Difference {
    pub(crate) fn new(field: &str, expected: impl Display, got: impl Display) -> Self {
        Self {
            field: field.to_owned(),
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected,
            got,
        } = self;
        write!(f, "{field}: expected {expected}, got {got}")
    }
}

/// Our delays are the nominal ones times 0.5 to 1.5; a paused clock counts milliseconds.
fn within_jitter(nominal: f64, got: f64) -> bool {
    (nominal * 0.5 - 0.001..=nominal * 1.5 + 0.001).contains(&got)
}

pub(crate) fn compare(expected: &Outcome, got: &Outcome) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare_results(expected, got, &mut differences);
    compare_requests(&expected.requests, &got.requests, &mut differences);
    let same_sleeps = expected.sleeps.len() == got.sleeps.len()
        && expected
            .sleeps
            .iter()
            .zip(&got.sleeps)
            .all(|(nominal, got)| within_jitter(*nominal, *got));
    if !same_sleeps {
        let [expected, got] = [&expected.sleeps, &got.sleeps].map(|sleeps| format!("{sleeps:?}"));
        differences.push(Difference::new("sleeps", expected, got));
    }
    match (&expected.left, &got.left) {
        (
            Left::Caches { nocae, cae },
            Left::Caches {
                nocae: got_nocae,
                cae: got_cae,
            },
        ) => {
            compare_caches("cache", nocae, got_nocae, &mut differences);
            compare_caches("cae_cache", cae, got_cae, &mut differences);
        }
        (Left::Files(expected), Left::Files(got)) if expected == got => {}
        (expected, got) => {
            let [expected, got] = [expected, got].map(shown_files);
            differences.push(Difference::new("files", expected, got));
        }
    }
    differences
}

fn compare_results(expected: &Outcome, got: &Outcome, differences: &mut Vec<Difference>) {
    let mut compare = |field: &str, expected: Option<String>, got: Option<String>| {
        if expected != got {
            let nothing = || "nothing".to_owned();
            differences.push(Difference::new(
                field,
                expected.unwrap_or_else(nothing),
                got.unwrap_or_else(nothing),
            ));
        }
    };
    let [e, g] = [expected, got].map(|outcome| outcome.result.as_ref());
    let kinds = [e, g].map(|result| result.err().map(|kind| Json::text(kind.name()).to_string()));
    let [e, g] = [e.ok(), g.ok()];
    let tokens = [e, g].map(|token| Some(token?.secret.to_string()));
    let ends = [e, g].map(|token| Some(token?.expires_on.to_string()));
    // One line for a token in place of an error, or the other way round.
    let both = e.is_some() && g.is_some();
    let [e, g] = [e, g].map(|token| token.and_then(|token| token.info.as_ref()));
    let info = both && e.is_some();
    let refresh = [e, g].map(|info| {
        Some(
            info?
                .refresh_on
                .map_or_else(|| "null".to_owned(), |n| n.to_string()),
        )
    });
    let types = [e, g].map(|info| Some(info?.token_type.to_string()));
    for (field, [e, g], always) in [
        ("token", tokens, true),
        ("expires_on", ends, both),
        ("refresh_on", refresh, info),
        ("token_type", types, info),
        ("error_kind", kinds, true),
    ] {
        if always {
            compare(field, e, g);
        }
    }
}

fn compare_requests(expected: &[Request], got: &[Request], differences: &mut Vec<Difference>) {
    if expected.len() != got.len() {
        let [e, g] = [expected, got].map(|requests| {
            let list: Vec<_> = requests.iter().map(Request::shown).collect();
            format!("{} [{}]", requests.len(), list.join(", "))
        });
        differences.push(Difference::new("requests", e, g));
    }
    for (n, (expected, got)) in expected.iter().zip(got).enumerate() {
        if (&expected.method, &expected.url) != (&got.method, &got.url) {
            let field = format!("request.{n}.url");
            let [e, g] = [expected, got].map(|r| format!("{} {}", r.method, r.url));
            differences.push(Difference::new(&field, e, g));
        }
        let names: BTreeSet<_> = expected.form.keys().chain(got.form.keys()).collect();
        for name in names {
            let [e, g] = [expected, got].map(|request| request.form.get(name));
            if e != g && !(name == "claims" && same_json(e, g)) {
                let field = format!("request.{n}.form.{name}");
                let [e, g] = [e, g].map(|text| quoted(text.map(Json::text).as_ref()));
                differences.push(Difference::new(&field, e, g));
            }
        }
    }
}

/// Claims compare by value, unless they are no JSON.
fn same_json(one: Option<&String>, other: Option<&String>) -> bool {
    let [one, other] = [one, other].map(|text| Json::parse(text?));
    one.is_some() && one == other
}

/// Section by section, entry by entry, member by member.
fn compare_caches(cache: &str, expected: &Json, got: &Json, differences: &mut Vec<Difference>) {
    compare_objects(cache, expected, got, 3, differences);
}

fn compare_objects(
    field: &str,
    expected: &Json,
    got: &Json,
    depth: u8,
    differences: &mut Vec<Difference>,
) {
    let names = expected.members().iter().chain(got.members());
    let names: BTreeSet<_> = names.map(|(name, _)| name).collect();
    let nothing = Json::empty_object();
    for name in names {
        let field = format!("{field}.{name}");
        let (e, g) = (expected.get(name), got.get(name));
        let objects = e.is_none_or(Json::is_object) && g.is_none_or(Json::is_object);
        // A section without entries is as none.
        let empty = e.or(g).is_some_and(|object| object.members().is_empty());
        if depth > 1 && objects && !(empty && depth == 2 && e.is_some() != g.is_some()) {
            let [e, g] = [e, g].map(|object| object.unwrap_or(&nothing));
            compare_objects(&field, e, g, depth - 1, differences);
        } else if e != g {
            differences.push(Difference::new(&field, quoted(e), quoted(g)));
        }
    }
}

fn quoted(value: Option<&Json>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Json::to_string)
}

fn shown_files(left: &Left) -> String {
    fn shown(value: &impl Debug) -> String {
        format!("{value:?}")
    }
    match left {
        Left::Files(files) => {
            let files: Vec<_> = files
                .iter()
                .map(|(name, file)| {
                    let content = match &file.content {
                        crate::outcome::Content::Json(json) => json.to_string(),
                        other => shown(other),
                    };
                    format!("{name} ({}) {content}", file.mode)
                })
                .collect();
            files.join("; ")
        }
        Left::Caches { .. } => "caches".to_owned(),
    }
}

impl Request {
    fn shown(&self) -> String {
        let secret = self.form.get("refresh_token").map_or("", String::as_str);
        format!("{} {} {secret}", self.method, self.url)
    }
}
