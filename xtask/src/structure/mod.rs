//! Holds the code to its plan: which crate may use which, which room of a crate which other room,
//! which rooms are pure, and no circle between files. The plan is in [`plan`].

mod graph;
mod plan;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use self::graph::{Arrow, Crate, circles};
use self::plan::{CRATES, CratePlan, IMPURE, Rooms};
use crate::Result;
use crate::command::{cargo, output};

/// Checks every crate of the plan.
///
/// # Errors
///
/// Names each arrow that the plan does not have.
pub(crate) fn check() -> Result {
    let mut faults = crate_arrows(&dependencies()?);
    for plan in CRATES {
        let files = files_below(Path::new(&format!("crates/{}/src", plan.name)))?;
        let files = files.iter().map(|(path, text)| (&**path, &**text));
        let within = faults_within(plan, &Crate::new(files));
        faults.extend(
            within
                .into_iter()
                .map(|fault| format!("{}: {fault}", plan.name)),
        );
    }
    if faults.is_empty() {
        println!("structure: {} crates are as planned", CRATES.len());
        return Ok(());
    }
    Err(format!(
        "the code is not as xtask/src/structure/plan.rs says:\n  {}",
        faults.join("\n  ")
    )
    .into())
}

/// Returns each crate's dependencies on other crates of the workspace, those of tests left out.
fn dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata: Value = serde_json::from_str(&output(&mut cargo(&metadata))?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = |package: &Value| package["name"].as_str().unwrap_or_default().to_owned();
    Ok(packages
        .map(|package| {
            let all = package["dependencies"].as_array().into_iter().flatten();
            let own = all.filter(|it| !it["path"].is_null() && it["kind"].as_str() != Some("dev"));
            (names(package), own.map(names).collect())
        })
        .collect())
}

/// The members of the workspace that are no crates of the plan: programs and measurements.
const PROGRAMS: [&str; 3] = ["benches", "examples", "xtask"];

/// Returns the dependencies between crates that the plan does not have, and crates it misses.
fn crate_arrows(found: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for plan in CRATES {
        let Some(found) = found.get(plan.name) else {
            faults.push(format!("there is no crate {}", plan.name));
            continue;
        };
        let unplanned = found
            .iter()
            .filter(|it| !plan.crates.contains(&it.as_str()));
        faults.extend(unplanned.map(|it| format!("{} depends on {it}", plan.name)));
    }
    let is_planned = |name: &&String| {
        let mut names = CRATES.iter().map(|plan| plan.name).chain(PROGRAMS);
        names.any(|planned| planned == name.as_str())
    };
    let unplanned = found.keys().filter(|name| !is_planned(name));
    faults.extend(unplanned.map(|name| format!("the crate {name} is not in the plan")));
    faults
}

fn faults_within(plan: &CratePlan, files: &Crate) -> Vec<String> {
    let arrows = files.arrows();
    let mut faults: Vec<_> = circles(&arrows)
        .iter()
        .map(|circle| format!("a circle of files: {}", circle.join(", ")))
        .collect();
    let Some(planned) = plan.rooms else {
        return faults;
    };
    faults.extend(between_rooms(planned, &arrows));
    let rooms: BTreeSet<_> = files.modules().map(room).collect();
    let known = |name: &&str| planned.iter().any(|(room, _)| room == name);
    let unplanned = rooms.iter().filter(|name| !name.is_empty() && !known(name));
    faults.extend(unplanned.map(|name| format!("{name} is not in the plan")));
    let missing = planned.iter().filter(|(room, _)| !rooms.contains(room));
    faults.extend(missing.map(|(room, _)| format!("{room} is in the plan and not in the code")));
    let pure = files
        .modules()
        .filter(|module| plan.pure.contains(&room(module)));
    for module in pure {
        let impure = files.foreign_paths(module).filter(|path| is_impure(path));
        faults.extend(impure.map(|path| format!("{module} is to be pure and uses {path}")));
    }
    faults
}

fn between_rooms(planned: Rooms, arrows: &BTreeSet<Arrow>) -> BTreeSet<String> {
    let is_planned = |from: &str, to: &str| {
        let row = planned.iter().find(|(room, _)| *room == from);
        from == to || row.is_some_and(|(_, below)| below.contains(&to))
    };
    let unplanned = arrows.iter().filter(|(from, to)| {
        let (from, to) = (room(from), room(to));
        !from.is_empty() && !is_planned(from, to)
    });
    let shown = |(from, to): &Arrow| {
        let to = if to.is_empty() {
            "the crate's root"
        } else {
            to
        };
        format!("{from} uses {to}")
    };
    unplanned.map(shown).collect()
}

/// Returns the first segment of a module's path.
fn room(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

fn is_impure(path: &str) -> bool {
    let is_below = |impure: &&&str| path == **impure || path.starts_with(&format!("{impure}::"));
    IMPURE.iter().any(|impure| is_below(&impure))
}

/// Returns the sources below a folder, by their path in it.
fn files_below(folder: &Path) -> Result<BTreeMap<String, String>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).map_err(|error| format!("{}: {error}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path
                    .strip_prefix(folder)?
                    .to_string_lossy()
                    .replace('\\', "/");
                files.insert(below, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: CratePlan = CratePlan {
        name: "planted",
        crates: &["below"],
        rooms: Some(&[
            ("error", &[]),
            ("policy", &["error"]),
            ("shell", &["policy"]),
        ]),
        pure: &["policy"],
    };

    const GOOD: [(&str, &str); 4] = [
        (
            "lib.rs",
            "mod error;\nmod policy;\nmod shell;\npub use error::Error;",
        ),
        ("error.rs", "pub struct Error;"),
        ("policy.rs", "use crate::Error;\nuse std::time::Duration;"),
        (
            "shell/mod.rs",
            "mod part;\nuse crate::policy::decide;\nuse tokio::time::sleep;",
        ),
    ];

    fn faults(planted: &[(&str, &str)]) -> Vec<String> {
        let files = GOOD.iter().chain(planted).copied();
        faults_within(&PLAN, &Crate::new(files))
    }

    #[test]
    fn what_is_as_planned_has_no_fault() {
        assert_eq!(faults(&[]), [""; 0]);
    }

    #[test]
    fn each_planted_fault_is_found() {
        for (path, text, expected) in [
            (
                "policy.rs",
                "use tokio::time::sleep;",
                "policy is to be pure and uses tokio::time::sleep",
            ),
            (
                "policy.rs",
                "use std::fs;",
                "policy is to be pure and uses std::fs",
            ),
            (
                "policy.rs",
                "fn f() { crate::shell::part::g(); }",
                "policy uses shell::part",
            ),
            ("error.rs", "use crate::policy::P;", "error uses policy"),
            (
                "shell/part.rs",
                "use crate::Error;",
                "shell::part uses error",
            ),
            (
                "shell/part.rs",
                "use super::Own;",
                "a circle of files: shell, shell::part",
            ),
            ("extra.rs", "", "extra is not in the plan"),
        ] {
            let mut planted = vec![(path, text)];
            if expected.starts_with("a circle") {
                planted.push(("shell/mod.rs", "mod part;\nuse part::P;\nstruct Own;"));
            } else {
                planted.push((
                    "shell/part.rs",
                    if path == "shell/part.rs" { text } else { "" },
                ));
            }
            let found = faults(&planted);
            assert!(
                found.iter().any(|fault| fault == expected),
                "{expected}: {found:?}"
            );
        }
        let without = GOOD.iter().copied().filter(|(path, _)| *path != "error.rs");
        let found = faults_within(&PLAN, &Crate::new(without));
        assert!(found.contains(&"error is in the plan and not in the code".to_owned()));
    }

    #[test]
    fn a_dependency_that_is_not_planned_is_found() {
        let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for plan in CRATES {
            let planned = plan.crates.iter().map(|it| (*it).to_owned());
            found.insert(plan.name.to_owned(), planned.collect());
        }
        assert_eq!(crate_arrows(&found), [""; 0]);
        let first = CRATES[0].name;
        found.get_mut(first).unwrap().insert("above".to_owned());
        assert_eq!(crate_arrows(&found), [format!("{first} depends on above")]);
        found.insert("newcomer".to_owned(), BTreeSet::new());
        let unplanned = "the crate newcomer is not in the plan";
        assert!(crate_arrows(&found).iter().any(|fault| fault == unplanned));
    }
}
