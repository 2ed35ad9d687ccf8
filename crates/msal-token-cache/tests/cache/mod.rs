mod entries;
mod freshness;
mod limits;
mod locking;
mod merging;
#[cfg(unix)]
mod owners;
#[cfg(feature = "tokio")]
mod panics;
#[cfg(unix)]
mod peers;
mod reading;
#[cfg(unix)]
mod replacing;
mod roles;
mod sample;
mod sign_out;
#[cfg(unix)]
mod special_files;
#[cfg(feature = "tokio")]
mod twins;
#[cfg(windows)]
mod windows;
mod writers;
mod writing;
