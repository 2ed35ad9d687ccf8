use std::env::consts::OS;

use crate::Result;
use crate::cargo_test::{self, Tally};
use crate::command::cargo;
use crate::python_peers::{self, Environment};
use crate::{bench, examples, node_peers, oracle, platforms, prerequisites, torture};

struct Suite {
    /// One word: it stands before the counts.
    name: &'static str,
    about: &'static str,
    /// Where it can run, as in `std::env::consts::OS`.
    platforms: &'static [&'static str],
    run: fn() -> Result<Tally>,
}

const EVERYWHERE: &[&str] = &["linux", "macos", "windows"];

const SUITES: &[Suite] = &[
    Suite {
        name: "workspace",
        about: "unit, integration and doc tests of the default members",
        platforms: EVERYWHERE,
        run: workspace,
    },
    Suite {
        name: "examples",
        about: "the examples, as a user runs them on a fresh machine",
        platforms: &["linux"],
        run: examples::run,
    },
    Suite {
        name: "xtask",
        about: "the jobs' own tests",
        platforms: EVERYWHERE,
        run: || cargo_test::run(&mut cargo(&["test", "--package", "xtask"])),
    },
    Suite {
        name: "python-plain",
        about: "one store with Microsoft's Python packages as pip installs them",
        platforms: &["linux"],
        run: || python(Environment::Plain),
    },
    Suite {
        name: "python-portalocker",
        about: "one store with Microsoft's Python packages and portalocker, their other lock",
        platforms: &["linux"],
        run: || python(Environment::Portalocker),
    },
    Suite {
        name: "python-node",
        about: "one store with Microsoft's Python and Node packages, under two aliases of a cloud",
        platforms: &["linux"],
        run: python_and_node,
    },
    Suite {
        name: "oracle",
        about: "made-up cases, run by Microsoft's Python class and by ours",
        platforms: &["linux"],
        run: oracle::run,
    },
    Suite {
        name: "proxies",
        about: "redemptions through tinyproxy and mitmproxy, as the environment names them",
        platforms: &["linux"],
        run: proxies,
    },
    Suite {
        name: "oidc-provider",
        about: "redemptions at oidc-provider of npm, whose refresh tokens are good once",
        platforms: &["linux"],
        run: oidc_provider,
    },
    Suite {
        name: "secret-service",
        about: "a keyring on a bus of its own, with Python's libsecret, and what can go wrong there",
        platforms: &["linux"],
        run: secret_service,
    },
    Suite {
        name: "benches",
        about: "each benchmark once, with the check of its answer and without a clock",
        platforms: &["linux"],
        run: bench::suite,
    },
    Suite {
        name: "torture",
        about: "one cache file among many writers, real peers and faults, in the short form",
        platforms: &["linux"],
        run: torture::suite,
    },
];

/// The suites for another platform than the one they run on.
const OF_OTHER_PLATFORMS: &[Suite] = &[
    Suite {
        name: "windows",
        about: "the tests for Windows under Wine, and what its compiler has to say",
        platforms: &["linux"],
        run: platforms::windows,
    },
    Suite {
        name: "macos",
        about: "what the compiler for macOS has to say; nothing runs",
        platforms: &["linux"],
        run: platforms::macos,
    },
];

/// Which suites to run.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    OfThisPlatform,
    OfAllPlatforms,
    Named(&'a [&'a str]),
}

impl Which<'_> {
    fn suites(self) -> Result<Vec<&'static Suite>> {
        let mut all = SUITES.iter().chain(OF_OTHER_PLATFORMS);
        match self {
            Self::OfThisPlatform => Ok(SUITES.iter().collect()),
            Self::OfAllPlatforms => Ok(all.collect()),
            Self::Named(names) => {
                let known: Vec<_> = all.clone().map(|suite| suite.name).collect();
                if let Some(name) = names.iter().find(|name| !known.contains(name)) {
                    return Err(format!("no suite `{name}`: there are {}", known.join(", ")).into());
                }
                Ok(all
                    .by_ref()
                    .filter(|suite| names.contains(&suite.name))
                    .collect())
            }
        }
    }
}

/// Runs these suites, each to its end.
///
/// # Errors
///
/// A name is unknown; a program that the suites start is missing; a test failed, or a suite ran
/// none.
pub(crate) fn run(which: Which<'_>) -> Result {
    let suites = which.suites()?;
    if OS == "linux" {
        prerequisites::provide(prerequisites::OF_THE_SUITES)?;
    }
    let mut bad = Vec::new();
    for suite in suites {
        println!("\n== {}: {}", suite.name, suite.about);
        if !suite.platforms.contains(&OS) {
            println!("not for {OS}");
            continue;
        }
        let tally = (suite.run)().unwrap_or_else(|error| {
            eprintln!("error: {error}");
            Tally {
                passed: 0,
                failed: 1,
            }
        });
        println!(
            "{}: {} passed, {} failed",
            suite.name, tally.passed, tally.failed
        );
        if tally.failed > 0 || tally.passed == 0 {
            bad.push(suite.name);
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(format!("failed, or ran no test: {}", bad.join(", ")).into())
}

fn workspace() -> Result<Tally> {
    // `--all-targets` leaves the doc tests out.
    let mut tally = cargo_test::run(&mut cargo(&["test", "--no-fail-fast", "--all-targets"]))?;
    tally += cargo_test::run(&mut cargo(&["test", "--no-fail-fast", "--doc"]))?;
    Ok(tally)
}

fn python(environment: Environment) -> Result<Tally> {
    let interpreter = python_peers::interpreter(environment)?;
    cargo_test::run(
        cargo(&[
            "test",
            "--workspace",
            "--no-fail-fast",
            "--test",
            "python_peer",
        ])
        .env("PEER_PYTHON", interpreter),
    )
}

fn python_and_node() -> Result<Tally> {
    let interpreter = python_peers::interpreter(Environment::Plain)?;
    let folder = node_peers::folder()?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo_test::run(
        tests
            .args(["--test", "python_and_node"])
            .env("PEER_PYTHON", interpreter)
            .env("PEER_NODE", folder),
    )
}

fn proxies() -> Result<Tally> {
    let interpreter = python_peers::interpreter(Environment::Mitmproxy)?;
    let mitmdump = interpreter.with_file_name("mitmdump");
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast", "--test", "proxies"]);
    cargo_test::run(tests.env("PEER_MITMDUMP", mitmdump))
}

fn secret_service() -> Result<Tally> {
    prerequisites::provide(prerequisites::OF_THE_SECRET_SERVICE)?;
    let interpreter = python_peers::interpreter(Environment::Libsecret)?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo_test::run(
        tests
            .args(["--test", "secret_service"])
            .env("PEER_PYTHON", interpreter),
    )
}

fn oidc_provider() -> Result<Tally> {
    let folder = node_peers::folder()?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    cargo_test::run(
        tests
            .args(["--test", "oidc_provider"])
            .env("PEER_NODE", folder),
    )
}
