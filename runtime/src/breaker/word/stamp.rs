use super::layout::mask;

/// A moment in few bits: precise enough to tell how much of a given span has passed since.
///
/// Kept in the finest power of two of microseconds in which the span has no more than 12 bits, with that power beside it.
/// So it is off by a two-thousandth of the span at most, and wraps after 64 spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    unit: u32,
    count: u64,
}

const UNIT_BITS: u32 = 5;
const COUNT_BITS: u32 = 18;
const PRECISION: u32 = 12;
/// Half of what can be counted: at least 32 spans.
const MOST: u64 = mask(COUNT_BITS - 1);

impl Stamp {
    pub(super) const BITS: u32 = UNIT_BITS + COUNT_BITS;

    /// Now, to be asked how much of `span` has passed. Both in microseconds.
    pub(super) const fn new(now: u64, span: u64) -> Self {
        let unit = unit(span);
        Self { unit, count: now >> unit & mask(COUNT_BITS) }
    }

    /// The same moment, to be asked about another span. Of one that is much shorter it only says that it has passed.
    pub(super) const fn with_span(self, span: u64, now: u64) -> Self {
        if unit(span) == self.unit {
            return self;
        }
        let (passed, most) = (self.passed(now) << self.unit, MOST << unit(span));
        Self::new(now.wrapping_sub(if passed > most { most } else { passed }), span)
    }

    /// How much of `span` is left, in microseconds. A clock that is behind has let nothing pass.
    pub(super) const fn left_of(self, span: u64, now: u64) -> u64 {
        let span = span >> self.unit;
        // More would never pass, before the count wraps.
        let span = if span > MOST { MOST } else { span };
        span.saturating_sub(self.passed(now)) << self.unit
    }

    /// In its unit.
    const fn passed(self, now: u64) -> u64 {
        let passed = (now >> self.unit).wrapping_sub(self.count) & mask(COUNT_BITS);
        if passed > mask(COUNT_BITS) - mask(PRECISION) { 0 } else { passed }
    }

    pub(super) const fn bits(self) -> u64 {
        self.count << UNIT_BITS | self.unit as u64
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self { unit: (bits & mask(UNIT_BITS)) as u32, count: bits >> UNIT_BITS & mask(COUNT_BITS) }
    }
}

/// The power of two of microseconds in which a span is measured.
#[allow(clippy::cast_possible_truncation, reason = "5 bits")]
const fn unit(span: u64) -> u32 {
    let unit = (u64::BITS - span.leading_zeros()).saturating_sub(PRECISION);
    if unit as u64 > mask(UNIT_BITS) { mask(UNIT_BITS) as u32 } else { unit }
}
