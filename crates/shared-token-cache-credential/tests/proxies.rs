//! Redemptions through proxies that others wrote, as the environment names them: tinyproxy, which
//! passes TLS on, and mitmproxy, which ends it and vouches for every host by a root of its own.
//!
//! Run by `cargo xtask test proxies`, which brings both.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails here should fail loudly, and its child reports by printing"
)]

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use msal_token_cache::{FilePersistence, TokenCache};
use shared_token_cache_credential::{SharedTokenCacheCredential, TokenRequestOptions};
use tempfile::TempDir;
use test_support::{CacheBuilder, FakeAccount, FakeEntra, PeerServer, logs};
use tokio::time::timeout;

const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const ARM: &str = "https://management.azure.com/.default";
/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that asks for one token: this test again, in a process with other variables.
struct Asker {
    test: &'static str,
    entra: FakeEntra,
    folder: TempDir,
}

impl Asker {
    fn new(test: &'static str) -> Self {
        Self {
            test,
            entra: FakeEntra::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What it says about the attempt. Whatever that is, it shows no secret.
    fn ask(&self, root_pem: &str, variables: &[(&str, &str)]) -> String {
        let ada = FakeAccount::new("ada@contoso.example");
        let refresh_token = self.entra.issue_refresh_token(&ada, CLIENT, false);
        let store = self.folder.path().join("msal_token_cache.json");
        CacheBuilder::new()
            .signed_in(&ada, "localhost", CLIENT, &refresh_token)
            .write_to(&store);

        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", self.test, "--nocapture", "--test-threads=1"]);
        for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command
            .env("TEST_AUTHORITY", self.entra.authority())
            .env("TEST_ROOT", root_pem)
            .env("TEST_STORE", store)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        assert_eq!(logs::leaks_in(&said), [""; 0]);
        let said = said.split_once("RESULT ").unwrap().1;
        said.lines().next().unwrap().to_owned()
    }
}

/// What the program does, where this process is one.
#[tokio::main(flavor = "current_thread")]
async fn ask_once(authority: String) {
    let store = FilePersistence::new(std::env::var("TEST_STORE").unwrap());
    let credential = SharedTokenCacheCredential::builder()
        .authority(authority)
        .extra_root_certificates(std::env::var("TEST_ROOT").unwrap())
        .token_cache(TokenCache::new(store))
        .build()
        .unwrap();
    let (scopes, options) = ([ARM], TokenRequestOptions::default());
    let asking = credential.get_token(&scopes, &options);
    match timeout(PATIENCE, asking).await.unwrap() {
        Ok(_) => println!("\nRESULT token"),
        Err(error) => {
            let (kind, transient) = (error.kind(), error.is_transient());
            println!("\nRESULT {kind:?}, transient {transient}: {error}\n{error:?}");
        }
    }
    timeout(PATIENCE, credential.close())
        .await
        .unwrap()
        .unwrap();
}

/// A proxy that lets Ada through with her password.
struct Proxy {
    server: PeerServer,
    address: String,
    password: String,
    folder: TempDir,
}

impl Proxy {
    fn tinyproxy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = logs::canary("proxy password");
        // It takes no port of the system's choosing: one that was free just now.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let settings = folder.path().join("tinyproxy.conf");
        let text = format!(
            "Port {}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 20\n\
             LogLevel Info\nBasicAuth ada {password}\n",
            address.port()
        );
        fs::write(&settings, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.args(["-d", "-c"]).arg(&settings);
        let (server, ()) = PeerServer::start(&mut command, |line| {
            line.contains("Accepting connections").then_some(())
        });
        Self {
            server,
            address: address.to_string(),
            password,
            folder,
        }
    }

    /// It trusts this server, and hands out certificates for every host.
    fn mitmproxy(root_pem: &str) -> Self {
        let mitmdump = std::env::var_os("PEER_MITMDUMP").unwrap_or_else(|| {
            panic!("PEER_MITMDUMP names no mitmdump: run `cargo xtask test proxies`")
        });
        let folder = tempfile::tempdir().unwrap();
        let password = logs::canary("proxy password");
        let root = folder.path().join("root.pem");
        fs::write(&root, root_pem).unwrap();
        let mut command = Command::new(mitmdump);
        command
            .args(["--listen-host", "127.0.0.1", "--listen-port", "0"])
            .args(["--set", &format!("confdir={}", folder.path().display())])
            .args(["--set", &format!("proxyauth=ada:{password}")])
            .args([
                "--set",
                &format!("ssl_verify_upstream_trusted_ca={}", root.display()),
            ])
            .env("PYTHONUNBUFFERED", "1");
        let (server, address) = PeerServer::start(&mut command, |line| {
            let (_, address) = line.split_once("proxy listening at ")?;
            Some(address.trim_end_matches('.').to_owned())
        });
        Self {
            server,
            address,
            password,
            folder,
        }
    }

    /// The root by which mitmproxy vouches.
    fn root_pem(&self) -> String {
        fs::read_to_string(self.folder.path().join("mitmproxy-ca-cert.pem")).unwrap()
    }

    fn url(&self) -> String {
        self.url_with(&self.password)
    }

    fn url_with(&self, password: &str) -> String {
        format!("http://ada:{password}@{}", self.address)
    }

    /// How many lines of its log hold this text.
    fn lines_with(&self, text: &str) -> usize {
        let said = self.server.said();
        said.lines().filter(|line| line.contains(text)).count()
    }
}

/// What has to be so with each proxy, if the askers trust this root: in its log there is such a line
/// for each redemption, and to a wrong password it says this status.
fn assert_obeyed(asker: &Asker, proxy: &Proxy, root_pem: &str, line: &str, refusal: u16) {
    // Through it, under every name.
    for (count, variable) in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .enumerate()
    {
        let said = asker.ask(root_pem, &[(variable, &proxy.url())]);
        assert_eq!(said, "token", "{variable}");
        assert_eq!(asker.entra.request_count(), count + 1);
        assert_eq!(proxy.lines_with(line), count + 1, "{}", proxy.server.said());
    }

    // With a wrong password nothing arrives, and the error says at whom.
    let (wrong, requests) = (logs::canary("wrong password"), asker.entra.request_count());
    let wrong = proxy.url_with(&wrong);
    let said = asker.ask(root_pem, &[("HTTPS_PROXY", &wrong)]);
    let expected = format!(
        "the proxy {} of HTTPS_PROXY refused user and password (HTTP {refusal})",
        proxy.address
    );
    assert!(said.contains(&expected), "{said}");
    let kind = "AuthenticationFailed, transient false: ";
    assert!(said.starts_with(kind), "{said}");
    assert_eq!(asker.entra.request_count(), requests);

    // Past it.
    for (name, value) in [
        ("NO_PROXY", "localhost"),
        ("no_proxy", "127.0.0.1, localhost"),
    ] {
        let before = proxy.lines_with(line);
        let requests = asker.entra.request_count();
        let root_pem = asker.entra.root_pem();
        let said = asker.ask(root_pem, &[("HTTPS_PROXY", &wrong), (name, value)]);
        assert_eq!(said, "token");
        assert_eq!(asker.entra.request_count(), requests + 1);
        assert_eq!(proxy.lines_with(line), before);
    }
}

#[test]
fn tinyproxy_passes_a_redemption_on() {
    if let Ok(authority) = std::env::var("TEST_AUTHORITY") {
        return ask_once(authority);
    }
    let asker = Asker::new("tinyproxy_passes_a_redemption_on");
    let proxy = Proxy::tinyproxy();
    let host = asker.entra.authority().replace("https://", "");
    let line = format!("CONNECT {host} HTTP/1.1");
    assert_obeyed(&asker, &proxy, asker.entra.root_pem(), &line, 401);
}

#[test]
fn mitmproxy_ends_tls_with_a_root_of_its_own() {
    if let Ok(authority) = std::env::var("TEST_AUTHORITY") {
        return ask_once(authority);
    }
    let asker = Asker::new("mitmproxy_ends_tls_with_a_root_of_its_own");
    let proxy = Proxy::mitmproxy(asker.entra.root_pem());
    // It saw the request itself.
    let line = format!("POST {}/", asker.entra.authority());
    assert_obeyed(&asker, &proxy, &proxy.root_pem(), &line, 407);

    // To who does not know that root it is an impostor.
    let requests = asker.entra.request_count();
    let said = asker.ask(asker.entra.root_pem(), &[("HTTPS_PROXY", &proxy.url())]);
    assert!(
        said.contains("no trusted connection to localhost"),
        "{said}"
    );
    assert_eq!(asker.entra.request_count(), requests);
}
