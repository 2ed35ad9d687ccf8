use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secret_service::{Item as FoundItem, SecretService};
use zbus::zvariant::OwnedObjectPath;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::session::Session;
use crate::error::{Error, Result};
use crate::persistence::keyring::item::{Item, LoadOutcome};
use crate::time::stopwatch::Stopwatch;

/// The attribute that every item of a token cache has, and the schema's own.
const CLIENT: (&str, &str) = ("MsalClientID", "Microsoft.Developer.IdentityService");
const SCHEMA: &str = "xdg:schema";
/// The label of the item, which the user sees.
const LABEL: &str = "MSALCache";
const CONTENT_TYPE: &str = "text/plain";

/// The time that the service may take for a load.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time that it may take for a save. The lock is held meanwhile, and perhaps was for a load,
/// and the peers wait for no more than 5 s.
const PATIENCE_IN_WRITING: Duration = Duration::from_millis(1500);
/// The time for which a service that did not answer is not asked again: callers that waited for the
/// same get the same error.
const REST: Duration = Duration::from_secs(1);

/// The item of one cache.
pub(super) struct ServiceItem {
    name: String,
    bus_address: Option<String>,
    unlock_prompt: Option<Duration>,
    /// The last time that the service did not answer, and the failure.
    silence: Mutex<Option<(Stopwatch, Silence)>>,
}

type Silence = (fn(Duration) -> Failure, Duration);

/// The state of an item or keyring that was searched for.
enum ObjectState {
    Missing,
    Unlocked(OwnedObjectPath),
    Locked(OwnedObjectPath),
}

impl ServiceItem {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bus_address: None,
            unlock_prompt: None,
            silence: Mutex::new(None),
        }
    }

    pub(super) fn with_bus_address(mut self, address: String) -> Self {
        self.bus_address = Some(address);
        self
    }

    pub(super) fn with_unlock_prompt(mut self, patience: Duration) -> Self {
        self.unlock_prompt = Some(patience);
        self
    }

    fn open(&self, patience: Duration) -> Result<Session, Failure> {
        Session::open(self.bus_address.as_deref(), patience)
    }

    fn find(&self, session: &Session) -> Result<ObjectState, Failure> {
        let name = self.name.clone();
        session.talk(|service| find(service, name))
    }

    /// Asks the user to unlock this item or keyring, where that is allowed.
    fn ask_to_unlock(&self, session: &mut Session, path: OwnedObjectPath) -> Result<(), Failure> {
        let patience = self.unlock_prompt.ok_or(Failure::Locked)?;
        session.ask_user(|service| unlock(service, path), patience)
    }

    /// Runs an attempt with the service, unless the service just did not answer.
    fn attempt<T>(&self, attempt: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let last = *self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            Some((since, (silent, patience))) if since.elapsed() < REST => Err(silent(patience)),
            _ => attempt().inspect_err(|failure| self.remember(failure)),
        }
    }

    fn unwritten(&self, failure: Failure) -> Error {
        failure.at(&self.location(), "written")
    }

    fn remember(&self, failure: &Failure) {
        let silence: Silence = match failure {
            Failure::Stuck(patience) => (Failure::Stuck, *patience),
            Failure::Unanswered(patience) => (Failure::Unanswered, *patience),
            _ => return,
        };
        let now = Stopwatch::start();
        *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, silence));
    }
}

impl Item for ServiceItem {
    fn location(&self) -> String {
        format!("{} in the Secret Service", self.name)
    }

    fn load(&self) -> Result<LoadOutcome> {
        let loaded = self.attempt(|| {
            let mut session = self.open(PATIENCE)?;
            let path = match self.find(&session)? {
                ObjectState::Missing => return Ok(LoadOutcome::NoItem),
                ObjectState::Unlocked(path) => path,
                ObjectState::Locked(path) => {
                    self.ask_to_unlock(&mut session, path.clone())?;
                    path
                }
            };
            session
                .talk(|service| read(service, path))
                .map(LoadOutcome::Content)
        });
        loaded.or_else(|failure| {
            let why = failure.no_store();
            let error = failure.at(&self.location(), "read");
            match why {
                Some(why) => Ok(LoadOutcome::NoStore(why, error)),
                None => Err(error),
            }
        })
    }

    /// Nobody is asked here, since others wait for the lock.
    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool> {
        let saved = self.attempt(|| {
            let session = self.open(PATIENCE_IN_WRITING)?;
            let place = match self.find(&session)? {
                ObjectState::Unlocked(path) => Some(path),
                ObjectState::Locked(_) => return Err(Failure::Locked),
                ObjectState::Missing => match session.talk(default_keyring)? {
                    ObjectState::Unlocked(_) => None,
                    ObjectState::Locked(_) => return Err(Failure::Locked),
                    ObjectState::Missing => return Err(Failure::NoDefaultKeyring),
                },
            };
            if !is_current() {
                return Ok(false);
            }
            let content = on_one_line(content);
            let name = self.name.clone();
            session.talk(|service| async move {
                match place {
                    Some(path) => replace(service, path, content).await,
                    None => create(service, name, content).await,
                }
            })?;
            Ok(true)
        });
        saved.map_err(|failure| self.unwritten(failure))
    }

    fn unlock(&self) -> Result<()> {
        if self.unlock_prompt.is_none() {
            return Ok(());
        }
        let unlocked = self.attempt(|| {
            let mut session = match self.open(PATIENCE) {
                // The next load decides whether that is an error.
                Err(Failure::NoBus(_) | Failure::NoService(_)) => return Ok(()),
                opened => opened?,
            };
            let place = match self.find(&session)? {
                ObjectState::Missing => session.talk(default_keyring)?,
                found => found,
            };
            match place {
                ObjectState::Locked(path) => self.ask_to_unlock(&mut session, path),
                ObjectState::Unlocked(_) | ObjectState::Missing => Ok(()),
            }
        });
        unlocked.map_err(|failure| self.unwritten(failure))
    }
}

/// Returns the same JSON on one line. gnome-keyring keeps a keyring without a password in a text
/// file. A secret of several lines would make it unreadable for the next daemon.
fn on_one_line(json: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(json.len()));
    // Within a string there is no such byte: JSON has them escaped.
    let is_kept = |byte: &u8| !matches!(byte, b'\n' | b'\r');
    line.extend(json.iter().copied().filter(is_kept));
    line
}

/// Finds the item that libsecret would read: the first one that is unlocked, else the first one.
async fn find(service: Arc<SecretService<'_>>, name: String) -> Result<ObjectState, Failure> {
    let attributes = HashMap::from([(SCHEMA, &*name), CLIENT]);
    let found = service.search_items(attributes).await?;
    let first = |items: &[FoundItem<'_>]| items.first().map(|item| item.item_path.clone());
    Ok(match (first(&found.unlocked), first(&found.locked)) {
        (Some(path), _) => ObjectState::Unlocked(path),
        (None, Some(path)) => ObjectState::Locked(path),
        (None, None) => ObjectState::Missing,
    })
}

/// Finds the keyring in which a new item is created.
async fn default_keyring(service: Arc<SecretService<'_>>) -> Result<ObjectState, Failure> {
    let keyring = match service.get_default_collection().await {
        Err(secret_service::Error::NoResult) => return Ok(ObjectState::Missing),
        keyring => keyring?,
    };
    let path = keyring.collection_path.clone();
    Ok(if keyring.is_locked().await? {
        ObjectState::Locked(path)
    } else {
        ObjectState::Unlocked(path)
    })
}

async fn read(
    service: Arc<SecretService<'_>>,
    path: OwnedObjectPath,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let item = service.get_item_by_path(path).await?;
    Ok(Zeroizing::new(item.get_secret().await?))
}

async fn unlock(service: Arc<SecretService<'_>>, path: OwnedObjectPath) -> Result<(), Failure> {
    // An item is unlocked with its keyring, and the call is the same for both.
    Ok(service.get_item_by_path(path).await?.unlock().await?)
}

async fn replace(
    service: Arc<SecretService<'_>>,
    path: OwnedObjectPath,
    content: Zeroizing<Vec<u8>>,
) -> Result<(), Failure> {
    let item = service.get_item_by_path(path).await?;
    Ok(item.set_secret(&content, CONTENT_TYPE).await?)
}

/// Creates an item in the default keyring, which was unlocked before: for a locked one the user
/// would be asked.
async fn create(
    service: Arc<SecretService<'_>>,
    name: String,
    content: Zeroizing<Vec<u8>>,
) -> Result<(), Failure> {
    let keyring = service.get_default_collection().await?;
    let attributes = HashMap::from([(SCHEMA, &*name), CLIENT]);
    keyring
        .create_item(LABEL, attributes, &content, true, CONTENT_TYPE)
        .await?;
    Ok(())
}

impl fmt::Debug for ServiceItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceItem")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
