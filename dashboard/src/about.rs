//! The fields at the beginning of each answer.

use crate::entry::fields::Object;

/// The version of the JSON. It rises if a field is removed or changes its meaning.
pub(crate) const VERSION: u32 = 1;

/// The program that a dashboard shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The time at which the dashboard was created, in seconds since 1970. Events before it are unknown.
    pub(crate) started: f64,
    pub(crate) title: String,
    pub(crate) instance: String,
    /// True if manual control is configured.
    pub(crate) can_override: bool,
}

impl About {
    /// Appends the fields.
    pub(crate) fn write(&self, object: &mut Object<'_>, now: f64) {
        object.value("version", &VERSION);
        object.value("now", &now);
        object.value("started", &self.started);
        object.value("title", &self.title);
        object.value("instance", &self.instance);
        object.value("can_override", &self.can_override);
    }
}
