//! Our readers beside a Python program that writes in place.

use super::Stage;
use super::process::{Process, Programs};
use super::table::{Checks, Table};
use crate::Result;

struct Case {
    bytes: u64,
    reads: u64,
    pause_ms: u64,
}

pub(super) fn run(stage: &Stage, table: &mut Table) -> Result {
    let of = |long, short| stage.form.of(long, short);
    let cases = [
        Case {
            bytes: 4 << 10,
            reads: of(100_000, 10_000),
            pause_ms: 20,
        },
        Case {
            bytes: 258 << 10,
            reads: of(10_000, 1_000),
            pause_ms: 20,
        },
        Case {
            bytes: 4 << 10,
            reads: 0,
            pause_ms: 0,
        },
        Case {
            bytes: 258 << 10,
            reads: 0,
            pause_ms: 0,
        },
    ];
    for case in cases {
        let Case {
            bytes,
            reads,
            pause_ms,
        } = case;
        let seconds = of(60, 3);
        let place = stage.programs.place(&stage.disk, "readers")?;
        let save = [
            "save",
            &place.text,
            &bytes.to_string(),
            &(seconds + 600).to_string(),
            &pause_ms.to_string(),
        ];
        let writer = Process::start(&mut Programs::python(&stage.programs.plain, &save))?;
        // Time to begin; it is ended when the readers have done.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let [reads_text, seconds] = [reads, seconds].map(|number| number.to_string());
        let read = ["read", &place.text, &reads_text, &seconds];
        let report = Process::start(&mut stage.programs.ours(&read))?.report()?;
        writer.kill()?;
        let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
        let figures = format!(
            "{} reads in {} ms, the slowest {} ms; {} times no account, {} errors of a reader that \
             had read before, {} of one that had not; {} of the looks beside met torn content",
            number("reads"),
            number("took_ms"),
            number("max_ms"),
            number("none"),
            number("errors"),
            number("errors_anew"),
            number("torn"),
        );
        let mut checks = Checks::new();
        checks.that(number("none") == 0, "no account was seen");
        checks.that(number("errors") == 0, "a reader forgot what it had");
        if pause_ms == 0 || !stage.form.is_short() {
            checks.that(
                number("torn") > 0,
                "nothing was torn: the test tests nothing",
            );
        }
        if reads > 0 {
            checks.that(number("reads") >= reads, "not all was read");
            checks.that(number("errors_anew") == 0, "errors");
        }
        let pace = match pause_ms {
            0 => "back to back".to_owned(),
            pause => format!("{} saves/s", 1_000 / pause),
        };
        let title = format!("reader beside Python, {} KB, {pace}", bytes >> 10);
        table.add(title, figures, checks);
    }
    Ok(())
}
