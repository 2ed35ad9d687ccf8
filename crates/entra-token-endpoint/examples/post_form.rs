//! Posts the form of the client credentials grant, and shows the facts of the answer without its
//! secrets.
//!
//! `cargo run --package entra-token-endpoint --example post_form -- AUTHORITY TENANT CLIENT_ID
//! SCOPE` reads the client's secret from standard input, where no other user of the machine sees
//! it. The exit status is 0 with a token and 1 without.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use entra_token_endpoint::tenant::is_tenant;
use entra_token_endpoint::{
    Authority, HyperTokenEndpoint, Posted, TokenEndpoint, TokenError, TokenRequest, post,
};
use token_credential::{Secret, SystemClock};
use tokio::time::Instant;

const USAGE: &str = "usage: post_form AUTHORITY TENANT CLIENT_ID SCOPE, and the client's secret on \
                     standard input";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [authority, tenant, client_id, scope] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let authority = Authority::parse(authority)?;
    if !is_tenant(tenant) {
        return Err("the tenant is neither an ID nor a domain name".into());
    }
    let mut secret = String::new();
    io::stdin().read_line(&mut secret)?;

    let request = TokenRequest::new(authority.token_endpoint(tenant))
        .with_user_agent("post_form/1.0")
        .with_field("grant_type", Secret::new("client_credentials"))
        .with_field("client_id", Secret::new(&**client_id))
        .with_field("client_secret", Secret::new(secret.trim_end()))
        .with_field("scope", Secret::new(&**scope))
        // The secret of an application may be sent twice.
        .with_repeatable(true);

    let endpoint = HyperTokenEndpoint::new();
    let deadline = Instant::now() + PATIENCE;
    let posting = post(&endpoint, &request, &SystemClock, deadline);
    let posted = tokio::time::timeout_at(deadline, posting).await;
    endpoint.close().await;
    show(&authority, posted?)
}

fn show(authority: &Authority, posted: Posted) -> Result<(), Box<dyn Error>> {
    println!("authority:     {authority}");
    if let Some(wait) = posted.leave_alone {
        println!("leave alone:   {} s", wait.as_secs());
    }
    match posted.result {
        Ok(response) => {
            println!("status:        {}", response.status());
            println!("expires in:    {:?}", response.expires_in());
            println!("scope:         {}", response.scope().unwrap_or("not said"));
            let has_refresh_token = response.refresh_token().is_some();
            println!("refresh token: {has_refresh_token}");
            Ok(())
        }
        Err(TokenError::Refused(refusal)) => {
            println!("status:        {}", refusal.status());
            println!("remedy:        {:?}", refusal.remedy());
            Err(refusal.into())
        }
        Err(error) => Err(error.into()),
    }
}
