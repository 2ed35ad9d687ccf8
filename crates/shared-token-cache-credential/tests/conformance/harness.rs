//! Whether this target would notice: wrong expectations are planted, of every field and kind, and
//! each must be reported as what it is.

use crate::compare::Difference;
use crate::derive::clause::Clause;
use crate::derive::derive;
use crate::json::Json;
use crate::modes::{Verdict, judge, look_up_as_it_is};
use crate::record;
use crate::vector::{File, RecordVector, Vector, name_of, read};

type Check = fn(&Vectors) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    (
        "every derived outcome passes as a vector of its own",
        derived_vectors,
    ),
    (
        "a planted expectation is the only difference",
        planted_fields,
    ),
    (
        "a planted sleep counts beyond the jitter only",
        planted_sleep,
    ),
    ("a planted file is a difference", planted_file),
    ("a planted record is a difference", planted_record),
    ("an unknown member fails its vector", unknown_members),
    (
        "what the original did not do is not believed",
        planted_recordings,
    ),
    ("the table must say what is so", planted_rows),
];

/// How many of the checks fail.
pub(crate) fn check(files: &[&str]) -> u32 {
    let vectors = Vectors::read(files);
    let mut failed = 0;
    for (name, check) in CHECKS {
        if let Err(why) = check(&vectors) {
            failed += 1;
            println!("differs harness {name}: {why}");
        }
    }
    println!(
        "{} of {} checks of the harness passed",
        CHECKS.len() - failed,
        CHECKS.len()
    );
    u32::try_from(failed).unwrap_or(u32::MAX)
}

/// The project's own vectors.
struct Vectors(Vec<Json>);

impl Vectors {
    fn read(files: &[&str]) -> Self {
        let files = files
            .iter()
            .filter_map(|text| serde_json::from_str::<File>(text).ok());
        Self(
            files
                .flat_map(|file| file.lookup.into_iter().chain(file.record))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Result<Json, String> {
        let mut vectors = self.0.iter();
        let vector = vectors.find(|vector| name_of(vector) == name);
        vector.cloned().ok_or_else(|| format!("there is no {name}"))
    }

    /// A vector that says itself what comes of it here: the derived outcome in place of the
    /// original's.
    fn ours(&self, name: &str) -> Result<Json, String> {
        let mut json = self.get(name)?;
        let vector = read::<Vector>(&json)?;
        let derived = derive(&vector)?.outcome;
        // The answers to requests that are not made go with them.
        if let Some(Json::List(answers)) = json.get_mut("transport") {
            let mut asked = vector.expected_requests.iter();
            answers.retain(|_| asked.next().is_none_or(|request| request.method != "GET"));
        }
        derived.put_into(&mut json);
        let differences = look_up_as_it_is(&json)?;
        if differences.is_empty() {
            Ok(json)
        } else {
            Err(format!(
                "{name} differs before anything is planted: {differences:?}"
            ))
        }
    }
}

/// The member under these names; a number is a place in a list.
fn at<'j>(json: &'j mut Json, path: &[&str]) -> Option<&'j mut Json> {
    let Some((first, rest)) = path.split_first() else {
        return Some(json);
    };
    let next = match json {
        Json::List(list) => list.get_mut(first.parse::<usize>().ok()?),
        object => object.get_mut(first),
    };
    at(next?, rest)
}

fn plant(json: &mut Json, path: &[&str], value: Json) -> Result<(), String> {
    let place = at(json, path).ok_or_else(|| format!("there is no {path:?} to plant at"))?;
    *place = value;
    Ok(())
}

fn expect_only(field: &str, differences: &[Difference]) -> Result<(), String> {
    match differences {
        [only] if only.field == field => Ok(()),
        others => Err(format!(
            "expected a difference in {field} only, got {others:?}"
        )),
    }
}

fn derived_vectors(vectors: &Vectors) -> Result<(), String> {
    let lookups = vectors.0.iter().filter(|vector| vector.has("call"));
    let mut seen = 0;
    for vector in lookups {
        vectors.ours(name_of(vector))?;
        seen += 1;
    }
    if seen > 300 {
        Ok(())
    } else {
        Err(format!("expected all vectors, got {seen}"))
    }
}

fn planted_fields(vectors: &Vectors) -> Result<(), String> {
    const MISS: &str = "at/margin_300_miss";
    const CAE: &str = "call/cae_rotation_only_cae_cache";
    const KEY: &str = "uid-1.tenant-home-login.microsoftonline.com-refreshtoken-04b07795-8ddb-461a-bbee-02f9e1bf7b46--scope-x";
    let after = ["expected_cache_after", "RefreshToken", KEY, "secret"];
    let cae_after = ["expected_cae_cache_after", "RefreshToken", KEY, "family_id"];
    let cache_field = format!("cache.RefreshToken.{KEY}.secret");
    let cae_field = format!("cae_cache.RefreshToken.{KEY}.family_id");
    let wrong = || Json::text("planted");
    let number = || Json::Number(7.into());
    let plants: [(&str, &[&str], Json, &str); 12] = [
        (MISS, &["expected", "token"], wrong(), "token"),
        (MISS, &["expected", "expires_on"], number(), "expires_on"),
        (MISS, &["expected", "refresh_on"], number(), "refresh_on"),
        (MISS, &["expected", "token_type"], wrong(), "token_type"),
        (
            "at/scope_subset_hit",
            &["expected", "token"],
            wrong(),
            "token",
        ),
        (
            "account/two_none",
            &["expected", "error_kind"],
            Json::text("authentication_failed"),
            "error_kind",
        ),
        (
            "authority/http",
            &["expected", "error_kind"],
            Json::text("unavailable"),
            "error_kind",
        ),
        (
            MISS,
            &["expected_requests", "0", "url"],
            wrong(),
            "request.0.url",
        ),
        (
            MISS,
            &["expected_requests", "0", "form", "client_id"],
            wrong(),
            "request.0.form.client_id",
        ),
        (
            MISS,
            &["expected_requests", "0", "form", "scope"],
            wrong(),
            "request.0.form.scope",
        ),
        (MISS, &after, wrong(), &cache_field),
        (CAE, &cae_after, wrong(), &cae_field),
    ];
    for (name, path, value, field) in plants {
        let mut json = vectors.ours(name)?;
        plant(&mut json, path, value)?;
        expect_only(field, &look_up_as_it_is(&json)?)?;
    }
    let mut json = vectors.ours(MISS)?;
    plant(&mut json, &["expected_requests"], Json::List(Vec::new()))?;
    expect_only("requests", &look_up_as_it_is(&json)?)?;
    // A section that is expected and not there, and one that is there and not expected.
    let mut json = vectors.ours(MISS)?;
    plant(
        &mut json,
        &["expected_cache_after", "AppMetadata"],
        Json::empty_object(),
    )?;
    let differences = look_up_as_it_is(&json)?;
    if differences.len() != 2 {
        return Err(format!(
            "expected two members too many, got {differences:?}"
        ));
    }
    // A token in place of an error.
    let mut json = vectors.ours("account/two_none")?;
    let token = vectors.ours(MISS)?;
    plant(
        &mut json,
        &["expected"],
        token.get("expected").cloned().unwrap_or(Json::Null),
    )?;
    let fields = look_up_as_it_is(&json)?;
    let fields: Vec<_> = fields.iter().map(|difference| &*difference.field).collect();
    if fields != ["token", "error_kind"] {
        return Err(format!("expected token and error_kind, got {fields:?}"));
    }
    Ok(())
}

fn planted_sleep(vectors: &Vectors) -> Result<(), String> {
    const NAME: &str = "response/retry_connect_then_ok";
    let sleep = |seconds: f64| {
        let number = serde_json::Number::from_f64(seconds).map_or(Json::Null, Json::Number);
        Json::List(vec![number])
    };
    for (seconds, counts) in [(1.0, false), (3.1, true), (0.3, true)] {
        let mut json = vectors.ours(NAME)?;
        plant(&mut json, &["expected_sleeps"], sleep(seconds))?;
        let differences = look_up_as_it_is(&json)?;
        if counts {
            expect_only("sleeps", &differences)?;
        } else if !differences.is_empty() {
            return Err(format!(
                "expected the jitter not to count, got {differences:?}"
            ));
        }
    }
    let mut json = vectors.ours(NAME)?;
    plant(&mut json, &["expected_sleeps"], Json::List(Vec::new()))?;
    expect_only("sleeps", &look_up_as_it_is(&json)?)
}

fn planted_file(vectors: &Vectors) -> Result<(), String> {
    const FILE: [&str; 2] = ["expected_files_after", "msal.cache.nocae"];
    let mut json = vectors.ours("file/mode_0644_kept")?;
    plant(&mut json, &[FILE[0], FILE[1], "mode"], Json::text("0644"))?;
    expect_only("files", &look_up_as_it_is(&json)?)?;
    let mut json = vectors.ours("file/garbage")?;
    plant(&mut json, &[FILE[0], FILE[1], "text"], Json::text("{}"))?;
    expect_only("files", &look_up_as_it_is(&json)?)?;
    let mut json = vectors.ours("file/garbage")?;
    plant(&mut json, &FILE[..1], Json::empty_object())?;
    expect_only("files", &look_up_as_it_is(&json)?)
}

fn planted_record(vectors: &Vectors) -> Result<(), String> {
    let plants: [(&str, &[&str], Json, &str); 4] = [
        (
            "record/deserialize_good",
            &["expected", "username"],
            Json::text("planted"),
            "username",
        ),
        (
            "record/deserialize_good",
            &["expected_reserialized"],
            Json::text("{}"),
            "reserialized",
        ),
        (
            "record/deserialize_not_json",
            &["expected", "error_kind"],
            Json::text("unavailable"),
            "error_kind",
        ),
        (
            "record/serialize_emoji",
            &["expected_text"],
            Json::text("{}"),
            "text",
        ),
    ];
    for (name, path, value, field) in plants {
        let mut json = vectors.get(name)?;
        let before = record::compare(&read::<RecordVector>(&json)?);
        if !before.is_empty() {
            return Err(format!(
                "{name} differs before anything is planted: {before:?}"
            ));
        }
        plant(&mut json, path, value)?;
        expect_only(field, &record::compare(&read::<RecordVector>(&json)?))?;
    }
    Ok(())
}

fn unknown_members(vectors: &Vectors) -> Result<(), String> {
    let places: [&[&str]; 6] = [
        &[],
        &["call"],
        &["constructor"],
        &["expected"],
        &["expected_requests", "0"],
        &["transport", "0"],
    ];
    for place in places {
        let mut json = vectors.get("at/margin_300_miss")?;
        at(&mut json, place)
            .ok_or_else(|| format!("there is no {place:?}"))?
            .set("planted", Json::Null);
        if read::<Vector>(&json).is_ok() {
            return Err(format!(
                "expected an unknown member in {place:?} to fail it"
            ));
        }
    }
    let mut json = vectors.get("record/deserialize_good")?;
    json.set("planted", Json::Null);
    match read::<RecordVector>(&json) {
        Ok(_) => Err("expected an unknown member to fail a record vector".to_owned()),
        Err(_) => Ok(()),
    }
}

/// A recording that the original cannot have made: no decision may be derived from it.
fn planted_recordings(vectors: &Vectors) -> Result<(), String> {
    let plants: [(&str, &[&str], Json); 4] = [
        (
            "at/scope_subset_hit",
            &["expected", "token"],
            Json::text("planted"),
        ),
        (
            "account/two_none",
            &["expected", "error_kind"],
            Json::text("authentication_failed"),
        ),
        (
            "rt/two_newer_second_still_first",
            &["expected_requests", "0", "form", "refresh_token"],
            Json::text("rt-b"),
        ),
        (
            "at/expired_purged",
            &["expected_cache_after", "AppMetadata"],
            Json::empty_object(),
        ),
    ];
    for (name, path, value) in plants {
        let mut json = vectors.get(name)?;
        plant(&mut json, path, value)?;
        if derive(&read::<Vector>(&json)?).is_ok() {
            return Err(format!(
                "expected {name} with {path:?} planted not to be understood"
            ));
        }
    }
    Ok(())
}

/// A table, clauses, differences, and whether they are a good case.
type Row<'a> = (
    &'a [(&'a str, &'a [Clause])],
    &'a [Clause],
    Vec<Difference>,
    bool,
);

fn planted_rows(_: &Vectors) -> Result<(), String> {
    const ROW: &[Clause] = &[Clause::K1Scopes, Clause::K7Merge];
    let name = "vector";
    let differs = || vec![Difference::new("token", "a", "b")];
    let same = Vec::new;
    let rows: [Row<'_>; 8] = [
        (&[(name, ROW)], ROW, same(), true),
        (&[], &[], same(), true),
        // A row too few, one too many, and one with other clauses.
        (&[], ROW, same(), false),
        (&[(name, ROW)], &[], same(), false),
        (&[(name, &[Clause::K1Scopes])], ROW, same(), false),
        (&[(name, ROW), (name, ROW)], ROW, same(), false),
        // A right row does not excuse a difference.
        (&[(name, ROW)], ROW, differs(), false),
        (&[], &[], differs(), false),
    ];
    for (table, clauses, differences, is_good) in rows {
        let verdict = judge(name, clauses.to_vec(), &differences, table);
        if matches!(verdict, Verdict::Good(_)) != is_good {
            return Err(format!(
                "{table:?} with {clauses:?} and {differences:?} gives {verdict:?}"
            ));
        }
    }
    Ok(())
}
