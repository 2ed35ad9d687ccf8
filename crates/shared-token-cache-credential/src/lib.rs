//! Placeholder.
mod token_endpoint;
pub use token_endpoint::{
    TokenEndpoint, TokenReply, TokenRequest, TransportError, TransportErrorKind,
};
