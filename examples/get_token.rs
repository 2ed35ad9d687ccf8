//! Gets an access token and shows whose it is, where it came from and until when it is good; never
//! the token itself.
//!
//! `cargo run --example get_token -- [--scope SCOPE] [--username NAME] [--tenant ID]` uses the
//! shared cache of this machine's user; `-- --demo` a sample cache and a token endpoint of its own.
//! The exit status is 0 with a token and 1 without.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, which takes the time"
)]

use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::identifier::is_same_home_account_id;
use msal_token_cache::{FilePersistence, Snapshot, TokenCache, default_path};
use shared_token_cache_credential::{
    AccessToken, HyperTokenEndpoint, SharedTokenCacheCredential, TokenRequestOptions,
};
use test_support::{AccessTokenSpec, CacheBuilder, FakeAccount, FakeEntra};

const USAGE: &str = "usage: get_token [--scope SCOPE] [--username NAME] [--tenant ID] | --demo";
/// The Azure CLI: whose sign-in the sample cache holds.
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const HITS: u32 = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) if arguments.demo => demo(&arguments.scope).await,
        Ok(arguments) => get_token(&arguments).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no token: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn get_token(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut builder = SharedTokenCacheCredential::builder();
    if let Some(username) = &arguments.username {
        builder = builder.username(username);
    }
    if let Some(tenant) = &arguments.tenant {
        builder = builder.tenant_id(tenant);
    }
    let credential = builder.build()?;
    // A second look at the same file, to tell where the token came from.
    let path = default_path("msal.cache.nocae").ok_or("there is no home folder: set HOME")?;
    let cache = TokenCache::new(FilePersistence::new(path));

    let before = cache.snapshot();
    let token = credential
        .get_token(&[&arguments.scope], &TokenRequestOptions::default())
        .await?;
    report(&token, &*before?, &*cache.snapshot()?);
    credential.close().await?;
    Ok(())
}

/// The whole way on a fresh machine: a cache whose access token has expired, one redemption, then
/// hits.
async fn demo(scope: &str) -> Result<(), Box<dyn Error>> {
    let entra = FakeEntra::start();
    let ada = FakeAccount::new("ada@contoso.example");
    let refresh_token = entra.issue_refresh_token(&ada, AZURE_CLI, false);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("msal.cache.nocae");
    CacheBuilder::new()
        .signed_in(&ada, "localhost", AZURE_CLI, &refresh_token)
        .access_token(
            &ada,
            AccessTokenSpec {
                environment: "localhost",
                target: scope,
                secret: "an-access-token-that-has-expired",
                expires_on: 1_700_000_000,
                ..AccessTokenSpec::default()
            },
        )
        .write_to(&path);

    let cache = TokenCache::new(FilePersistence::new(&path));
    // The proxy of this machine, if it has one, does not lead to loopback.
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(entra.root_pem().as_bytes())?;
    let credential = SharedTokenCacheCredential::builder()
        .authority(entra.authority())
        .token_endpoint(endpoint.without_proxy())
        .token_cache(cache.clone())
        .build()?;
    let options = TokenRequestOptions::default();

    let before = cache.snapshot()?;
    println!("cache before: {}", describe(&before));
    let begin = Instant::now();
    let token = credential.get_token(&[scope], &options).await?;
    let redemption = begin.elapsed();
    let after = cache.snapshot()?;
    report(&token, &before, &after);
    println!("cache after:  {}", describe(&after));
    println!("              {}", change(&before, &after));

    let begin = Instant::now();
    for _ in 0..HITS {
        let hit = credential.get_token(&[scope], &options).await?;
        if hit.token().expose_secret() != token.token().expose_secret() {
            return Err("a hit gave another token".into());
        }
    }
    let hit = begin.elapsed() / HITS;
    let after_hits = cache.snapshot()?;
    report(&token, &after_hits, &after_hits);
    println!(
        "took:         redemption {:.1} ms (TLS handshake and write included), hit {:.1} µs \
         (mean of {HITS})",
        redemption.as_secs_f64() * 1e3,
        hit.as_secs_f64() * 1e6,
    );
    println!(
        "endpoint saw: requests {}, TLS handshakes {}",
        entra.request_count(),
        entra.handshakes()
    );
    credential.close().await?;
    Ok(())
}

/// Says whose token it is, where it came from and until when it is good.
fn report(token: &AccessToken, before: &Snapshot, after: &Snapshot) {
    let holds = |snapshot: &Snapshot| {
        snapshot
            .access_tokens()
            .find(|entry| entry.secret().expose_secret() == token.token().expose_secret())
            .map(|entry| entry.home_account_id().to_owned())
    };
    let source = if holds(before).is_some() {
        "cache"
    } else {
        "redeemed"
    };
    let account = holds(after).and_then(|id| {
        let mut entries = after
            .accounts()
            .filter(|entry| is_same_home_account_id(entry.home_account_id(), &id));
        entries.find_map(|entry| entry.username().map(Cow::into_owned))
    });
    let left = token
        .expires_on()
        .duration_since(SystemTime::now())
        .unwrap_or(Duration::ZERO);
    println!(
        "account:      {}",
        account.as_deref().unwrap_or("(no name is known)")
    );
    println!("source:       {source}");
    println!(
        "expiry:       in {} min {} s",
        left.as_secs() / 60,
        left.as_secs() % 60
    );
}

fn describe(snapshot: &Snapshot) -> String {
    let now = SystemTime::now();
    let (good, expired): (Vec<_>, Vec<_>) = snapshot
        .access_tokens()
        .partition(|entry| entry.expires_on() > now);
    format!(
        "account entries {}, refresh tokens {}, access tokens {} good and {} expired",
        snapshot.accounts().count(),
        snapshot.refresh_tokens().count(),
        good.len(),
        expired.len(),
    )
}

fn change(before: &Snapshot, after: &Snapshot) -> &'static str {
    let refresh_tokens = |snapshot: &Snapshot| -> Vec<String> {
        let secrets = snapshot.refresh_tokens();
        secrets
            .map(|entry| entry.secret().expose_secret().to_owned())
            .collect()
    };
    if refresh_tokens(before) == refresh_tokens(after) {
        "the refresh token is as before"
    } else {
        "the refresh token was rotated in its entry"
    }
}

struct Arguments {
    demo: bool,
    scope: String,
    username: Option<String>,
    tenant: Option<String>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let scope = "https://management.azure.com/.default".to_owned();
        let mut read = Self {
            demo: false,
            scope,
            username: None,
            tenant: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match &*argument {
                "--demo" => read.demo = true,
                "--scope" => read.scope = value()?,
                "--username" => read.username = Some(value()?),
                "--tenant" => read.tenant = Some(value()?),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}
