//! One cache file among many writers, with the real peers and the real faults: each scenario comes
//! to a row of a table, which says what was seen and whether that is good enough.

mod faults;
mod holders;
mod kills;
mod population;
mod process;
mod readers;
mod special;
mod table;

use std::path::{Path, PathBuf};

use crate::cargo_test::Tally;
use crate::command::{self, cargo};
use crate::python_peers::{self, Environment};
use crate::{Result, node_peers, prerequisites};

use self::process::Programs;
use self::table::Table;

/// How much is done: everything, or what fits into two minutes.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Long,
    Short,
}

impl Form {
    fn is_short(self) -> bool {
        matches!(self, Self::Short)
    }

    /// A number for each form.
    fn of<T>(self, long: T, short: T) -> T {
        match self {
            Self::Long => long,
            Self::Short => short,
        }
    }
}

type Scenario = fn(&Stage, &mut Table) -> Result;

const SCENARIOS: &[(&str, Scenario)] = &[
    ("kills", kills::run),
    ("writers", population::writers),
    ("peers", population::peers),
    ("readers", readers::run),
    ("holders", holders::run),
    ("special", special::run),
    ("faults", faults::run),
    ("tokens", faults::behind_a_token),
];

/// What a scenario has at hand.
struct Stage {
    form: Form,
    programs: Programs,
    /// A folder on tmpfs.
    memory: PathBuf,
    /// A folder on a disk.
    disk: PathBuf,
}

/// Runs the scenarios of these names, or all.
///
/// # Errors
///
/// A name is unknown, something is missing, or a row is not as it should be.
pub(crate) fn run(form: Form, names: &[&str]) -> Result {
    let tally = table_of(form, names)?;
    println!("torture: {} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 && tally.passed > 0 {
        return Ok(());
    }
    Err("the table names what is not as it should be".into())
}

/// The short form as a suite among the others.
pub(crate) fn suite() -> Result<Tally> {
    table_of(Form::Short, &[])
}

fn table_of(form: Form, names: &[&str]) -> Result<Tally> {
    for name in names {
        if !SCENARIOS.iter().any(|(known, _)| known == name) {
            let known: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
            return Err(format!("no scenario `{name}`: there are {}", known.join(", ")).into());
        }
    }
    prerequisites::provide(prerequisites::OF_THE_SUITES)?;
    if !prerequisites::is_root()? {
        let text = "the torture mounts, traces, and makes files of other users: run it as root, in a \
                    container for example";
        return Err(text.into());
    }
    let stage = stage(form)?;
    let mut table = Table::new();
    for (name, scenario) in SCENARIOS {
        if names.is_empty() || names.contains(name) {
            println!("\n== {name}");
            scenario(&stage, &mut table)?;
        }
    }
    table.write(Path::new("target/torture.md"))?;
    Ok(table.tally())
}

fn stage(form: Form) -> Result<Stage> {
    // The long form measures what a user would have; the short one uses what the tests have built.
    let mut build = cargo(&[
        "build",
        "--package",
        "test-support",
        "--features",
        "torture",
        "--bin",
        "cache_torture",
    ]);
    if !form.is_short() {
        build.arg("--release");
    }
    command::run(&mut build)?;
    let program = format!("target/{}/cache_torture", form.of("release", "debug"));
    let folder = |parent: &Path| -> Result<PathBuf> {
        let folder = parent.join(format!("msal-cache-torture-{}", std::process::id()));
        process::private_folder(&folder)?;
        Ok(folder)
    };
    Ok(Stage {
        form,
        programs: Programs {
            ours: std::path::absolute(program)?,
            plain: python_peers::interpreter(Environment::Plain)?,
            portalocker: python_peers::interpreter(Environment::Portalocker)?,
            node_modules: node_peers::folder()?.join("node_modules"),
        },
        memory: folder(Path::new("/dev/shm"))?,
        disk: folder(&std::path::absolute("target")?)?,
    })
}

impl Drop for Stage {
    fn drop(&mut self) {
        for folder in [&self.memory, &self.disk] {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
