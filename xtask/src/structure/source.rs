//! What a source file imports: its `use` items and the paths in its code, without its tests.

/// A path in a source file, and whether it only passes a name on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// The segments, as they are written: `crate`, `super`, a crate or a module first.
    pub(super) path: Vec<String>,
    /// The name under which the module knows it; `None` for a path in code and for a glob.
    pub(super) binds: Option<String>,
    /// `pub use`: the module offers the name of another one, which is no dependency of its own.
    pub(super) is_reexport: bool,
}

/// Returns what a file imports. Tests and comments do not count.
pub(super) fn imports(text: &str) -> Vec<Import> {
    let code = without_tests(&without_comments(text));
    let mut imports = Vec::new();
    let mut rest = code.as_str();
    while let Some((before, item)) = split_at_use(rest) {
        paths_in_code(before, &mut imports);
        let (item, after) = item.split_once(';').unwrap_or((item, ""));
        let is_reexport = item.trim_start().starts_with("pub");
        let tree = item.split_once("use").map_or("", |(_, tree)| tree);
        expand(tree, &[], is_reexport, &mut imports);
        rest = after;
    }
    paths_in_code(rest, &mut imports);
    imports
}

/// Returns the modules that a file declares for its tests alone.
pub(super) fn test_modules(text: &str) -> Vec<String> {
    let code = without_comments(text);
    let mut lines = code.lines().map(str::trim);
    let mut modules = Vec::new();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            continue;
        }
        let item = lines.find(|line| !line.starts_with("#["));
        let module = item.and_then(|item| item.trim_end_matches(';').rsplit_once("mod "));
        modules.extend(module.map(|(_, name)| name.to_owned()));
    }
    modules
}

/// Cuts a text before its first `use` item, the visibility included.
fn split_at_use(text: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let item = line.trim_start();
        let item = match item.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => {
                rest.split_once(')').map_or(item, |(_, rest)| rest)
            }
            Some(rest) => rest,
            None => item,
        };
        if item.trim_start().starts_with("use ") {
            return Some(text.split_at(start));
        }
        start += line.len();
    }
    None
}

/// Adds each path of a tree such as `a::{b, c::{self, d as e}}`.
fn expand(tree: &str, prefix: &[String], is_reexport: bool, imports: &mut Vec<Import>) {
    for branch in branches(tree) {
        let branch = branch.trim();
        if branch.is_empty() {
            continue;
        }
        if let Some((head, inner)) = branch.split_once('{') {
            let path = joined(prefix, head);
            let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
            expand(inner, &path, is_reexport, imports);
            continue;
        }
        let (path, alias) = match branch.split_once(" as ") {
            Some((path, alias)) => (path, Some(alias.trim().to_owned())),
            None => (branch, None),
        };
        let mut path = joined(prefix, path);
        let is_glob = path.last().is_some_and(|last| last == "*");
        if path.len() > 1
            && path
                .last()
                .is_some_and(|last| last == "self" || last == "*")
        {
            path.pop();
        }
        let name = alias.or_else(|| path.last().cloned());
        imports.push(Import {
            binds: name.filter(|_| !is_glob),
            path,
            is_reexport,
        });
    }
}

/// Splits at the commas that stand outside braces.
fn branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut start, mut branches) = (0_usize, 0, Vec::new());
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&tree[start..]);
    branches
}

fn joined(prefix: &[String], path: &str) -> Vec<String> {
    let segments = path.split("::").map(str::trim);
    let segments = segments.filter(|segment| !segment.is_empty());
    prefix
        .iter()
        .cloned()
        .chain(segments.map(str::to_owned))
        .collect()
}

/// Adds the paths in code that begin at the crate or at a parent.
fn paths_in_code(code: &str, imports: &mut Vec<Import>) {
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            let is_inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$';
            if before.is_some_and(is_inside) || code[..at].ends_with("in ") {
                continue;
            }
            let path: String = code[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            imports.push(Import {
                path: joined(&[], &path),
                binds: None,
                is_reexport: false,
            });
        }
    }
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| {
        if line.trim_start().starts_with("//") {
            ""
        } else {
            line.split_once(" // ").map_or(line, |(code, _)| code)
        }
    });
    code.collect::<Vec<_>>().join("\n")
}

/// Leaves out each item behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut lines = code.lines();
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        for item in lines.by_ref() {
            let is_closed = item.trim_end().ends_with(';') || item.trim_end().ends_with(',');
            let depth = item.len() - item.trim_start().len();
            if depth == indent && (is_closed || item.trim() == "}" || item.trim() == "};") {
                break;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let shown = |import: &Import| {
            let sign = if import.is_reexport { "+" } else { "" };
            format!("{sign}{}", import.path.join("::"))
        };
        imports(text).iter().map(shown).collect()
    }

    #[test]
    fn a_tree_is_taken_apart() {
        let text =
            "use std::fmt;\npub(crate) use self::a::{B, c::{self, D as E}};\nuse super::*;\n";
        let expected = [
            "std::fmt",
            "+self::a::B",
            "+self::a::c",
            "+self::a::c::D",
            "super",
        ];
        assert_eq!(found(text), expected);
        let names: Vec<_> = imports(text)
            .into_iter()
            .filter_map(|it| it.binds)
            .collect();
        assert_eq!(names, ["fmt", "B", "c", "E"]);
    }

    #[test]
    fn paths_in_code_count_and_comments_and_tests_do_not() {
        let text = "//! use crate::doc;\nfn f() -> crate::error::Result { // use crate::x;\n    \
                    super::time::now()\n}\n#[cfg(test)]\nmod tests {\n    use crate::hidden;\n}\n\
                    #[cfg(test)]\nuse crate::also_hidden;\nuse crate::shown;\n";
        let expected = ["crate::error::Result", "super::time::now", "crate::shown"];
        assert_eq!(found(text), expected);
        let text =
            "#[cfg(test)]\n#[path = \"x.rs\"]\nmod flight_tests;\n#[cfg(test)]\nmod fixtures;";
        assert_eq!(test_modules(text), ["flight_tests", "fixtures"]);
    }
}
