//! A session bus with a gnome-keyring on it, both for one test alone.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secret_service::{EncryptionType, SecretService};
use tempfile::TempDir;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

use super::CACHE;

const PASSWORD: &str = "the keyring's password";
const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const INTERFACE: &str = "org.freedesktop.Secret.Service";
/// What gnome-keyring offers to the rest of its desktop.
const INTERNAL: &str = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface";
const PROMPTER: &str = "org.gnome.keyring.SystemPrompter";

/// Home, bus and keyring of a made-up user. What runs ends with it.
pub(super) struct Desktop {
    folder: TempDir,
    bus: Child,
    keyring: Child,
    /// Our own connection, to set up and to look.
    connection: zbus::Connection,
}

impl Desktop {
    /// With an unlocked default keyring that holds nothing. Nothing else can be started on its bus
    /// by asking for it, and there is nobody who could show a prompt.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let config = folder.path().join("bus.conf");
        fs::write(&config, bus_config(&socket_in(folder.path()))).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--config-file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("bus.log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("no dbus-daemon ({error}): run `cargo xtask test`"));
        let mut line = String::new();
        let stdout = bus.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line}");
        let keyring = start_keyring(folder.path());
        let connection = zbus::connection::Builder::address(&*address_in(folder.path()))
            .unwrap()
            .build()
            .await
            .unwrap();
        let desktop = Self {
            folder,
            bus,
            keyring,
            connection,
        };
        desktop.wait_for_keyring().await;
        desktop
    }

    pub(super) fn address(&self) -> String {
        address_in(self.folder.path())
    }

    pub(super) fn home(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn signal_file(&self) -> PathBuf {
        self.home().join(".IdentityService").join(CACHE)
    }

    /// What a peer does that has written the item.
    pub(super) fn touch(&self) {
        fs::create_dir_all(self.home().join(".IdentityService")).unwrap();
        let mut options = fs::File::options();
        let file = options.append(true).create(true).open(self.signal_file());
        file.unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
    }

    /// Puts the cache's item, with such further attributes, into the default keyring, and returns
    /// its path.
    pub(super) async fn put(&self, content: &str, more: &[(&str, &str)]) -> OwnedObjectPath {
        let service = self.service().await;
        let keyring = service.get_default_collection().await.unwrap();
        let path = keyring.collection_path.clone();
        self.put_into(path, content, more).await
    }

    /// The same, into this keyring.
    pub(super) async fn put_into(
        &self,
        keyring: OwnedObjectPath,
        content: &str,
        more: &[(&str, &str)],
    ) -> OwnedObjectPath {
        let service = self.service().await;
        let keyring = service.get_collection_by_path(keyring).await.unwrap();
        let mut attributes = attributes();
        attributes.extend(more.iter().copied());
        let item = keyring
            .create_item(
                "MSALCache",
                attributes,
                content.as_bytes(),
                false,
                "text/plain",
            )
            .await
            .unwrap();
        item.item_path
    }

    /// The contents of all items of the cache, by their paths.
    pub(super) async fn items(&self) -> Vec<(OwnedObjectPath, String)> {
        let service = self.service().await;
        let found = service.search_items(attributes()).await.unwrap();
        assert!(found.locked.is_empty());
        let mut items = Vec::new();
        for item in found.unlocked {
            let secret = item.get_secret().await.unwrap();
            items.push((item.item_path, String::from_utf8(secret).unwrap()));
        }
        items
    }

    /// How many items there are, of whatever kind.
    pub(super) async fn item_count(&self) -> usize {
        let mut count = 0;
        for keyring in self.service().await.get_all_collections().await.unwrap() {
            count += keyring.get_all_items().await.unwrap().len();
        }
        count
    }

    pub(super) async fn service(&self) -> SecretService<'static> {
        let connection = self.connection.clone();
        SecretService::connect_with_existing(EncryptionType::Dh, connection)
            .await
            .unwrap()
    }

    /// Locks the default keyring.
    pub(super) async fn lock(&self) {
        let service = self.service().await;
        let keyring = service.get_default_collection().await.unwrap();
        keyring.lock().await.unwrap();
        assert!(keyring.is_locked().await.unwrap());
    }

    /// Locks this keyring.
    pub(super) async fn lock_keyring(&self, keyring: &OwnedObjectPath) {
        let service = self.service().await;
        let keyring = service.get_collection_by_path(keyring.clone());
        let keyring = keyring.await.unwrap();
        keyring.lock().await.unwrap();
        assert!(keyring.is_locked().await.unwrap());
    }

    pub(super) async fn is_locked(&self) -> bool {
        let service = self.service().await;
        let keyring = service.get_default_collection().await.unwrap();
        keyring.is_locked().await.unwrap()
    }

    /// Unlocks the default keyring without a prompt, as signing in to a desktop does.
    pub(super) async fn unlock(&self) {
        let keyring = {
            let service = self.service().await;
            let keyring = service.get_default_collection().await.unwrap();
            keyring.collection_path.clone()
        };
        let secret = self.secret(PASSWORD).await;
        self.call(INTERNAL, "UnlockWithMasterPassword", &(keyring, secret))
            .await;
        assert!(!self.is_locked().await);
    }

    /// Makes another keyring, unlocked, with this password, and returns its path.
    pub(super) async fn make_keyring(&self, label: &str, password: &str) -> OwnedObjectPath {
        let label_property = "org.freedesktop.Secret.Collection.Label";
        let properties = HashMap::from([(label_property, Value::from(label))]);
        let secret = self.secret(password).await;
        let reply = self
            .call(INTERNAL, "CreateWithMasterPassword", &(properties, secret))
            .await;
        reply.body().deserialize().unwrap()
    }

    pub(super) async fn delete_default_keyring(&self) {
        let service = self.service().await;
        let keyring = service.get_default_collection().await.unwrap();
        keyring.delete().await.unwrap();
    }

    /// A password, as the service takes it.
    async fn secret(&self, password: &str) -> (OwnedObjectPath, Vec<u8>, Vec<u8>, &'static str) {
        let arguments = ("plain", Value::from(""));
        let reply = self.call(INTERFACE, "OpenSession", &arguments).await;
        let (_, session): (OwnedValue, OwnedObjectPath) = reply.body().deserialize().unwrap();
        (session, Vec::new(), password.into(), "text/plain")
    }

    async fn call<A>(&self, interface: &str, method: &str, arguments: &A) -> zbus::Message
    where
        A: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let destination = Some(SERVICE);
        self.connection
            .call_method(
                destination,
                SERVICE_PATH,
                Some(interface),
                method,
                arguments,
            )
            .await
            .unwrap()
    }

    /// Puts somebody on the bus whom the keyring asks to show a prompt, and who never does.
    pub(super) async fn start_silent_prompter(&self) -> zbus::Connection {
        zbus::connection::Builder::address(&*self.address())
            .unwrap()
            .serve_at("/org/gnome/keyring/Prompter", SilentPrompter)
            .unwrap()
            .name(PROMPTER)
            .unwrap()
            .build()
            .await
            .unwrap()
    }

    /// Takes the bus away from whoever does not have a connection yet.
    pub(super) fn hide_bus(&self) {
        let socket = socket_in(self.folder.path());
        fs::rename(&socket, socket.with_extension("hidden")).unwrap();
    }

    pub(super) fn show_bus(&self) {
        let socket = socket_in(self.folder.path());
        fs::rename(socket.with_extension("hidden"), &socket).unwrap();
    }

    /// Stops the keyring where it is: it is there, and answers nothing.
    pub(super) fn stop_keyring(&self) {
        kill(pid(&self.keyring), Signal::SIGSTOP).unwrap();
    }

    pub(super) fn continue_keyring(&self) {
        kill(pid(&self.keyring), Signal::SIGCONT).unwrap();
    }

    /// Ends the keyring, whatever it is at.
    pub(super) fn kill_keyring(&mut self) {
        self.keyring.kill().unwrap();
        self.keyring.wait().unwrap();
    }

    pub(super) async fn restart_keyring(&mut self) {
        self.keyring = start_keyring(self.folder.path());
        self.wait_for_keyring().await;
    }

    /// What a program of the desktop prints that is run there.
    pub(super) fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("HOME", self.home())
            .env("DBUS_SESSION_BUS_ADDRESS", self.address())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        [output.stdout, output.stderr]
            .map(|said| String::from_utf8(said).unwrap())
            .concat()
    }

    async fn wait_for_keyring(&self) {
        let bus = DBusProxy::new(&self.connection).await.unwrap();
        for _ in 0..1_000 {
            let name = BusName::try_from(SERVICE).unwrap();
            if bus.name_has_owner(name).await.unwrap() {
                let service = self.service().await;
                if let Ok(keyring) = service.get_default_collection().await
                    && !keyring.is_locked().await.unwrap()
                {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no keyring within 10 s");
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for process in [&mut self.keyring, &mut self.bus] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Takes every request for a prompt, and asks nobody.
struct SilentPrompter;

#[zbus::interface(name = "org.gnome.keyring.internal.Prompter")]
#[allow(clippy::unused_self, reason = "methods on the bus have one")]
impl SilentPrompter {
    fn begin_prompting(&self, callback: ObjectPath<'_>) {
        drop(callback);
    }

    fn stop_prompting(&self, callback: ObjectPath<'_>) {
        drop(callback);
    }
}

fn attributes() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("xdg:schema", CACHE),
        ("MsalClientID", "Microsoft.Developer.IdentityService"),
    ])
}

fn start_keyring(home: &Path) -> Child {
    let mut keyring = Command::new("gnome-keyring-daemon")
        .args(["--foreground", "--unlock", "--components=secrets"])
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("DBUS_SESSION_BUS_ADDRESS", address_in(home))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(fs::File::create(home.join("keyring.log")).unwrap())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("no gnome-keyring-daemon ({error}): run `cargo xtask test`")
        });
    // It reads the password to the end.
    let mut stdin = keyring.stdin.take().unwrap();
    stdin.write_all(PASSWORD.as_bytes()).unwrap();
    keyring
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("bus")
}

fn address_in(folder: &Path) -> String {
    format!("unix:path={}", socket_in(folder).display())
}

/// A bus for one user that starts no services.
fn bus_config(socket: &Path) -> String {
    format!(
        r#"<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap())
}
