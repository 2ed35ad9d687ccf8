//! What should come of a vector by our decisions, derived from what came of it in the original.
//!
//! The model here plays a call with any of the decisions' clauses in force. With none it must give
//! what the vector says, member for member: so it starts where the vector does, and is not believed
//! where it does not understand the original. With all of them it gives what is expected of us, and
//! those that could be left out without a change had no part in it. Nothing here calls the product.

mod answer;
mod authority;
mod call;
pub(crate) mod clause;
mod entry;
mod exchange;
mod find;
mod form;
mod identifier;
mod lifetime;
mod merge;
mod original;
mod redeem;
mod resource;
mod retry;
mod store;
mod tenant;
mod whose;

use clause::{Clause, DECISIONS, Rules};

use crate::compare::compare;
use crate::outcome::Outcome;
use crate::vector::Vector;

/// What should come of a vector, and the clauses that make it differ from the original's: a set
/// from which none can be taken.
pub(crate) struct Derived {
    pub(crate) outcome: Outcome,
    pub(crate) clauses: Vec<Clause>,
}

/// Derives the outcome.
///
/// # Errors
///
/// What the vector says is not what the model of the original says.
pub(crate) fn derive(vector: &Vector) -> Result<Derived, String> {
    let mut recorded = Outcome::expected_by(vector)?;
    // Where the requests of the discovery stand among the others does not matter: ours makes none.
    recorded
        .requests
        .sort_by_key(|request| request.method != "GET");
    let original = call::play(vector, Rules::default())?;
    let misunderstood = compare(&recorded, &original);
    if !misunderstood.is_empty() {
        let list: Vec<_> = misunderstood.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the original is not understood (expected = recorded, got = its model): {}",
            list.join("; ")
        ));
    }
    let all = || DECISIONS.iter().flat_map(|decision| decision.clauses);
    let mut rules = all().fold(Rules::default(), |rules, clause| rules.with(*clause));
    let outcome = call::play(vector, rules)?;
    let mut clauses: Vec<Clause> = all().copied().collect();
    let mut take_out = |clauses: &mut Vec<Clause>, some: &[Clause]| -> Result<bool, String> {
        let without = some
            .iter()
            .fold(rules, |rules, clause| rules.without(*clause));
        let idle = call::play(vector, without)? == outcome;
        if idle {
            rules = without;
            clauses.retain(|clause| !some.contains(clause));
        }
        Ok(idle)
    };
    // Of two clauses that come to the same, the one that a call meets first is named. Whole
    // decisions first: most have no part in it. Without one clause another may become idle, so they
    // are gone through until nothing changes.
    for decision in DECISIONS.iter().rev() {
        take_out(&mut clauses, decision.clauses)?;
    }
    loop {
        let mut changed = false;
        for clause in clauses.clone().iter().rev() {
            changed |= take_out(&mut clauses, &[*clause])?;
        }
        if !changed {
            break;
        }
    }
    clauses.sort_unstable();
    Ok(Derived { outcome, clauses })
}

impl Clause {
    /// The number of the decision that it is of.
    pub(crate) fn decision(self) -> u8 {
        let mut decisions = DECISIONS.iter();
        decisions
            .find(|decision| decision.clauses.contains(&self))
            .map_or(0, |decision| decision.number)
    }
}
