//! Lists the accounts of a token cache, and how many tokens it holds of each.
//!
//! `cargo run --example list_accounts -- [PATH]`: the shared cache, or the one at PATH.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::path::PathBuf;

use msal_token_cache::identifier::is_same_home_account_id;
use msal_token_cache::{FilePersistence, TokenCache, default_path};

fn main() -> Result<(), Box<dyn Error>> {
    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => default_path("msal.cache.nocae").ok_or("there is no home folder: set HOME")?,
    };
    let cache = TokenCache::new(FilePersistence::new(path));
    let snapshot = cache.snapshot()?;
    println!("{}", cache.location());
    for account in snapshot.accounts() {
        let id = account.home_account_id();
        println!(
            "{} in tenant {} of {}: {} access tokens, {} refresh tokens",
            account.username().unwrap_or_else(|| "(no name)".into()),
            account.realm(),
            account.environment(),
            snapshot.access_tokens_of(id).count(),
            snapshot
                .refresh_tokens()
                .filter(|token| is_same_home_account_id(token.home_account_id(), id))
                .count(),
        );
    }
    if snapshot.accounts().next().is_none() {
        println!("no account");
    }
    Ok(())
}
