//! Where on Earth an address is.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A place, as far as the GeoIP database knows it. Stores may keep the fields in this order, without their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// The country's English name.
    pub country: Option<CompactString>,
    /// The country's ISO 3166-1 alpha-2 code.
    pub country_code: Option<CompactString>,
    /// The city's English name.
    pub city: Option<CompactString>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}
