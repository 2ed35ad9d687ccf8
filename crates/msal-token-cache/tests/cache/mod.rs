mod entries;
mod freshness;
mod locking;
mod merging;
mod owners;
mod peers;
mod reading;
mod roles;
mod sample;
mod sign_out;
mod special_files;
#[cfg(feature = "tokio")]
mod twins;
mod writers;
mod writing;
