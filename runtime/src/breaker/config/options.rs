//! The options of a configuration as texts.

use std::fmt;

use super::{BreakerConfig, RecoveryTimeout, Size, Window};
use crate::layers::{ConfigOptions, DurationText, OptionText, VisitOption};

impl ConfigOptions for BreakerConfig {
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result {
        let (has_window, has_slow_calls) = (self.window.is_some(), self.window.is_some() && self.slow_call.is_some());
        let window = self.window.map(|Window(size)| fmt::from_fn(move |f| write_size(size, f)));
        visit("failure_threshold", OptionText::if_any(self.failure_threshold.as_ref()))?;
        visit("window", OptionText::if_any(window.as_ref()))?;
        visit("failure_rate", OptionText::Value(&self.failure_rate).if_used(has_window))?;
        visit("min_calls", OptionText::Value(&self.min_calls).if_used(has_window))?;
        visit("slow_call", OptionText::if_any(self.slow_call.map(DurationText).as_ref()).if_used(has_window))?;
        visit("slow_call_rate", OptionText::Value(&self.slow_call_rate).if_used(has_slow_calls))?;
        visit("recovery_timeout", OptionText::Value(&self.recovery_timeout))?;
        visit("recovery_jitter", OptionText::unless(self.recovery_jitter == 0.0, &self.recovery_jitter))?;
        visit("half_open_max_calls", OptionText::Value(&self.half_open_max_calls))?;
        let successes = self.get_half_open_successes();
        visit("half_open_successes", OptionText::unless(successes == self.get_half_open_max_calls(), &successes))?;
        visit("ramp_up", OptionText::unless(self.ramp_up.is_zero(), &DurationText(self.ramp_up)))?;
        visit("hung_call", OptionText::if_any(self.hung_call.map(DurationText).as_ref()))?;
        visit("cancelled_call", OptionText::if_any(self.cancelled_call.map(DurationText).as_ref()))?;
        visit("durations", OptionText::flag(self.durations))?;
        visit("observe_only", OptionText::flag(self.observe_only))
    }
}

fn write_size(size: Size, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match size {
        Size::Calls(calls) => write!(f, "calls({calls})"),
        Size::Time(time) => write!(f, "time({})", DurationText(time)),
    }
}

impl fmt::Display for RecoveryTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, max) = (DurationText(self.base), DurationText(self.max));
        if self.base == self.max {
            return base.fmt(f);
        }
        write!(f, "exponential(base = {base}, factor = {}, max = {max})", self.factor)
    }
}
