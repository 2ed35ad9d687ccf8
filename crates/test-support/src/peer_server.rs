//! A server that somebody else wrote, for as long as a test needs it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Until when a server must say that it is ready.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may live.
const LIFETIME: Duration = Duration::from_secs(180);

/// A server process, which is ended with this value: after three minutes anyway, and with the
/// thread that started it.
#[derive(Debug)]
pub struct PeerServer {
    child: Arc<Mutex<Child>>,
    said: Arc<Mutex<String>>,
    _alive: mpsc::Sender<()>,
}

impl PeerServer {
    /// Starts the server and waits for a line that tells it is ready; returns what `ready` makes
    /// of that line.
    ///
    /// # Panics
    ///
    /// It did not start or did not become ready, with what it said.
    #[track_caller]
    pub fn start<T>(command: &mut Command, ready: impl Fn(&str) -> Option<T>) -> (Self, T) {
        let mut wrapped = Command::new("setpriv");
        wrapped
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        let mut child = wrapped
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv of util-linux starts");
        let said = Arc::new(Mutex::new(String::new()));
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("a pipe")),
            Box::new(child.stderr.take().expect("a pipe")),
        ];
        for output in outputs {
            let said = Arc::clone(&said);
            thread::spawn(move || collect(output, &said));
        }

        let child = Arc::new(Mutex::new(child));
        let (alive, dropped) = mpsc::channel();
        let watched = Arc::clone(&child);
        thread::spawn(move || {
            if dropped.recv_timeout(LIFETIME) == Err(RecvTimeoutError::Timeout) {
                let _ = watched.lock().unwrap().kill();
            }
        });
        let server = Self {
            child,
            said,
            _alive: alive,
        };

        let start = Instant::now();
        loop {
            if let Some(answer) = server.said().lines().find_map(&ready) {
                return (server, answer);
            }
            let ended = server.child.lock().unwrap().try_wait().expect("a child");
            assert!(
                ended.is_none() && start.elapsed() < STARTS_WITHIN,
                "{command:?} did not become ready ({ended:?}): {}",
                server.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// All whole lines that it has printed so far, on both outputs.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

fn collect(output: impl Read, said: &Mutex<String>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        said.lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}
