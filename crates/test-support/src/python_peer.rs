//! Microsoft's Python packages as a neighbour at a token cache, for tests of living together.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test says in the environment what to start, and fails if that does not work"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The packages at work in one home directory, through `python/peer.py`, which tells its commands.
#[derive(Clone, Debug)]
pub struct PythonPeer {
    python: PathBuf,
    home: PathBuf,
    /// The address of the session bus on which a keyring has the store.
    bus_address: Option<String>,
}

impl PythonPeer {
    /// The packages of the interpreter that `PEER_PYTHON` names, at the store under this home.
    ///
    /// # Panics
    ///
    /// The variable is not set: the suites of `cargo xtask test` set it.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        let python = env::var_os("PEER_PYTHON").unwrap_or_else(|| {
            panic!("PEER_PYTHON names no Python with azure-identity: run `cargo xtask test`")
        });
        Self {
            python: python.into(),
            home: home.into(),
            bus_address: None,
        }
    }

    /// Has the packages keep the store in the keyring that answers on this session bus.
    pub fn with_keyring(mut self, bus_address: impl Into<String>) -> Self {
        self.bus_address = Some(bus_address.into());
        self
    }

    /// Runs a command and returns what it reports.
    ///
    /// # Panics
    ///
    /// The command failed, with what it said.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Value {
        let report = self.report(arguments);
        assert!(report["error"].is_null(), "peer.py {arguments:?}: {report}");
        report
    }

    /// Runs a command that is to fail and returns the type of its exception.
    ///
    /// # Panics
    ///
    /// The command succeeded.
    #[track_caller]
    pub fn refusal(&self, arguments: &[&str]) -> String {
        let report = self.report(arguments);
        let error = report["error"].as_str();
        error
            .unwrap_or_else(|| panic!("peer.py {arguments:?} succeeded: {report}"))
            .to_owned()
    }

    /// Takes the store's lock as the packages do, and holds it until the guard is dropped.
    ///
    /// # Panics
    ///
    /// The peer did not get the lock: it tries for 5 s, with portalocker for 10 s.
    pub fn hold_lock(&self) -> HeldLock {
        let mut holder = self
            .command(&["hold"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line of text");
        let report: Value = serde_json::from_str(&line).expect("JSON");
        let path = report["held"]
            .as_str()
            .unwrap_or_else(|| panic!("no lock: {report}"))
            .into();
        HeldLock { holder, path }
    }

    #[track_caller]
    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().expect("Python runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("peer.py {arguments:?} ended with {}: {said}", output.status)
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/python"));
        let program = match self.bus_address {
            Some(_) => "keyring_peer.py",
            None => "peer.py",
        };
        command
            .arg("-B")
            .arg(folder.join(program))
            .args(arguments)
            .env_clear()
            .env("HOME", &self.home)
            .envs(
                self.bus_address
                    .iter()
                    .map(|address| ("DBUS_SESSION_BUS_ADDRESS", address)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A lock that a Python process holds.
#[derive(Debug)]
pub struct HeldLock {
    holder: Child,
    path: PathBuf,
}

impl HeldLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HeldLock {
    /// Lets the holder release its lock, and waits until it has gone.
    fn drop(&mut self) {
        // The end of its standard input is what it waits for.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
