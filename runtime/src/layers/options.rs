use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// The options of settings as texts, in the syntax of the attribute. The `Display` texts of settings and [`Setting`](super::Setting)s are made
/// of them.
pub trait ConfigOptions {
    /// Calls `visit` with each option. The options and their order are the same for all values.
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result;
}

/// A function that takes an option and its text.
pub(crate) type VisitOption<'v> = dyn FnMut(&'static str, OptionText<'_>) -> fmt::Result + 'v;

/// The value of an option.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it contains a `Display`")]
pub enum OptionText<'v> {
    /// A value that is always displayed.
    Value(&'v dyn Display),
    /// A value that the text of all settings leaves out, because the option is off or has its default.
    Omitted(&'v dyn Display),
    /// A flag that is set. The text of all settings is the name alone.
    Flag,
    /// The option has no effect, because it needs another one that is off.
    Unused,
}

impl<'v> OptionText<'v> {
    /// The text of an optional value, which is `none` without one.
    pub(crate) fn if_any<T: Display>(value: Option<&'v T>) -> Self {
        value.map_or(Self::Omitted(&"none"), |value| Self::Value(value))
    }

    /// The text of a value, which is left out of the text of all settings if `is_default`.
    pub(crate) fn unless(is_default: bool, value: &'v dyn Display) -> Self {
        if is_default { Self::Omitted(value) } else { Self::Value(value) }
    }

    pub(crate) fn flag(is_set: bool) -> Self {
        if is_set { Self::Flag } else { Self::Omitted(&"false") }
    }

    /// The text, if the option that it needs is on.
    pub(crate) const fn if_used(self, is_used: bool) -> Self {
        if is_used { self } else { Self::Unused }
    }

    /// The value as a text of its own; `None` if the option has no effect.
    pub(super) fn to_value(self) -> Option<String> {
        match self {
            Self::Value(value) | Self::Omitted(value) => Some(value.to_string()),
            Self::Flag => Some("true".to_owned()),
            Self::Unused => None,
        }
    }
}

/// Writes the options as in an attribute: `failure_threshold = 3, observe_only`.
pub(crate) fn write_options(config: &impl ConfigOptions, f: &mut Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    config.visit_options(&mut |option, text| {
        match text {
            OptionText::Value(value) => write!(f, "{separator}{option} = {value}")?,
            OptionText::Flag => write!(f, "{separator}{option}")?,
            OptionText::Omitted(_) | OptionText::Unused => return Ok(()),
        }
        separator = ", ";
        Ok(())
    })
}

/// Settings that may be absent, which have no options then.
impl<C: ConfigOptions> ConfigOptions for Option<C> {
    fn visit_options(&self, visit: &mut VisitOption<'_>) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |config| config.visit_options(visit))
    }
}

/// A duration in the syntax of the attributes: `1.5s`, `250us`.
#[derive(Clone, Copy)]
pub(crate) struct DurationText(pub(crate) Duration);

impl Display for DurationText {
    #[allow(clippy::cast_precision_loss, reason = "less than a million nanoseconds")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos() {
            0 => f.write_str("0s"),
            // `Debug` writes `µs`, which the attributes do not accept.
            nanos @ 1_000..1_000_000 => write!(f, "{}us", nanos as f64 / 1e3),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_units_of_the_attributes() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(999), "999ns"),
            (Duration::from_nanos(1_001), "1.001us"),
            (Duration::from_micros(250), "250us"),
            (Duration::from_micros(1_500), "1.5ms"),
            (Duration::from_mins(5), "300s"),
        ] {
            assert_eq!(DurationText(duration).to_string(), text);
        }
    }
}
