//! Where on Earth an address is.

use serde::{Deserialize, Serialize};

/// A place, as far as the GeoIP database knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// The country's English name.
    pub country: Option<String>,
    /// The country's ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
    /// The city's English name.
    pub city: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}
