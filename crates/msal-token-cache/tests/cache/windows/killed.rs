//! A process that holds something until it is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::super::roles;

#[expect(
    clippy::print_stdout,
    reason = "the process that started this one waits for it"
)]
pub(crate) fn say_held() {
    println!("held");
}

/// A process that plays a role which says when it has what it holds, until it is killed.
pub(crate) struct Killed(Child);

impl Killed {
    pub(crate) fn playing(role: &str, stage: &Path) -> Self {
        let mut command = roles::command(role, stage);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let is_held = said
            .lines()
            .map_while(Result::ok)
            .any(|line| line.ends_with("held"));
        assert!(is_held, "{role} holds nothing");
        Self(child)
    }

    pub(crate) fn kill(mut self) -> u32 {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        self.0.id()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
