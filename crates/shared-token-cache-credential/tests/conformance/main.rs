//! The vectors of the original, run against the credential itself.
//!
//! - As it is, it runs the project's own vectors: what should come of each is derived from what
//!   came of it in the original, decision by decision, and the table says which decisions.
//! - `VECTORS=FILE[:FILE]` runs those files with what they say themselves, and no table.
//! - `ORACLE=FILE[:FILE]` runs what the original did with other caches, with every decision and no
//!   table.
//!
//! A model of the call plays the decisions; it knows nothing of the product.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test target of its own: it reads files and the environment, and reports"
)]

mod compare;
mod derive;
mod disk;
mod harness;
mod json;
mod launch;
mod modes;
mod outcome;
mod record;
mod run;
mod table;
mod transport;
mod vector;

use std::process::ExitCode;

const OWN: &[&str] = &[
    include_str!("vectors/lookup.json"),
    include_str!("vectors/record.json"),
    include_str!("vectors/resource.json"),
];

fn main() -> ExitCode {
    if let Some(done) = launch::be_child() {
        return done;
    }
    let has = |argument: &str| std::env::args().skip(1).any(|given| given == argument);
    if has("--list") {
        // What a test runner asks; nothing is ignored.
        if !has("--ignored") {
            println!("conformance: test");
        }
        return ExitCode::SUCCESS;
    }
    if let Some(done) = launch::without_azure_variables() {
        return done;
    }
    let is_good = match (std::env::var("VECTORS"), std::env::var("ORACLE")) {
        (Ok(paths), _) => modes::as_they_are(&paths),
        (_, Ok(paths)) => modes::oracle(&paths),
        _ => own(),
    };
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn own() -> bool {
    let broken = harness::check(OWN);
    let tally = modes::own(OWN);
    let failed = tally.failed + broken;
    let passed = tally.as_original + tally.decided;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    // In the words of the other test programs, for whoever counts them.
    println!(
        "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    failed == 0
}
