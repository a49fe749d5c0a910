/// The value of the option `permits`: any integer.
///
/// A number above [`u32::MAX`] counts as that, and a negative number as 0.
#[diagnostic::on_unimplemented(
    message = "`permits` must be an integer, and `{Self}` is not",
    label = "not an integer",
    note = "`permits` is the number of permits that the call takes, such as `permits = batch.len()`; dereference a reference: `permits = *weight`"
)]
pub trait PermitCount {
    /// Returns the number of permits.
    fn count(permits: Self) -> u32;
}

macro_rules! permit_count {
    ($($integer:ty),*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl PermitCount for $integer {
                #[allow(clippy::allow_attributes, unused_comparisons, reason = "unsigned integers are included")]
                #[inline]
                fn count(permits: Self) -> u32 {
                    if permits < 0 { 0 } else { permits.try_into().unwrap_or(u32::MAX) }
                }
            }
        )*
    };
}

permit_count!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

#[cfg(test)]
mod tests {
    use super::PermitCount;

    #[test]
    fn numbers_out_of_range_are_clamped() {
        assert_eq!([PermitCount::count(0_u8), PermitCount::count(7_usize), PermitCount::count(7_i32)], [0, 7, 7]);
        assert_eq!([PermitCount::count(u64::MAX), PermitCount::count(i128::MAX)], [u32::MAX; 2]);
        assert_eq!([PermitCount::count(-1_i32), PermitCount::count(isize::MIN)], [0; 2]);
    }
}
