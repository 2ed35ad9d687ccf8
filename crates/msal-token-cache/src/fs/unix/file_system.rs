//! The file system that an open file is on.

use std::fs::File;

/// The types, in `linux/magic.h`, of file systems that another machine or program can change: NFS,
/// SMB, FUSE, Coda, AFS, cifs, smb2, 9p and Ceph.
#[cfg(any(target_os = "linux", target_os = "android"))]
const REMOTE: [i128; 9] = [
    0x0000_6969,
    0x0000_517B,
    0x6573_5546,
    0x7375_7245,
    0x5346_414F,
    0xFF53_4D42,
    0xFE53_4D42,
    0x0102_1997,
    0x00C3_6400,
];

/// Returns `true` if every change goes through this machine's kernel, so that an open file shows it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_local(file: &File) -> bool {
    // Where the type has 32 bits and a sign, it is widened with its sign.
    let type_of = |stat: rustix::fs::StatFs| i128::from(stat.f_type) & 0xFFFF_FFFF;
    rustix::fs::fstatfs(file).is_ok_and(|stat| !REMOTE.contains(&type_of(stat)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_local(_file: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_kernels_header() {
        let nfs = i128::from(rustix::fs::NFS_SUPER_MAGIC);
        assert!(REMOTE.contains(&nfs));
        assert!(is_local(tempfile::NamedTempFile::new().unwrap().as_file()));
    }
}
