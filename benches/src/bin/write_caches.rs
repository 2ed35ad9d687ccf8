//! Writes the caches of the benchmarks for programs in other languages: `write_caches FOLDER` makes
//! `FOLDER/{small,medium,large}/.IdentityService/msal.cache.nocae`, and `FOLDER/caches.json`, which
//! says what to ask them for.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a program of the benchmarks stops at the first surprise"
)]

use std::path::Path;

use benches::sample::Sample;
use serde_json::{Value, json};

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder is named");
    let folder = Path::new(&folder);
    let mut manifest = json!({});
    for sample in Sample::all_in(folder) {
        let home = folder.join(sample.name).join(".IdentityService");
        std::fs::create_dir_all(&home).unwrap();
        let mut cache: Value = serde_json::from_str(&sample.text).unwrap();
        // Python's class passes over tokens of no family.
        for section in ["RefreshToken", "AppMetadata"] {
            for entry in cache[section].as_object_mut().unwrap().values_mut() {
                entry["family_id"] = json!("1");
            }
        }
        let text = serde_json::to_string_pretty(&cache).unwrap();
        std::fs::write(home.join("msal.cache.nocae"), text).unwrap();
        manifest[sample.name] = json!({
            "username": sample.account.username,
            "tenant": sample.account.utid,
            "scope": sample.scope,
            "token": sample.token,
        });
    }
    let manifest = serde_json::to_string_pretty(&manifest).unwrap();
    std::fs::write(folder.join("caches.json"), manifest).unwrap();
}
