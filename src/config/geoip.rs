//! `[geoip]`: places for addresses.

use std::path::PathBuf;

use serde::Deserialize;

use super::problems::Problems;
use super::text::optional_path;

/// The `[geoip]` section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeoipConfig {
    /// An .mmdb file; none: sign-ins have no place.
    #[serde(deserialize_with = "optional_path")]
    pub database: Option<PathBuf>,
}

impl GeoipConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.file_exists("geoip.database", self.database.as_deref());
    }
}
