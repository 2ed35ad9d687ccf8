//! K9: how often a request is sent, and how long is waited in between.

use crate::vector::{Answer, AnswerError, Failure};

/// What follows an answer.
pub(super) enum Next {
    /// It is the answer.
    Take,
    /// Wait for so many seconds, and send again.
    Wait(f64),
    /// Nothing comes of it.
    Fail(Failure),
}

/// How many answers of each kind there were.
#[derive(Default)]
pub(super) struct Count {
    statuses: i32,
    connects: i32,
    reads: i32,
    /// How many ordinary waits there were.
    delayed: i32,
}

/// azure-core: three for each kind, none waits before the first.
pub(super) fn original(answer: &Answer, count: &mut Count) -> Next {
    let counted = match answer.error {
        Some(AnswerError::Connect) => &mut count.connects,
        Some(AnswerError::Read) => &mut count.reads,
        None => &mut count.statuses,
    };
    let retry_after = answer.header("Retry-After");
    if answer.error.is_none() {
        let status = answer.status.unwrap_or(200);
        let by_status = matches!(status, 408 | 429 | 500 | 502..=504 | 506..=998);
        if !by_status && (status < 400 || retry_after.is_none()) {
            return Next::Take;
        }
        if retry_after.is_some_and(|value| value.trim().parse::<f64>().is_err()) {
            return Next::Fail(Failure::Other);
        }
    }
    *counted += 1;
    if *counted > 3 {
        return match answer.error {
            Some(_) => Next::Fail(Failure::Other),
            None => Next::Take,
        };
    }
    // The wait grows with all of them.
    let backoff = match count.statuses + count.connects + count.reads {
        1 => 0.0,
        n => 0.8 * 2_f64.powi(n - 1),
    };
    let seconds = |name: &str| answer.header(name)?.trim().parse::<f64>().ok();
    let asked = seconds("Retry-After")
        .or_else(|| Some(seconds("retry-after-ms")? / 1000.0))
        .filter(|asked| *asked > 0.0);
    Next::Wait(asked.unwrap_or(backoff))
}

/// K9: two retries in all, after 1 s and then 2 s, for failed connects, 408 and 5xx; one of them for
/// a lost connection. A `Retry-After` of at most 10 s prolongs the wait and never shortens it, and 429
/// is retried with one only; a longer one ends the call.
///
/// What it does not say is as in the original: the retry of a lost connection, the first of its
/// kind there too, waits for nothing; a Retry-After of 0 means the ordinary wait.
pub(super) fn ours(answer: &Answer, count: &mut Count) -> Next {
    let is_last = count.statuses + count.connects + count.reads == 2;
    let backoff = if count.delayed == 0 { 1.0 } else { 2.0 };
    let failed = Next::Fail(Failure::AuthenticationFailed);
    match answer.error {
        Some(_) if is_last => return failed,
        Some(AnswerError::Connect) => {
            count.connects += 1;
            count.delayed += 1;
            return Next::Wait(backoff);
        }
        Some(AnswerError::Read) if count.reads > 0 => return failed,
        Some(AnswerError::Read) => {
            count.reads += 1;
            return Next::Wait(0.0);
        }
        None => {}
    }
    let asked = answer.header("Retry-After");
    let asked = asked.and_then(|text| text.trim().parse::<f64>().ok());
    let again = match answer.status.unwrap_or(200) {
        408 | 500..=599 => asked.is_none_or(|asked| asked <= 10.0),
        429 => asked.is_some_and(|asked| asked <= 10.0),
        _ => false,
    };
    if is_last || !again {
        return Next::Take;
    }
    count.statuses += 1;
    count.delayed += 1;
    Next::Wait(asked.unwrap_or(0.0).max(backoff))
}
