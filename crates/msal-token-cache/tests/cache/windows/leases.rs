//! A lease ends with its holder, however that ends.

use std::path::Path;
use std::time::Duration;

use msal_token_cache::Leases;

use super::super::sample::Place;
use super::killed::{Killed, say_held};

const WORK: [&str; 2] = ["redeem", "ada@contoso.example"];

/// Plays a holder that says so and is killed.
pub(crate) fn holds(folder: &Path) {
    let lease = Leases::in_folder(folder).take(&WORK).unwrap();
    assert!(lease.is_some());
    say_held();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_lease_of_a_process_that_is_killed_is_free() {
    let place = Place::empty();
    let folder = place.folder().join("leases");
    let leases = Leases::in_folder(&folder);
    let holder = Killed::playing("a leaseholder", &folder);
    assert!(leases.take(&WORK).unwrap().is_none());
    holder.kill();
    assert!(leases.take(&WORK).unwrap().is_some());
    assert_eq!(place.names(), [""; 0]);
}
