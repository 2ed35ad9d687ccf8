//! The processes that take part.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::Result;

/// What can be started.
pub(crate) struct Programs {
    pub(crate) ours: PathBuf,
    pub(crate) plain: PathBuf,
    pub(crate) portalocker: PathBuf,
    pub(crate) node_modules: PathBuf,
}

impl Programs {
    /// `cache_torture` with these arguments.
    pub(crate) fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.ours);
        command.args(arguments);
        command
    }

    pub(crate) fn python(python: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(python);
        command
            .args(["-B", "crates/test-support/python/torture_peer.py"])
            .args(arguments);
        command
    }

    pub(crate) fn node(&self, mode: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command
            .args(["crates/test-support/node/torture_peer.mjs", mode])
            .arg(&self.node_modules)
            .args(arguments);
        command
    }

    /// A cache in a folder of its own, in which one account is signed in.
    pub(crate) fn place(&self, parent: &Path, name: &str) -> Result<Place> {
        let folder = parent.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        private_folder(&folder)?;
        let path = folder.join("msal.cache.nocae");
        let place = Place {
            text: path.to_str().ok_or("a path that is no text")?.to_owned(),
            folder,
            path,
        };
        Process::start(&mut self.ours(&["create", &place.text]))?.report()?;
        Ok(place)
    }
}

/// A cache file in a folder of its own.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Place {
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder.join("msal.cache.nocae.lockfile")
    }

    /// The cache's content, if it is whole.
    pub(crate) fn content(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(&self.path)?)?)
    }

    /// The number that is written under this name.
    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let content = self.content()?;
        let tokens = content["AccessToken"].as_object().into_iter().flatten();
        Ok(tokens
            .map(|(_, token)| token)
            .find(|token| token["target"] == name)
            .and_then(|token| token["secret"].as_str()?.parse().ok())
            .unwrap_or(0))
    }

    pub(crate) fn mode(&self) -> Result<u32> {
        Ok(fs::metadata(&self.path)?.mode() & 0o7777)
    }

    /// The temporaries of ours.
    pub(crate) fn temporaries(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".msal-token-cache-tmp") {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Only for its owner, for we write nowhere else.
pub(crate) fn private_folder(folder: &Path) -> Result {
    Ok(fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?)
}

/// A process that we have started; killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    what: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self {
            child,
            stdout,
            what: format!("{command:?}"),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints; empty at its end.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// The end of its standard input, which some wait for.
    pub(crate) fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end and returns what it reports.
    pub(crate) fn report(mut self) -> Result<Value> {
        self.let_go();
        let line = self.line()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{} ended with {status}: {line}", self.what).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Kills it with SIGKILL, and returns the lines that it has printed.
    pub(crate) fn kill(mut self) -> Result<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    /// Sends another signal, by its name.
    pub(crate) fn signal(&self, name: &str) -> Result {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("kill -s {name} failed").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number below this one, by chance.
pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below.max(1)
}

/// The element below which this share of all lies.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}
