//! Processes that share one cache: this binary, run again, each told line by line what to do.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

#[cfg(unix)]
use nix::sys::signal::{Signal, kill};
#[cfg(unix)]
use nix::unistd::Pid;
use serde_json::Value;
use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};
use tempfile::TempDir;
use test_support::{CacheBuilder, TestClock, logs};
use tokio::sync::Barrier;

use super::home;
use super::rerun::{as_rerun, set_mode, this_binary};
use super::{ARM, NOW, Stage};

/// By when a call of a worker has to have ended.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);
/// Ends a test whose workers do not answer: so many processes start slowly where much else runs.
const PATIENCE: Duration = Duration::from_secs(60);
/// What stands before a report: the test harness writes to the same pipe.
const MARK: char = '@';

/// The home and the runtime folder of somebody's processes.
pub(super) struct Machine {
    folder: TempDir,
    has_runtime_folder: bool,
}

impl Machine {
    /// One whose shared cache is this one.
    pub(super) fn new(stage: &Stage, cache: &CacheBuilder, has_runtime_folder: bool) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            has_runtime_folder,
        };
        let cache_file = machine.cache();
        for folder in [
            &machine.home(),
            cache_file.parent().unwrap(),
            &machine.run(),
        ] {
            std::fs::create_dir(folder).unwrap();
            set_mode(folder, 0o700);
        }
        home::write(&cache_file, cache);
        std::fs::write(machine.root(), stage.entra.root_pem()).unwrap();
        machine
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    fn cache(&self) -> PathBuf {
        home::path(&self.home(), "msal.cache.nocae")
    }

    /// The secrets of the stored access tokens.
    pub(super) fn stored(&self) -> Vec<String> {
        let content: Value = serde_json::from_str(&home::read(&self.cache())).unwrap();
        let entries = content["AccessToken"].as_object().unwrap().values();
        entries
            .map(|entry| entry["secret"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Asserts that there is nothing but the cache.
    #[track_caller]
    pub(super) fn assert_no_litter(&self) {
        let folder = self.cache().parent().unwrap().to_owned();
        let there = [below(&self.run()), below(&self.home())].concat();
        assert_eq!(there, [folder, self.cache()]);
    }

    /// Starts workers for this test, and waits until they are ready.
    pub(super) fn start(&self, stage: &Stage, test: &str, count: usize) -> Vec<Worker> {
        let workers: Vec<_> = (0..count)
            .map(|_| Worker::start(self, stage, test))
            .collect();
        for worker in &workers {
            assert_eq!(worker.hear(), "ready");
        }
        workers
    }
}

/// All files and folders below this one, sorted.
pub(super) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

/// A process with a credential. Ends with this value.
pub(super) struct Worker {
    child: Child,
    commands: Option<ChildStdin>,
    reports: Receiver<String>,
}

/// What a call of a worker came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) token: Result<String, String>,
    pub(super) took: Duration,
}

impl Worker {
    fn start(machine: &Machine, stage: &Stage, test: &str) -> Self {
        let mut command = as_rerun(this_binary(), test);
        command
            .env(home::VARIABLE, machine.home())
            .env("AUTHORITY", stage.entra.authority())
            .env("ROOT", machine.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if machine.has_runtime_folder {
            command.env("XDG_RUNTIME_DIR", machine.run());
        } else {
            command.env_remove("XDG_RUNTIME_DIR");
        }
        let mut child = command.spawn().unwrap();
        let (sender, reports) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        // Ends with the child.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, report)) = line.split_once(MARK) {
                    let _ = sender.send(report.to_owned());
                }
            }
        });
        Self {
            commands: child.stdin.take(),
            child,
            reports,
        }
    }

    /// The next report.
    #[track_caller]
    fn hear(&self) -> String {
        let report = self.reports.recv_timeout(PATIENCE);
        report.expect("a worker reports")
    }

    fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap();
    }

    /// Lets so many callers ask at once; [`answers`](Self::answers) tells what came of it.
    pub(super) fn ask(&mut self, callers: usize) {
        self.tell(&format!("ask {callers}"));
    }

    /// What so many callers got.
    #[track_caller]
    pub(super) fn answers(&self, callers: usize) -> Vec<Got> {
        let parse = |report: String| {
            let mut words = report.splitn(3, ' ');
            let mut next = || words.next().unwrap().to_owned();
            let (what, took, text) = (next(), next(), next());
            Got {
                token: match &*what {
                    "token" => Ok(text),
                    _ => Err(text),
                },
                took: Duration::from_nanos(took.parse().unwrap()),
            }
        };
        (0..callers).map(|_| parse(self.hear())).collect()
    }

    /// What the only caller got.
    #[track_caller]
    pub(super) fn answer(&self) -> Got {
        self.answers(1).pop().unwrap()
    }

    /// Moves the clock that this worker lives by.
    pub(super) fn advance(&mut self, seconds: u64) {
        self.tell(&format!("advance {seconds}"));
        assert_eq!(self.hear(), "advanced");
    }

    /// Closes the credential, which waits for what it does in the background.
    pub(super) fn close(&mut self) {
        self.tell("close");
        assert_eq!(self.hear(), "closed");
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
    }

    #[cfg(unix)]
    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Lets the worker end, which looks through its log for secrets.
    pub(super) fn finish(mut self) {
        drop(self.commands.take());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "a worker does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Also one that is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker's side: does what it is told until there is nobody left to tell it.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(super) async fn work() {
    let _watch = logs::Watch::new();
    let clock = TestClock::at(NOW);
    let variable = |name| std::env::var(name).unwrap();
    let credential = SharedTokenCacheCredential::builder()
        .authority(variable("AUTHORITY"))
        .extra_root_certificates(std::fs::read(variable("ROOT")).unwrap())
        .clock(clock.clone())
        .timeout(DEADLINE)
        .build()
        .unwrap();
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (command, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u64 = number.parse().unwrap();
        match command {
            "ask" => say(&ask_at_once(&credential, usize::try_from(number).unwrap()).await),
            "advance" => {
                clock.advance(Duration::from_secs(number));
                say("advanced");
            }
            "close" => {
                credential.close().await.unwrap();
                say("closed");
            }
            other => panic!("{other}?"),
        }
    }
}

/// Reports, one a line. Past the harness, which would keep it to itself.
fn say(reports: &str) {
    let mut text = String::new();
    for report in reports.lines() {
        writeln!(text, "{MARK}{report}").unwrap();
    }
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// What came of so many calls, one a line.
async fn ask_at_once(credential: &SharedTokenCacheCredential, callers: usize) -> String {
    let barrier = Arc::new(Barrier::new(callers));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (credential, barrier) = (credential.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let options = TokenRequestOptions::default();
                barrier.wait().await;
                let start = Instant::now();
                let token = credential.get_token_info(&[ARM], &options).await;
                let took = start.elapsed().as_nanos();
                match token {
                    Ok(token) => format!("token {took} {}", token.token().expose_secret()),
                    Err(error) => format!("error {took} {error}"),
                }
            })
        })
        .collect();
    let mut reports = String::new();
    for task in tasks {
        writeln!(reports, "{}", task.await.unwrap()).unwrap();
    }
    reports
}
