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
    let backoff = match *counted {
        1 => 0.0,
        n => 0.8 * 2_f64.powi(n - 1),
    };
    let seconds = |name: &str| answer.header(name)?.trim().parse::<f64>().ok();
    let asked = seconds("Retry-After")
        .or_else(|| Some(seconds("retry-after-ms")? / 1000.0))
        .filter(|asked| *asked > 0.0);
    Next::Wait(asked.unwrap_or(backoff))
}

/// K9: "At most 2, for connect errors, 408 and 5xx (1 s, then 2 s, each times 0.5 to 1.5), once for
/// a connection lost before the first response byte; 429 only with a Retry-After of at most 10 s. A
/// longer Retry-After fails the call at once."
pub(super) fn ours(answer: &Answer, count: &mut Count) -> Next {
    let gone = count.statuses + count.connects + count.reads;
    let backoff = if gone == 0 { 1.0 } else { 2.0 };
    let counted = match answer.error {
        Some(AnswerError::Connect) => &mut count.connects,
        Some(AnswerError::Read) => &mut count.reads,
        None => &mut count.statuses,
    };
    *counted += 1;
    let at_most = if answer.error == Some(AnswerError::Read) { 1 } else { 2 };
    if answer.error.is_some() {
        return if *counted <= at_most && gone < 2 {
            Next::Wait(backoff)
        } else {
            Next::Fail(Failure::AuthenticationFailed)
        };
    }
    let asked = answer.header("Retry-After").and_then(|text| text.trim().parse::<f64>().ok());
    let status = answer.status.unwrap_or(200);
    let by_status = match status {
        408 | 500..=599 => asked.is_none_or(|asked| asked <= 10.0),
        429 => asked.is_some_and(|asked| asked <= 10.0),
        _ => false,
    };
    if by_status && gone < 2 {
        Next::Wait(asked.unwrap_or(backoff))
    } else {
        Next::Take
    }
}
