use zeroize::Zeroize;

/// Overwrites bytes and gives their memory back. A `Vec` that zeroizes itself goes byte by byte,
/// which takes as long for a large cache as reading it.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    bytes.as_mut_slice().zeroize();
    bytes.spare_capacity_mut().zeroize();
}
