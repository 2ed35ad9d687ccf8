//! Every error that a program can get from the credential, listed: each says where, what, and what
//! to do next.

mod answers;
mod arguments;
mod caches;
mod proxies;
mod requests;
#[cfg(unix)]
mod sources;
mod wires;

use std::path::Path;

use shared_token_cache_credential::{Error, ErrorKind};

use super::home;
#[cfg(unix)]
use super::rerun::as_ordinary_user;
use super::rerun::{is_rerun, rerun, this_binary};
use super::{Stage, text};

const TEST: &str = "credential::error_texts::every_error_names_its_place_and_the_next_step";
/// The variable that tells a process of its own which one it is.
const SURROUNDINGS: &str = "TEST_SURROUNDINGS";

/// An error, and how to come by it. `{names}` in the texts stand for what differs from run to run.
struct Row {
    kind: ErrorKind,
    text: &'static str,
    /// The parts of the text that say where, and what to do.
    place: &'static str,
    next: &'static str,
    surroundings: Surroundings,
    provoke: Box<dyn Fn(&Stage) -> Provoked>,
}

/// An error that came, and what its text's names stand for.
struct Provoked {
    error: Error,
    variables: Vec<(&'static str, String)>,
}

/// What a process has to find for an error to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surroundings {
    Usual,
    NoHome,
    /// A home without a cache, and no session bus.
    NoCache,
    NoRoots,
    /// A proxy that is spoken to by SOCKS.
    SocksProxy,
    /// A proxy that is none.
    NoProxyUrl,
    /// A user whom file modes bind.
    OrdinaryUser,
}

#[test]
fn every_error_names_its_place_and_the_next_step() {
    let table: Vec<Row> = [
        arguments::rows(),
        caches::rows(),
        requests::rows(),
        wires::rows(),
        proxies::rows(),
        answers::rows(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let here = Surroundings::of_this_process();
    check(&table, here);
    if here != Surroundings::Usual {
        return;
    }
    #[cfg(unix)]
    let no_roots = tempfile::NamedTempFile::new().unwrap();
    #[cfg(all(target_os = "linux", feature = "secret-service"))]
    let no_cache = tempfile::tempdir().unwrap();
    for (surroundings, variable, value) in [
        (Surroundings::NoHome, home::VARIABLE, Path::new("")),
        #[cfg(all(target_os = "linux", feature = "secret-service"))]
        (Surroundings::NoCache, "HOME", no_cache.path()),
        #[cfg(unix)]
        (Surroundings::NoRoots, "SSL_CERT_FILE", no_roots.path()),
        (
            Surroundings::SocksProxy,
            "ALL_PROXY",
            Path::new("socks5://proxy.example:1080"),
        ),
        (
            Surroundings::NoProxyUrl,
            "HTTPS_PROXY",
            Path::new("http://"),
        ),
    ] {
        let mut command = this_binary();
        command.env_remove("SSL_CERT_DIR").env(variable, value);
        command.env(SURROUNDINGS, format!("{surroundings:?}"));
        rerun(command, TEST);
    }
    go_on(&table);
}

#[cfg(unix)]
fn go_on(table: &[Row]) {
    as_ordinary_user(TEST, || check(table, Surroundings::OrdinaryUser));
    let texts: Vec<_> = table.iter().map(|row| row.text).collect();
    sources::assert_listed(&texts);
}

/// File modes bind nobody here, and the texts of the sources are the same.
#[cfg(windows)]
fn go_on(_table: &[Row]) {}

/// Provokes the errors of these surroundings.
fn check(table: &[Row], surroundings: Surroundings) {
    let is_here = |row: &&Row| row.surroundings == surroundings;
    assert!(table.iter().any(|row| is_here(&row)), "{surroundings:?}");
    let rows = table.iter().filter(is_here);
    let wrong: Vec<_> = rows.filter_map(|row| row.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Surroundings {
    fn of_this_process() -> Self {
        if !is_rerun() {
            return Self::Usual;
        }
        let name = std::env::var(SURROUNDINGS).ok();
        let others = [
            Self::NoHome,
            Self::NoCache,
            Self::NoRoots,
            Self::SocksProxy,
            Self::NoProxyUrl,
        ];
        others
            .into_iter()
            .find(|known| name == Some(format!("{known:?}")))
            .unwrap_or(Self::OrdinaryUser)
    }
}

impl Row {
    fn new<P: Into<Provoked>>(
        kind: ErrorKind,
        text: &'static str,
        place: &'static str,
        next: &'static str,
        provoke: impl Fn(&Stage) -> P + 'static,
    ) -> Self {
        Self {
            kind,
            text,
            place,
            next,
            surroundings: Surroundings::Usual,
            provoke: Box::new(move |stage| provoke(stage).into()),
        }
    }

    fn within(self, surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            ..self
        }
    }

    /// Provokes the error and says what is wrong with it.
    fn check(&self) -> Result<(), String> {
        let stage = Stage::new();
        let Provoked { error, variables } = (self.provoke)(&stage);
        let mut variables = variables;
        variables.push(("host", stage.entra.authority().replace("https://", "")));
        variables.push(("tenant", stage.ada.utid.clone()));
        let filled = |template: &str| {
            let fill = |text: String, (name, value): &(&str, String)| {
                text.replace(&format!("{{{name}}}"), value)
            };
            variables.iter().fold(template.to_owned(), fill)
        };
        let text = text(&error);
        let names = |part: &str| !part.is_empty() && text.contains(&filled(part));
        let is_one_sentence = !text.starts_with(char::is_uppercase) && !text.ends_with('.');
        for (is_so, what) in [
            (text == filled(self.text), "another text than expected"),
            (error.kind() == self.kind, "of another kind"),
            (names(self.place), "without the place"),
            (names(self.next), "without the next step"),
            (self.place != self.next, "with a place for a next step"),
            (!text.contains(char::is_control), "not for a terminal"),
            (is_one_sentence, "not in lower case without a full stop"),
        ] {
            if !is_so {
                return Err(format!(
                    "{what}:\n    {text:?}\n    {:?}",
                    filled(self.text)
                ));
            }
        }
        Ok(())
    }
}

impl Provoked {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// With what the innermost cause says, which is another library's or the system's to word.
    fn with_cause(self) -> Self {
        let mut cause: &dyn std::error::Error = &self.error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let cause = cause.to_string();
        self.with("cause", cause)
    }
}

impl From<Error> for Provoked {
    fn from(error: Error) -> Self {
        Self {
            error,
            variables: Vec::new(),
        }
    }
}
