//! Real programs that lock as the other MSALs do: by `flock`, by the file's existence, or by a
//! record lock.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use msal_token_cache::{Error, ErrorKind, Persistence, StoreLock};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::sample::Place;

/// A program that holds the lock until it is told to let go.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Peer {
    /// As .NET and Go do: a `flock`; the file goes before it is unlocked.
    pub(crate) fn by_flock(lock_path: &Path) -> Self {
        let mut flock = Command::new("flock");
        flock.arg(lock_path);
        flock.args(["sh", "-c", r#"echo held; read _; rm -f "$0""#]);
        flock.arg(lock_path);
        Self::start(flock)
    }

    /// As Python and Node do: whoever has created the file holds the lock, until it is deleted.
    pub(crate) fn by_existence(lock_path: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            r#"set -C; echo "$$ sh" > "$0" || exit 1; echo held; read _; rm -f "$0""#,
        ]);
        shell.arg(lock_path);
        Self::start(shell)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "held\n");
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn let_go(mut self) {
        writeln!(self.stdin.take().unwrap()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // At the end of its input it goes on to its own end.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn lock_within(place: &Place, millis: u64) -> Result<Box<dyn StoreLock>, Error> {
    place
        .persistence()
        .with_lock_timeout(Duration::from_millis(millis))
        .lock()
}

#[test]
fn we_wait_for_a_peer_that_holds_in_either_way() {
    for hold in [Peer::by_flock, Peer::by_existence] {
        let place = Place::signed_in();
        let peer = hold(&place.lock_path());
        let content = fs::read(place.lock_path()).unwrap();
        let error = lock_within(&place, 300).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        assert!(
            error
                .to_string()
                .contains(place.lock_path().to_str().unwrap()),
            "{error}"
        );
        assert_eq!(
            fs::read(place.lock_path()).unwrap(),
            content,
            "its file is as it was"
        );

        thread::scope(|scope| {
            let ours = scope.spawn(|| {
                let begun = Instant::now();
                let lock = lock_within(&place, 5_000).unwrap();
                (begun.elapsed(), lock.is_held())
            });
            thread::sleep(Duration::from_millis(300));
            assert!(!ours.is_finished());
            peer.let_go();
            let (waited, is_held) = ours.join().unwrap();
            assert!((250..1_000).contains(&waited.as_millis()), "{waited:?}");
            assert!(is_held);
        });
        assert_eq!(place.names(), ["msal.cache.nocae"]);
    }
}

#[test]
fn a_peer_that_holds_by_existence_is_never_succeeded_while_it_lives() {
    let place = Place::signed_in();
    let peer = Peer::by_existence(&place.lock_path());
    let file = fs::File::options()
        .write(true)
        .open(place.lock_path())
        .unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3_600))
        .unwrap();
    let error = lock_within(&place, 100).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", peer.id())),
        "{error}"
    );
    peer.let_go();
}

#[test]
fn our_lock_keeps_every_kind_of_peer_out() {
    let place = Place::signed_in();
    let lock = lock_within(&place, 0).unwrap();
    let path = place.lock_path();
    let succeeds = |command: &mut Command| {
        let output = command.arg(&path).args(["true"]).output();
        output
            .unwrap_or_else(|error| panic!("{command:?} is needed: {error}"))
            .status
            .success()
    };
    assert!(!succeeds(Command::new("flock").arg("--nonblock")));
    assert!(!succeeds(
        Command::new("sh").args(["-c", r#"set -C; : > "$0""#])
    ));

    let file = fs::File::options().write(true).open(&path).unwrap();
    let whole_file = nix::libc::flock {
        l_type: nix::libc::F_WRLCK.try_into().unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let taken = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file));
    assert_eq!(taken, Err(Errno::EAGAIN), "a record lock, as Java's");

    assert!(lock.is_held(), "their attempts change nothing");
    drop(lock);
    assert!(succeeds(
        Command::new("sh").args(["-c", r#"set -C; : > "$0""#])
    ));
    assert!(succeeds(Command::new("flock").arg("--nonblock")));
}

/// Peers give up after five seconds, so none may ever wait that long because of us.
#[test]
fn a_peer_gets_its_turn_among_busy_writers() {
    let place = Place::signed_in();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let lock = lock_within(&place, 10_000).unwrap();
                    thread::sleep(Duration::from_millis(2));
                    drop(lock);
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let begun = Instant::now();
        let mut turns = 0;
        while turns < 5 {
            let mut shell = Command::new("sh");
            // Python looks every quarter of a second; this one a little more often.
            let script = r#"set -C
                until { echo "$$ sh" > "$0"; } 2> /dev/null; do sleep 0.05; done
                sleep 0.01; rm -f "$0""#;
            let status = shell.args(["-c", script]).arg(place.lock_path()).status();
            assert!(status.unwrap().success());
            turns += 1;
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(15), "five turns took {took:?}");
    });
}
