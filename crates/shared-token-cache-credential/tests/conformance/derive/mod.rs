//! What should come of a vector by our decisions, derived from what came of it in the original.
//!
//! The model here plays a call with any set of decisions in force. With none it must give what the
//! vector says, member for member: so it starts where the vector does, and is not believed where
//! it does not understand the original. Then one decision after the other is put in force, and
//! whatever changes is that decision's doing. Nothing here calls the product.

mod answer;
mod authority;
mod call;
pub(crate) mod clause;
mod entry;
mod exchange;
mod find;
mod merge;
mod original;
mod retry;
mod whose;

use clause::{Clause, DECISIONS, Rules};

use crate::compare::compare;
use crate::outcome::Outcome;
use crate::vector::Vector;

/// What should come of a vector, and which clauses made it differ from the original's.
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
    recorded.requests.sort_by_key(|request| request.method != "GET");
    let mut outcome = call::play(vector, Rules::default())?;
    let misunderstood = compare(&recorded, &outcome);
    if !misunderstood.is_empty() {
        let list: Vec<_> = misunderstood.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the original is not understood (expected = recorded, got = its model): {}",
            list.join("; ")
        ));
    }
    let (mut rules, mut clauses) = (Rules::default(), Vec::new());
    for decision in DECISIONS {
        let before = rules;
        for clause in decision.clauses {
            rules = rules.with(*clause);
        }
        let next = call::play(vector, rules)?;
        if next != outcome {
            clauses.extend(responsible(vector, before, rules, decision.clauses, &next)?);
            outcome = next;
        }
    }
    clauses.sort_unstable();
    Ok(Derived { outcome, clauses })
}

/// The clauses of a decision without which something else would come of it; where each has a
/// stand-in, those that change something one after the other.
fn responsible(
    vector: &Vector,
    before: Rules,
    after: Rules,
    clauses: &[Clause],
    outcome: &Outcome,
) -> Result<Vec<Clause>, String> {
    let mut needed = Vec::new();
    for clause in clauses {
        if call::play(vector, after.without(*clause))? != *outcome {
            needed.push(*clause);
        }
    }
    if needed.is_empty() {
        let mut rules = before;
        let mut outcome = call::play(vector, rules)?;
        for clause in clauses {
            rules = rules.with(*clause);
            let next = call::play(vector, rules)?;
            if next != outcome {
                needed.push(*clause);
                outcome = next;
            }
        }
    }
    Ok(needed)
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
