use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, RwLock};

use super::encodings::forms;

/// What all canaries begin with. Letters and digits only, so that percent-encoding leaves it.
const MARK: &str = "CanaryQ7vK2x";

/// The mark, a dash and 128 bits in hex: what tells canaries apart.
const ID_LENGTH: usize = MARK.len() + 1 + 32;

/// Shorter texts would be found by accident.
const MIN_LENGTH: usize = 16;

/// What every `client_info` begins with: `{"uid":` in base64url, cut where the id begins.
const CLIENT_INFO: &str = "eyJ1aWQiOi";

static CLIENT_INFO_FORMS: LazyLock<Vec<String>> = LazyLock::new(|| forms(CLIENT_INFO));
static MARK_ENCODED: LazyLock<Vec<String>> = LazyLock::new(|| encoded(MARK));

/// The names of the canaries by id.
static CANARIES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Secrets without the mark; each is looked for on its own.
static REMEMBERED: RwLock<Vec<Remembered>> = RwLock::new(Vec::new());

struct Remembered {
    name: String,
    text: String,
    forms: Vec<String>,
}

/// Makes a secret text that is unique, of letters, digits and `-`, and remembered under this name
/// for as long as the process lives.
pub fn canary(name: &str) -> String {
    let id = format!("{MARK}-{:032x}", fastrand::u128(..));
    let mut canaries = CANARIES.lock().unwrap();
    canaries.insert(id.clone(), name.to_owned());
    id
}

/// As [`canary`], filled up to `length` bytes: real access tokens have about 1,750 of them.
pub fn canary_of_length(name: &str, length: usize) -> String {
    let mut text = canary(name);
    while text.len() < length {
        text.push(fastrand::alphanumeric());
    }
    text
}

/// Looks for this secret too, from now on. Once per text, however often it is called; each one
/// makes every line a little dearer, so prefer [`canary`].
///
/// # Panics
///
/// When the text has less than 16 bytes, because it would be found by accident.
pub fn remember(name: &str, secret: &str) {
    assert!(
        secret.len() >= MIN_LENGTH,
        "{name} is too short to be told from other text"
    );
    let is_known = |known: &Remembered| known.text == secret;
    if REMEMBERED.read().unwrap().iter().any(is_known) {
        return;
    }
    let mut remembered = REMEMBERED.write().unwrap();
    if !remembered.iter().any(is_known) {
        remembered.push(Remembered {
            name: name.to_owned(),
            text: secret.to_owned(),
            forms: forms(secret),
        });
    }
}

/// The names of the secrets that occur in a text, an error's or a `Debug` output for example;
/// `"part of a canary"` for one that was cut short, `"client_info"` for anybody's.
pub fn leaks_in(text: &str) -> Vec<String> {
    let mut names: Vec<String> = REMEMBERED
        .read()
        .unwrap()
        .iter()
        .filter(|remembered| contains_any(text, &remembered.forms))
        .map(|remembered| remembered.name.clone())
        .collect();
    if contains_any(text, &CLIENT_INFO_FORMS) {
        names.push("client_info".to_owned());
    }
    names.extend(plain_canaries(text));
    if contains_any(text, &MARK_ENCODED) {
        names.extend(encoded_canaries(text));
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn plain_canaries(text: &str) -> Vec<String> {
    text.match_indices(MARK)
        .map(|(start, _)| {
            text.get(start..start + ID_LENGTH)
                .and_then(|id| CANARIES.lock().unwrap().get(id).cloned())
                .unwrap_or_else(part_of_a_canary)
        })
        .collect()
}

/// Slow, for it tries every canary; by now a test is about to fail.
fn encoded_canaries(text: &str) -> Vec<String> {
    // A copy, so that nobody waits for the search.
    let canaries = CANARIES.lock().unwrap().clone();
    let names: Vec<_> = canaries
        .into_iter()
        .filter(|(id, _)| contains_any(text, &encoded(id)))
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        vec![part_of_a_canary()]
    } else {
        names
    }
}

fn part_of_a_canary() -> String {
    "part of a canary".to_owned()
}

fn encoded(text: &str) -> Vec<String> {
    let mut forms = forms(text);
    forms.retain(|form| form != text);
    forms
}

fn contains_any(text: &str, forms: &[String]) -> bool {
    forms.iter().any(|form| text.contains(form.as_str()))
}
