//! What a failure of the HTTP stack says about the request.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;

use hyper_util::client::legacy;
use token_credential::sanitize;

use super::graceful_close::Answered;
use crate::token_endpoint::error::{TransportError, TransportErrorKind};

/// No head of an answer.
pub(super) fn no_answer(host: &str, error: legacy::Error) -> TransportError {
    if let Some(own) = find::<TransportError>(&error) {
        return TransportError::new(own.kind(), own.to_string()).with_source(error);
    }
    let kind = if !error.is_connect() {
        broken(&error, error.connect_info().is_some_and(Answered::on))
    } else if find::<rustls::Error>(&error).is_some() {
        TransportErrorKind::Tls
    } else {
        // A handshake that just ended is here as well: that is the network's doing.
        TransportErrorKind::Connect
    };
    describe(kind, host, error)
}

/// A head, and no whole body.
pub(super) fn no_body(host: &str, error: hyper::Error) -> TransportError {
    describe(broken(&error, true), host, error)
}

fn broken(error: &(dyn StdError + 'static), answered: bool) -> TransportErrorKind {
    let bad_head = find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse);
    // hyper reports bad chunks as I/O errors of these kinds, and rustls a bad record.
    let bad_chunk = find::<rustls::Error>(error).is_none()
        && find::<io::Error>(error).is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        });
    if bad_head || bad_chunk {
        TransportErrorKind::Unreadable
    } else if answered {
        TransportErrorKind::Interrupted
    } else {
        TransportErrorKind::Lost
    }
}

fn describe(
    kind: TransportErrorKind,
    host: &str,
    error: impl StdError + Send + Sync + 'static,
) -> TransportError {
    let what = match kind {
        TransportErrorKind::Connect => "no connection to",
        TransportErrorKind::Tls => "no trusted connection to",
        TransportErrorKind::Lost => "the connection ended before an answer of",
        TransportErrorKind::Interrupted => "the connection ended within the answer of",
        _ => "no answer that is HTTP/1.1 from",
    };
    let cause = innermost(&error);
    TransportError::new(kind, format!("{what} {host}: {cause}")).with_source(error)
}

/// The text of the innermost cause, which is the telling one. A certificate's names may stand in
/// it.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let innermost = causes(error).last().map(ToString::to_string);
    sanitize(&innermost.unwrap_or_default())
}

fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The error and its causes, the outermost first.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    successors(Some(error), |error| cause(*error))
}

/// What this error holds. `source()` of an `io::Error` passes over the error in it.
fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
