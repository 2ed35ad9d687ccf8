//! What Python's class and MSAL for Node take for the same calls on the same caches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, cargo};
use crate::python_peers::{self, Environment};
use crate::{Result, node_peers, prerequisites};

use super::measured::Rounds;

const PROGRAMS: &str = "benches/peers";
/// How long a peer is measured at each cache.
const SECONDS: &str = "1";

pub(super) struct Peers {
    python: PathBuf,
    modules: PathBuf,
    caches: PathBuf,
}

impl Peers {
    /// Installs them. The caches are written for each round, for their tokens expire.
    pub(super) fn prepare(folder: &Path) -> Result<Self> {
        prerequisites::provide(prerequisites::OF_THE_SUITES)?;
        let caches = std::path::absolute(folder.join("caches"))?;
        fs::create_dir_all(&caches)?;
        Ok(Self {
            python: python_peers::interpreter(Environment::Plain)?,
            modules: node_peers::folder()?.join("node_modules"),
            caches,
        })
    }

    /// Adds the peers' times to the round, if they take part in the group.
    pub(super) fn measure(&self, group: &str, rounds: &mut Rounds) -> Result {
        if !["hit", "cold"].contains(&group) {
            return Ok(());
        }
        let write = ["run", "--quiet", "--release", "--package", "benches"];
        let mut write = cargo(&write);
        write.args(["--features", "yardsticks", "--bin", "write_caches", "--"]);
        command::run(write.arg(&self.caches))?;
        let mut python = Command::new(&self.python);
        python
            .arg("-B")
            .arg(Path::new(PROGRAMS).join("peer.py"))
            .arg(group);
        let mut node = Command::new("node");
        node.arg(Path::new(PROGRAMS).join("peer.mjs"))
            .arg(group)
            .arg(&self.modules);
        for (name, mut peer) in [("python", python), ("node", node)] {
            let figures = command::output(peer.arg(&self.caches).arg(SECONDS))?;
            let figures: BTreeMap<String, f64> = serde_json::from_str(&figures)?;
            for (size, time) in figures {
                rounds.add(format!("{group}/{name}/{size}"), time);
            }
        }
        Ok(())
    }
}
