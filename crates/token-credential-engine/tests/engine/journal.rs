//! The calls of the source's functions, in their order.

use std::fmt;
use std::mem;
use std::sync::Mutex;

type Hook = Box<dyn FnOnce() + Send>;

/// One line for each call of a function of the source, and for each end of a write and a lease.
#[derive(Default)]
pub(crate) struct Journal {
    lines: Mutex<Vec<String>>,
    hooks: Mutex<Vec<(&'static str, Hook)>>,
}

impl Journal {
    /// Appends a line, and runs the first hook for it.
    pub(crate) fn note(&self, line: impl Into<String>) {
        let line = line.into();
        let hook = {
            let mut hooks = self.hooks.lock().unwrap();
            let found = hooks.iter().position(|(at, _)| *at == line);
            found.map(|found| hooks.remove(found).1)
        };
        self.lines.lock().unwrap().push(line);
        if let Some(hook) = hook {
            hook();
        }
    }

    /// Runs this at the next such line, before the function looks at anything.
    pub(crate) fn at_next(&self, line: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().push((line, Box::new(hook)));
    }

    /// Takes all lines out.
    pub(crate) fn take(&self) -> Vec<String> {
        mem::take(&mut self.lines.lock().unwrap())
    }

    /// Returns how many lines there are of this function.
    pub(crate) fn count(&self, function: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        let of_function = |line: &&String| line.split('(').next() == Some(function);
        lines.iter().filter(of_function).count()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Journal").field(&self.lines).finish()
    }
}
