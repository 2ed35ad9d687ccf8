//! The system calls of a hit, seen by strace in a process of its own.

use std::process::Command;

use super::{credential, hit, settle};

const RERUN: &str = "COUNTS_RERUN";
const HITS: u64 = 20_000;

#[test]
fn hits_within_a_tick_make_no_system_call() {
    let name = "system_calls::hits_within_a_tick_make_no_system_call";
    if std::env::var_os(RERUN).is_some() {
        return between_two_marks();
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(RERUN, "1")
        .output()
        .expect("strace: install Debian's package of that name");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    let trace = std::fs::read_to_string(trace).unwrap();
    let marks: Vec<_> = trace.lines().filter(|line| line.contains("MARK")).collect();
    let [first, last] = *marks.as_slice() else {
        panic!("not two marks: {marks:?}")
    };
    let thread = first.split_whitespace().next().unwrap();
    let calls: Vec<_> = trace
        .lines()
        .skip_while(|line| *line != first)
        .skip(1)
        .take_while(|line| *line != last)
        .filter(|line| line.starts_with(thread))
        .collect();
    // A look at the file for each tick that began meanwhile, and one for each second; the marks
    // are minutes apart only if something else was at work.
    let looks = calls.len() as u64;
    assert!(
        looks * 20 < HITS,
        "{looks} calls: {:?}",
        &calls[..calls.len().min(5)]
    );
    assert!(calls.iter().all(|call| call.contains("stat")), "{calls:?}");
}

fn between_two_marks() {
    let (credential, _folder) = credential();
    settle(&credential);
    let mark = || drop(std::fs::metadata("/MARK"));
    mark();
    (0..HITS).for_each(|_| hit(&credential));
    mark();
}
