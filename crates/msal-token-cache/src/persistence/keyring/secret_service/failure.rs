//! The failures of talking to the service, with the next step for the user.

use std::time::Duration;

use zbus::{DBusError, fdo};

use crate::error::{Error, ErrorKind};

/// A failure of talking to the service.
#[derive(Debug)]
pub(super) enum Failure {
    /// The session bus cannot be reached.
    NoBus(zbus::Error),
    /// The bus knows no service of this name, and cannot start one.
    NoService(secret_service::Error),
    /// There is no keyring to put an item into.
    NoDefaultKeyring,
    Locked,
    /// The user declined to unlock it, or could not be asked.
    Dismissed,
    /// The user was asked to unlock it and did nothing for so long.
    Unanswered(Duration),
    /// The service did nothing for so long.
    Stuck(Duration),
    /// The service ended before it had answered.
    Ended(secret_service::Error),
    Refused(secret_service::Error),
    /// The thread that talks to the bus could not be started, or died.
    NoThread(Option<std::io::Error>),
}

impl Failure {
    /// Returns the reason in a few words if there is no Secret Service at all; else `None`.
    pub(super) fn no_store(&self) -> Option<String> {
        let is_it = matches!(self, Self::NoBus(_) | Self::NoService(_));
        is_it.then(|| self.words().1)
    }

    /// Returns the kind of error, the reason and the next step.
    fn words(&self) -> (ErrorKind, String, &'static str) {
        use ErrorKind::{Io, KeyringLocked, Unavailable};

        match self {
            Self::NoBus(_) => (
                Unavailable,
                "no D-Bus session answers".to_owned(),
                "run this in the user's session, where DBUS_SESSION_BUS_ADDRESS is set",
            ),
            Self::NoService(_) => (
                Unavailable,
                "no Secret Service runs in this D-Bus session".to_owned(),
                "start one, as gnome-keyring is",
            ),
            Self::NoDefaultKeyring => (
                Unavailable,
                "the Secret Service has no default keyring".to_owned(),
                "make one, with Seahorse for example",
            ),
            Self::Locked => (KeyringLocked, "the keyring is locked".to_owned(), UNLOCK),
            Self::Dismissed => (
                KeyringLocked,
                "the request to unlock the keyring was dismissed".to_owned(),
                UNLOCK,
            ),
            Self::Unanswered(patience) => (
                KeyringLocked,
                format!("the request to unlock the keyring was not answered within {patience:?}"),
                UNLOCK,
            ),
            Self::Stuck(patience) => (
                Io,
                format!("the Secret Service did not answer within {patience:?}"),
                "if that goes on, restart it",
            ),
            Self::Ended(_) => (
                Io,
                "the Secret Service ended before it had answered".to_owned(),
                "try again",
            ),
            Self::Refused(error) => (
                Io,
                match name_of(error) {
                    Some(name) => format!("the Secret Service answered {name}"),
                    None => "the Secret Service gave an answer that makes no sense".to_owned(),
                },
                "try again, and see the service's log if that goes on",
            ),
            Self::NoThread(error) => (
                Io,
                match error {
                    Some(error) => format!("no thread could be started to ask it: {error}"),
                    None => "the thread that asks it died".to_owned(),
                },
                "see whether the limit on threads is reached",
            ),
        }
    }

    /// Returns the error for this location, with the participle of the action that failed.
    pub(super) fn at(self, location: &str, what: &str) -> Error {
        let (kind, why, next) = self.words();
        let error = Error::new(kind, format!("{location} cannot be {what}: {why}; {next}"));
        match self {
            Self::NoBus(cause) => error.with_source(cause),
            Self::NoService(cause) | Self::Ended(cause) | Self::Refused(cause) => {
                error.with_source(cause)
            }
            _ => error,
        }
    }
}

const UNLOCK: &str = "unlock it, by signing in to the desktop or with Seahorse";

impl From<secret_service::Error> for Failure {
    fn from(error: secret_service::Error) -> Self {
        use secret_service::Error::{Locked, Prompt, PromptDisconnected};

        match error {
            Locked => return Self::Locked,
            Prompt => return Self::Dismissed,
            PromptDisconnected => return Self::Ended(error),
            _ => {}
        }
        match name_of(&error).as_deref() {
            Some(IS_LOCKED) => Self::Locked,
            Some(
                "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner",
            ) => Self::NoService(error),
            Some(name) if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => {
                Self::NoService(error)
            }
            Some(
                "org.freedesktop.DBus.Error.NoReply" | "org.freedesktop.DBus.Error.Disconnected",
            ) => Self::Ended(error),
            None if is_of_the_connection(&error) => Self::Ended(error),
            _ => Self::Refused(error),
        }
    }
}

const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";

/// The D-Bus name of an error that the service or the bus answered.
fn name_of(error: &secret_service::Error) -> Option<String> {
    fn of_zbus(error: &zbus::Error) -> Option<String> {
        match error {
            zbus::Error::MethodError(name, ..) => Some(name.to_string()),
            zbus::Error::FDO(error) => of_fdo(error),
            _ => None,
        }
    }
    fn of_fdo(error: &fdo::Error) -> Option<String> {
        match error {
            fdo::Error::ZBus(error) => of_zbus(error),
            error => Some(error.name().to_string()),
        }
    }
    match error {
        secret_service::Error::Zbus(error) => of_zbus(error),
        secret_service::Error::ZbusFdo(error) => of_fdo(error),
        _ => None,
    }
}

fn is_of_the_connection(error: &secret_service::Error) -> bool {
    use secret_service::Error::{Zbus, ZbusFdo};

    matches!(
        error,
        Zbus(zbus::Error::InputOutput(_)) | ZbusFdo(fdo::Error::ZBus(zbus::Error::InputOutput(_)))
    )
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;

    use super::*;

    fn answered(error: fdo::Error) -> Failure {
        secret_service::Error::ZbusFdo(error).into()
    }

    #[test]
    fn what_the_bus_answers_tells_no_service_from_one_that_ended() {
        let why = || "why".to_owned();
        for error in [
            fdo::Error::ServiceUnknown(why()),
            fdo::Error::NameHasNoOwner(why()),
            fdo::Error::SpawnExecFailed(why()),
            fdo::Error::SpawnServiceNotFound(why()),
        ] {
            let failure = answered(error);
            assert!(matches!(failure, Failure::NoService(_)), "{failure:?}");
        }
        for error in [fdo::Error::NoReply(why()), fdo::Error::Disconnected(why())] {
            let failure = answered(error);
            assert!(matches!(failure, Failure::Ended(_)), "{failure:?}");
        }
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let broken = zbus::Error::InputOutput(Arc::new(broken));
        assert!(matches!(
            Failure::from(secret_service::Error::Zbus(broken)),
            Failure::Ended(_)
        ));
        assert!(matches!(
            answered(fdo::Error::AccessDenied(why())),
            Failure::Refused(_)
        ));
        assert!(matches!(
            Failure::from(secret_service::Error::Crypto("why")),
            Failure::Refused(_)
        ));
    }

    #[test]
    fn every_failure_says_what_and_the_next_step() {
        use ErrorKind::{Io, KeyringLocked, Unavailable};

        let three = Duration::from_secs(3);
        let reply = || secret_service::Error::ZbusFdo(fdo::Error::AccessDenied(String::new()));
        for (failure, kind, text, has_source) in [
            (
                Failure::NoBus(zbus::Error::InvalidReply),
                Unavailable,
                "no D-Bus session answers; run this in the user's session, where \
                 DBUS_SESSION_BUS_ADDRESS is set",
                true,
            ),
            (
                Failure::NoService(reply()),
                Unavailable,
                "no Secret Service runs in this D-Bus session; start one, as gnome-keyring is",
                true,
            ),
            (
                Failure::NoDefaultKeyring,
                Unavailable,
                "the Secret Service has no default keyring; make one, with Seahorse for example",
                false,
            ),
            (
                Failure::Locked,
                KeyringLocked,
                "the keyring is locked; unlock it, by signing in to the desktop or with Seahorse",
                false,
            ),
            (
                Failure::Dismissed,
                KeyringLocked,
                "the request to unlock the keyring was dismissed; unlock it, by signing in to the \
                 desktop or with Seahorse",
                false,
            ),
            (
                Failure::Unanswered(three),
                KeyringLocked,
                "the request to unlock the keyring was not answered within 3s; unlock it, by \
                 signing in to the desktop or with Seahorse",
                false,
            ),
            (
                Failure::Stuck(three),
                Io,
                "the Secret Service did not answer within 3s; if that goes on, restart it",
                false,
            ),
            (
                Failure::Ended(reply()),
                Io,
                "the Secret Service ended before it had answered; try again",
                true,
            ),
            (
                Failure::Refused(reply()),
                Io,
                "the Secret Service answered org.freedesktop.DBus.Error.AccessDenied; try again, \
                 and see the service's log if that goes on",
                true,
            ),
            (
                Failure::Refused(secret_service::Error::Crypto("why")),
                Io,
                "the Secret Service gave an answer that makes no sense; try again, and see the \
                 service's log if that goes on",
                true,
            ),
            (
                Failure::NoThread(None),
                Io,
                "the thread that asks it died; see whether the limit on threads is reached",
                false,
            ),
        ] {
            let error = failure.at("the cache", "read");
            assert_eq!(error.kind(), kind);
            assert_eq!(
                error.to_string(),
                format!("the cache cannot be read: {text}")
            );
            assert_eq!(error.source().is_some(), has_source, "{text}");
        }
    }
}
