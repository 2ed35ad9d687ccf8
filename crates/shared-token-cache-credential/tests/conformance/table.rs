use crate::derive::clause::Clause;
pub(crate) const TABLE: &[(&str, &[Clause])] = &[];
pub(crate) const PENDING: &[&str] = &[];
