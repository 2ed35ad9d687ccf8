//! Which file of a crate depends on which: imports, led back to the file that owns the name.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Import, imports, test_modules};

/// A crate's modules by their path, `a::b`; the root's is empty.
pub(super) struct Crate {
    modules: BTreeMap<String, Vec<Import>>,
}

/// One file's dependency on another, by module paths.
pub(super) type Arrow = (String, String);

impl Crate {
    /// Reads a crate from its files: paths below `src`, with their texts.
    pub(super) fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let mut tests = BTreeSet::new();
        let mut modules = BTreeMap::new();
        for (path, text) in files {
            let module = module_of(path);
            for test in test_modules(text) {
                tests.insert(child(&module, &test));
            }
            modules.insert(module, imports(text));
        }
        let is_of = |module: &str, test: &String| {
            module == test || module.starts_with(&format!("{test}::"))
        };
        modules.retain(|module, _| !tests.iter().any(|test| is_of(module, test)));
        Self { modules }
    }

    /// Returns the paths of the modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// Returns the other crates, and modules of `std`, that a module names.
    pub(super) fn foreign_paths(&self, module: &str) -> impl Iterator<Item = String> {
        let imports = self.modules.get(module).into_iter().flatten();
        imports
            .filter(move |import| self.owner(module, &import.path).is_none())
            .map(|import| import.path.join("::"))
    }

    /// Returns the dependencies between files. A re-export does not count: a module that imports
    /// the name depends on its owner.
    pub(super) fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (module, imports) in &self.modules {
            for import in imports.iter().filter(|import| !import.is_reexport) {
                if let Some(owner) = self.owner(module, &import.path)
                    && owner != *module
                {
                    arrows.insert((module.clone(), owner));
                }
            }
        }
        arrows
    }

    /// Returns the module that owns what a path in a module leads to; `None` for other crates.
    fn owner(&self, module: &str, path: &[String]) -> Option<String> {
        self.owner_within(module, path, 16)
    }

    fn owner_within(&self, module: &str, path: &[String], depth: u8) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let first = path.first()?.as_str();
        let (mut at, mut rest) = match first {
            "crate" => (String::new(), &path[1..]),
            "self" => (module.to_owned(), &path[1..]),
            "super" => (parent(module).to_owned(), &path[1..]),
            name if self.modules.contains_key(&child(module, name)) => (module.to_owned(), path),
            name => {
                // A name that the module has imported, or another crate's.
                let import = self.binding(module, name).filter(|it| it.path != path)?;
                let whole: Vec<_> = import.path.iter().chain(&path[1..]).cloned().collect();
                return self.owner_within(module, &whole, depth);
            }
        };
        while let Some((segment, after)) = rest.split_first() {
            if segment == "super" {
                at = parent(&at).to_owned();
            } else if self.modules.contains_key(&child(&at, segment)) {
                at = child(&at, segment);
            } else if let Some(import) = self.binding(&at, segment) {
                let whole: Vec<_> = import.path.iter().chain(after).cloned().collect();
                let is_foreign = !matches!(&*whole[0], "crate" | "self" | "super")
                    && !self.modules.contains_key(&child(&at, &whole[0]));
                // What a module imports from another crate is nobody's here.
                return if is_foreign {
                    None
                } else {
                    self.owner_within(&at, &whole, depth)
                };
            } else {
                break;
            }
            rest = after;
        }
        Some(at)
    }

    fn binding(&self, module: &str, name: &str) -> Option<&Import> {
        let mut imports = self.modules.get(module)?.iter();
        imports.find(|import| import.binds.as_deref() == Some(name))
    }
}

/// Returns the groups of nodes that can all be reached from each other.
pub(super) fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Vec<String>> {
    let reached = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(node) = next.pop() {
            let targets = arrows.iter().filter(|(source, _)| *source == node);
            for (_, target) in targets {
                if seen.insert(target.clone()) {
                    next.push(target.clone());
                }
            }
        }
        seen
    };
    let nodes: BTreeSet<_> = arrows.iter().map(|(source, _)| source.as_str()).collect();
    let reachable: BTreeMap<_, _> = nodes.iter().map(|node| (*node, reached(node))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for node in &nodes {
        let is_in_circle = reachable[node].contains(*node);
        let is_known = circles.iter().flatten().any(|known| known == node);
        if is_in_circle && !is_known {
            let members = reachable[node].iter().filter(|other| {
                let back = reachable.get(other.as_str());
                back.is_some_and(|back| back.contains(*node))
            });
            circles.push(members.cloned().collect());
        }
    }
    circles
}

fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => String::new(),
        path => path.replace('/', "::"),
    }
}

fn child(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}::{name}")
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let arrows = Crate::new(files.iter().copied()).arrows();
        let shown = arrows.iter().map(|(from, to)| format!("{from} -> {to}"));
        shown.collect()
    }

    #[test]
    fn an_import_leads_to_the_owner_of_the_name() {
        let files = [
            (
                "lib.rs",
                "mod a;\nmod b;\npub use a::Name;\npub use b::inner::Deep;",
            ),
            ("a.rs", "use crate::Deep;\nuse std::fmt;\npub struct Name;"),
            ("b/mod.rs", "mod inner;\nmod other;\nuse crate::Name;\n"),
            ("b/inner.rs", "pub struct Deep;"),
            (
                "b/other.rs",
                "use super::Name;\nfn f() { super::inner::g(); }",
            ),
        ];
        let expected = [
            "a -> b::inner",
            "b -> a",
            "b::other -> a",
            "b::other -> b::inner",
        ];
        assert_eq!(arrows(&files), expected);
    }

    #[test]
    fn a_circle_is_found_and_a_diamond_is_none() {
        let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        let mut all: BTreeSet<_> = diamond.iter().map(|(from, to)| arrow(from, to)).collect();
        assert!(circles(&all).is_empty());
        all.insert(arrow("d", "b"));
        assert_eq!(circles(&all), [["b", "d"]]);
    }

    #[test]
    fn modules_of_tests_are_left_out() {
        let files = [
            ("lib.rs", "#[cfg(test)]\nmod fixtures;\nmod a;"),
            ("fixtures.rs", "use crate::a::A;"),
            ("a.rs", "struct A;\n#[cfg(test)]\nmod tests;"),
            ("a/tests.rs", "use super::*;"),
        ];
        assert_eq!(arrows(&files), [""; 0]);
    }
}
