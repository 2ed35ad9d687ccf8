//! The way from a refresh token to an access token.

pub(crate) mod grant;
