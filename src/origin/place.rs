//! Where an address is, out of a GeoIP database.
//!
//! The whole file is held in memory (a country database has about 8 MB, a city database 30 to 130 MB): mapping it would
//! need `unsafe`, and a mapped file that is overwritten in place ends the process.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

use super::OriginError;
use crate::domain::location::Location;

/// How many of a database's first records are looked at to see that it holds places.
const SAMPLE: usize = 10_000;

/// A GeoIP database: MaxMind's own layout, or a flat one with `country_code`.
pub struct Places {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Places {
    /// Reads the file into memory; this blocks, for a city database some 50 ms.
    ///
    /// # Errors
    /// When the file cannot be read, is no MaxMind DB, or holds no places.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OriginError> {
        let path = path.as_ref().to_owned();
        let reader = match Reader::open_readfile(&path) {
            Ok(reader) => reader,
            Err(MaxMindDbError::Io(source)) => return Err(OriginError::Read { path, source }),
            Err(error) => {
                return Err(OriginError::Format {
                    path,
                    reason: error.to_string(),
                });
            }
        };
        match has_places(&reader) {
            Ok(true) => Ok(Self { path, reader }),
            Ok(false) => Err(OriginError::NoPlaces {
                kind: reader.metadata().database_type.clone(),
                path,
            }),
            Err(error) => Err(OriginError::Format {
                path,
                reason: error.to_string(),
            }),
        }
    }

    /// Where `ip` is; `None` for an address that the database does not know or that is nowhere on the internet.
    #[must_use]
    pub fn locate(&self, ip: IpAddr) -> Option<Location> {
        let ip = ip.to_canonical();
        let covered = ip.is_ipv4() || self.reader.metadata().ip_version == 6;
        if !covered || is_local(ip) {
            return None;
        }
        match self.reader.lookup(ip).and_then(|found| found.decode::<Record<'_>>()) {
            Ok(record) => record.and_then(Record::into_location),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a record of the GeoIP database cannot be read");
                None
            }
        }
    }
}

fn has_places(reader: &Reader<Vec<u8>>) -> Result<bool, MaxMindDbError> {
    for found in reader.networks(maxminddb::WithinOptions::default())?.take(SAMPLE) {
        if found?.decode::<Record<'_>>()?.and_then(Record::into_location).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Addresses that are on some machine or local network: whatever a database says about them is not true.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = ip.to_bits() & 0xffc0_0000 == Ipv4Addr::new(100, 64, 0, 0).to_bits(); // RFC 6598
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A record in either layout; what else it holds is skipped.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Named<'a>>,
    country_code: Option<Cow<'a, str>>,
    country_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
    location: Option<Coordinates>,
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

/// `{"iso_code": "US", "names": {"en": "United States"}}` in MaxMind's layout, the name alone in a flat one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    Flat(#[serde(borrow)] Cow<'a, str>),
    Nested {
        iso_code: Option<Cow<'a, str>>,
        #[serde(default, borrow)]
        names: Names<'a>,
    },
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    en: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Coordinates {
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

/// Some flat databases keep their numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Degrees {
    Number(f64),
    Text(String),
}

impl Record<'_> {
    /// `None` for a record that says nothing about a place.
    fn into_location(self) -> Option<Location> {
        let (iso_code, country) = self.country.map(Named::into_parts).unwrap_or_default();
        // A flat `country` is a name in some databases, a code in others.
        let (country, country_as_code) = match country {
            Some(text) if is_country_code(&text) => (None, Some(text)),
            name => (name, None),
        };
        let country_code = [self.country_code.map(Cow::into_owned), iso_code, country_as_code]
            .into_iter()
            .flatten()
            .find(|code| is_country_code(code))
            .map(|code| code.to_ascii_uppercase());
        let country = filled(country.or(self.country_name.map(Cow::into_owned)))
            .or_else(|| country_emoji::code_to_name(country_code.as_deref()?).map(str::to_owned));
        let city = filled(self.city.and_then(|city| city.into_parts().1));
        let (nested_latitude, nested_longitude) = self.location.map_or((None, None), |l| (l.latitude, l.longitude));
        let latitude = nested_latitude
            .or(self.latitude)
            .and_then(|degrees| degrees.within(90.0));
        let longitude = nested_longitude
            .or(self.longitude)
            .and_then(|degrees| degrees.within(180.0));

        let location = Location {
            country: country.map(Into::into),
            country_code: country_code.map(Into::into),
            city: city.map(Into::into),
            latitude,
            longitude,
        };
        (location != Location::default()).then_some(location)
    }
}

impl Named<'_> {
    /// The code and the name.
    fn into_parts(self) -> (Option<String>, Option<String>) {
        match self {
            Self::Flat(name) => (None, Some(name.into_owned())),
            Self::Nested { iso_code, names } => (iso_code.map(Cow::into_owned), names.en.map(Cow::into_owned)),
        }
    }
}

impl Degrees {
    /// Rounded to four decimals, 11 m: more than any GeoIP database knows, and rid of the noise of a 32-bit float.
    fn within(self, limit: f64) -> Option<f64> {
        let degrees = match self {
            Self::Number(degrees) => degrees,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        (degrees.abs() <= limit).then(|| (degrees * 1e4).round() / 1e4)
    }
}

fn is_country_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Flat databases write an empty text for what they do not know.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mmdb_writer::{temporary, write};
    use super::*;

    fn places(records: &[(&str, serde_json::Value)]) -> Places {
        Places::open(temporary(&write("Test-City", records)).path()).unwrap()
    }

    fn country(name: &str, code: &str) -> Location {
        Location {
            country: Some(name.into()),
            country_code: Some(code.into()),
            ..Location::default()
        }
    }

    #[test]
    fn maxminds_nested_layout() {
        let places = places(&[
            (
                "81.2.69.0/24",
                json!({
                    "continent": {"code": "EU", "names": {"en": "Europe"}},
                    "country": {"geoname_id": 2_635_167, "iso_code": "GB", "names": {"de": "Vereinigtes Königreich", "en": "United Kingdom"}},
                    "city": {"geoname_id": 2_643_743, "names": {"en": "London", "ru": "Лондон"}},
                    "location": {"accuracy_radius": 10, "latitude": 51.5142, "longitude": -0.0931, "time_zone": "Europe/London"},
                    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
                }),
            ),
            ("2001:4860::/32", json!({"country": {"iso_code": "US"}})),
        ]);
        let london = Location {
            city: Some("London".into()),
            latitude: Some(51.5142),
            longitude: Some(-0.0931),
            ..country("United Kingdom", "GB")
        };
        for ip in ["81.2.69.142", "::ffff:81.2.69.142"] {
            assert_eq!(places.locate(ip.parse().unwrap()), Some(london.clone()), "{ip}");
        }
        // Without a name in English, the code gives it.
        assert_eq!(
            places.locate("2001:4860::8888".parse().unwrap()),
            Some(country("United States", "US"))
        );
        assert_eq!(places.locate("81.2.70.1".parse().unwrap()), None);
        assert_eq!(places.locate("2001:db8::1".parse().unwrap()), None);
    }

    #[test]
    fn flat_layouts() {
        let records = [
            (json!({"country_code": "KR"}), Some(country("South Korea", "KR"))),
            (json!({"country_code": "tr"}), Some(country("Türkiye", "TR"))),
            (json!({"country": "NL"}), Some(country("Netherlands", "NL"))),
            (
                json!({"country": "Holland", "country_code": "NL"}),
                Some(country("Holland", "NL")),
            ),
            (
                json!({"country": "NL", "country_name": "Holland"}),
                Some(country("Holland", "NL")),
            ),
            (
                json!({"city": "Reykjavík", "country_code": "IS", "latitude": 64.135_482_788_085_94, "longitude": -21.895_4, "state1": ""}),
                Some(Location {
                    city: Some("Reykjavík".into()),
                    latitude: Some(64.1355),
                    longitude: Some(-21.8954),
                    ..country("Iceland", "IS")
                }),
            ),
            (
                json!({"city": " ", "country_code": "IS", "latitude": "64.1355", "longitude": "?"}),
                Some(Location {
                    latitude: Some(64.1355),
                    ..country("Iceland", "IS")
                }),
            ),
            (
                json!({"latitude": 91.0, "longitude": -181.0, "city": "", "country_code": ""}),
                None,
            ),
            (json!({"country_code": "None"}), None),
            // A code without a country, such as the registries' AP for Asia and the Pacific, stays a code.
            (
                json!({"country_code": "AP"}),
                Some(Location {
                    country_code: Some("AP".into()),
                    ..Location::default()
                }),
            ),
        ];
        let networks: Vec<String> = (0..records.len()).map(|i| format!("81.2.{i}.0/24")).collect();
        let file: Vec<_> = networks
            .iter()
            .map(String::as_str)
            .zip(records.iter().map(|r| r.0.clone()))
            .collect();
        let places = places(&file);
        for (i, (record, expected)) in records.iter().enumerate() {
            assert_eq!(
                &places.locate(format!("81.2.{i}.9").parse().unwrap()),
                expected,
                "{record}"
            );
        }
    }

    #[test]
    fn local_addresses_are_nowhere() {
        let everywhere = json!({"country_code": "DE"});
        let places = places(&[("0.0.0.0/0", everywhere.clone()), ("8000::/1", everywhere)]);
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
        ] {
            assert_eq!(places.locate(ip.parse().unwrap()), None, "{ip}");
        }
        for ip in ["::1", "::", "fe80::1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(places.locate(ip.parse().unwrap()), None, "{ip}");
        }
        for ip in [
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "::ffff:9.9.9.9",
            "a000::1",
        ] {
            assert!(places.locate(ip.parse().unwrap()).is_some(), "{ip}");
        }
    }

    #[test]
    fn what_is_no_database_of_places_is_refused_with_its_name() {
        let error = Places::open("/nowhere/places.mmdb").unwrap_err();
        assert!(matches!(error, OriginError::Read { .. }));
        assert!(error.to_string().contains("/nowhere/places.mmdb"), "{error}");

        for bytes in [
            &b""[..],
            b"\x1f\x8b\x08 packed",
            &write("Test", &[("81.2.69.0/24", json!({}))])[10..],
        ] {
            let file = temporary(bytes);
            let error = Places::open(file.path()).unwrap_err();
            assert!(matches!(error, OriginError::Format { .. }), "{error}");
            assert!(
                error.to_string().starts_with(&file.path().display().to_string()),
                "{error}"
            );
        }

        let owners = [("81.2.69.0/24", json!({"autonomous_system_number": 64_500}))];
        let error = Places::open(temporary(&write("Test-ASN", &owners)).path()).unwrap_err();
        assert!(matches!(error, OriginError::NoPlaces { .. }));
        assert!(error.to_string().contains("Test-ASN"), "{error}");
    }
}
