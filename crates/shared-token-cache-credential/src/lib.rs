//! Placeholder.
mod token_endpoint;
pub use token_endpoint::{
    HyperTokenEndpoint, TokenEndpoint, TokenReply, TokenRequest, TransportError, TransportErrorKind,
};
