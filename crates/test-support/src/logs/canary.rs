use std::sync::{LazyLock, Mutex, RwLock};

use super::encodings::forms;

/// What all canaries begin with. Letters and digits only, so that percent-encoding leaves it.
const MARK: &str = "CanaryQ7vK2x";

/// Shorter texts would be found by accident.
const MIN_LENGTH: usize = 16;

static MARK_FORMS: LazyLock<Vec<String>> = LazyLock::new(|| forms(MARK));

/// The canaries made, to name the one that leaked.
static CANARIES: Mutex<Vec<Named>> = Mutex::new(Vec::new());

/// Secrets without the mark; each is looked for on its own.
static REMEMBERED: RwLock<Vec<Remembered>> = RwLock::new(Vec::new());

struct Named {
    name: String,
    text: String,
}

struct Remembered {
    secret: Named,
    forms: Vec<String>,
}

/// Makes a secret text that is unique, of letters, digits and `-`, and remembered under this name
/// for as long as the process lives.
pub fn canary(name: &str) -> String {
    canary_of_length(name, 0)
}

/// As [`canary`], filled up to `length` bytes: real access tokens have about 1,750 of them.
pub fn canary_of_length(name: &str, length: usize) -> String {
    let mut text = format!("{MARK}-{:032x}", fastrand::u128(..));
    while text.len() < length {
        text.push(fastrand::alphanumeric());
    }
    CANARIES.lock().unwrap().push(Named {
        name: name.to_owned(),
        text: text.clone(),
    });
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
    let is_known = |known: &Remembered| known.secret.text == secret;
    if REMEMBERED.read().unwrap().iter().any(is_known) {
        return;
    }
    let mut remembered = REMEMBERED.write().unwrap();
    if !remembered.iter().any(is_known) {
        remembered.push(Remembered {
            secret: Named {
                name: name.to_owned(),
                text: secret.to_owned(),
            },
            forms: forms(secret),
        });
    }
}

/// The names of the secrets that occur in a text, an error's or a `Debug` output for example;
/// `"part of a canary"` for one that was cut short.
pub fn leaks_in(text: &str) -> Vec<String> {
    let mut names: Vec<String> = REMEMBERED
        .read()
        .unwrap()
        .iter()
        .filter(|remembered| contains_any(text, &remembered.forms))
        .map(|remembered| remembered.secret.name.clone())
        .collect();
    if contains_any(text, &MARK_FORMS) {
        let before = names.len();
        // Seldom: this is where a test is about to fail.
        for canary in &*CANARIES.lock().unwrap() {
            if contains_any(text, &forms(&canary.text)) {
                names.push(canary.name.clone());
            }
        }
        if names.len() == before {
            names.push("part of a canary".to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn contains_any(text: &str, forms: &[String]) -> bool {
    forms.iter().any(|form| text.contains(form.as_str()))
}
