//! What kind of server it is.

use ldap3::Scope;
use tokio::time::Instant;

use super::connection::{Connection, Query};
use super::error::{DirectoryError, Step, code};

/// What Active Directory names itself by ([MS-ADTS], 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// What of a server's root entry (RFC 4512, 5.1) decides how it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kind {
    /// Active Directory, Microsoft's or Samba's.
    pub is_active_directory: bool,
    /// The DN of its domain; Active Directory names it.
    pub domain: Option<String>,
}

impl Kind {
    /// Asks the server; none when it shows its root entry to nobody.
    pub async fn read(connection: &Connection, deadline: Instant) -> Result<Option<Self>, DirectoryError> {
        let query = Query {
            step: Step::Probe,
            base: String::new(),
            scope: Scope::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec!["supportedCapabilities".to_owned(), "defaultNamingContext".to_owned()],
        };
        let (entries, result) = connection.search(query, 1, deadline).await?;
        match result.rc {
            code::SUCCESS => {}
            code::BUSY | code::UNAVAILABLE => {
                return Err(DirectoryError::answer(&connection.server, Step::Probe, &result));
            }
            _ => return Ok(None),
        }
        let values = |name: &str| {
            let attributes = entries.iter().flat_map(|entry| &entry.attrs);
            attributes
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .flat_map(|(_, values)| values.clone())
                .collect::<Vec<String>>()
        };
        Ok(Some(Self {
            is_active_directory: values("supportedCapabilities")
                .iter()
                .any(|oid| oid == ACTIVE_DIRECTORY),
            domain: values("defaultNamingContext").pop().filter(|dn| !dn.is_empty()),
        }))
    }
}
