//! From an entry to a person.

use std::fmt::{self, Write};

use jiff::Timestamp;
use ldap3::SearchEntry;

use super::escape;
use super::kind::Kind;
use crate::config::AttributeConfig;
use crate::domain::clock::truncate_to_millis;

/// Somebody who is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name of the entry, as the server writes it.
    pub dn: String,
    /// The directory's own id of the entry: stays when the person is renamed. None: the entry has no such attribute.
    pub external_id: Option<String>,
    /// Everything that the entry says for an id, the above first: a user may be linked by another one.
    pub external_ids: Vec<String>,
    /// What the entry says.
    pub attributes: PersonAttributes,
    /// DNs of the person's groups, nested ones among them where that is configured.
    pub groups: Vec<String>,
    /// The directory lets nobody in as this person (Active Directory's `userAccountControl` or `accountExpires`, a
    /// permanent `pwdAccountLockedTime`).
    pub is_disabled: bool,
    /// When the password ends.
    pub password_expiry: PasswordExpiry,
}

impl Person {
    /// Is this the directory's id of the person?
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        self.external_ids.iter().any(|own| own == id)
    }
}

/// When a directory's password ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordExpiry {
    /// The directory did not say.
    #[default]
    Unsaid,
    /// Never.
    Never,
    /// Then, or it ended then.
    At(Timestamp),
}

/// What a person's entry says, by the configured attributes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PersonAttributes {
    /// The login.
    pub login: Option<String>,
    /// Everything that the entry says for a login, the above first: a person may go by more than one.
    pub logins: Vec<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// The telephone number, as written there.
    pub phone: Option<String>,
    /// The preferred language, as written there.
    pub language: Option<String>,
    /// The picture; read at a sign-in only.
    pub picture: Option<Vec<u8>>,
}

impl fmt::Debug for PersonAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonAttributes")
            .field("logins", &self.logins)
            .field("first_name", &self.first_name)
            .field("last_name", &self.last_name)
            .field("email", &self.email)
            .field("phone", &self.phone)
            .field("language", &self.language)
            .field("picture", &self.picture.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

pub(super) const MEMBER_OF: &str = "memberOf";
pub(super) const OBJECT_SID: &str = "objectSid";
pub(super) const PRIMARY_GROUP: &str = "primaryGroupID";
const ACCOUNT_CONTROL: &str = "userAccountControl";
const ACCOUNT_EXPIRES: &str = "accountExpires";
const PASSWORD_EXPIRES: &str = "msDS-UserPasswordExpiryTimeComputed";
const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// `ADS_UF_ACCOUNTDISABLE` ([MS-ADTS], 2.2.16).
const DISABLED_FLAG: i64 = 2;
/// What `pwdAccountLockedTime` is when only an administrator can unlock (draft-behera-ldap-password-policy, 5.3.3).
const LOCKED_FOR_EVER: &str = "000001010000Z";
/// 1 January 1970 in the hundreds of nanoseconds since 1601 that Active Directory counts in.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// The attributes to ask the server for. Operational ones (`entryUUID`, `memberOf`) come only when they are named.
pub(super) fn wanted(names: &AttributeConfig, kind: &Kind, with_member_of: bool, with_picture: bool) -> Vec<String> {
    let lists = [
        &names.id,
        &names.login,
        &names.first_name,
        &names.last_name,
        &names.email,
        &names.phone,
        &names.language,
    ];
    let mut wanted: Vec<String> = lists.into_iter().flatten().cloned().collect();
    if with_picture {
        wanted.extend(names.avatar.iter().cloned());
    }
    if with_member_of {
        wanted.push(MEMBER_OF.to_owned());
    }
    let of_the_kind: &[&str] = if kind.is_active_directory {
        &[
            OBJECT_SID,
            PRIMARY_GROUP,
            ACCOUNT_CONTROL,
            ACCOUNT_EXPIRES,
            PASSWORD_EXPIRES,
        ]
    } else {
        &[LOCKED_TIME]
    };
    wanted.extend(of_the_kind.iter().map(ToString::to_string));
    wanted
}

/// Reads an entry, all but the person's groups, as of now.
pub(super) fn from_entry(entry: &SearchEntry, names: &AttributeConfig, now: Timestamp) -> Person {
    let first_text = |names: &[String]| names.iter().find_map(|name| texts(entry, name).into_iter().next());
    let mut logins: Vec<String> = Vec::new();
    for login in names.login.iter().flat_map(|name| texts(entry, name)) {
        if !logins.contains(&login) {
            logins.push(login);
        }
    }
    let id = |name: &String| Some(external_id(name, &first_value(entry, name)?));
    let external_ids: Vec<String> = names.id.iter().filter_map(id).collect();
    Person {
        dn: entry.dn.clone(),
        external_id: external_ids.first().cloned(),
        external_ids,
        attributes: PersonAttributes {
            login: logins.first().cloned(),
            logins,
            first_name: first_text(&names.first_name),
            last_name: first_text(&names.last_name),
            email: first_text(&names.email),
            phone: first_text(&names.phone),
            language: first_text(&names.language),
            picture: names.avatar.iter().find_map(|name| first_value(entry, name)),
        },
        groups: Vec::new(),
        is_disabled: is_disabled(entry, now),
        password_expiry: password_expiry(entry),
    }
}

/// The values that are text and not empty.
pub(super) fn texts(entry: &SearchEntry, name: &str) -> Vec<String> {
    let found = entry.attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    let values = found.into_iter().flat_map(|(_, values)| values);
    values.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
}

/// The first value. The library sorts attributes by whether their bytes happen to be text, so look at both places.
pub(super) fn first_value(entry: &SearchEntry, name: &str) -> Option<Vec<u8>> {
    let is_it = |key: &str| key.eq_ignore_ascii_case(name);
    let text = entry
        .attrs
        .iter()
        .find(|(key, _)| is_it(key))
        .and_then(|(_, v)| v.first())
        .map(|v| v.clone().into());
    let binary = || {
        entry
            .bin_attrs
            .iter()
            .find(|(key, _)| is_it(key))
            .and_then(|(_, v)| v.first())
            .cloned()
    };
    text.or_else(binary).filter(|value: &Vec<u8>| !value.is_empty())
}

fn number(entry: &SearchEntry, name: &str) -> Option<i64> {
    texts(entry, name).first()?.parse().ok()
}

fn is_disabled(entry: &SearchEntry, now: Timestamp) -> bool {
    let switched_off = number(entry, ACCOUNT_CONTROL).is_some_and(|flags| flags & DISABLED_FLAG != 0);
    let expired = number(entry, ACCOUNT_EXPIRES)
        .and_then(file_time)
        .is_some_and(|at| at <= now);
    let locked = texts(entry, LOCKED_TIME).iter().any(|at| at == LOCKED_FOR_EVER);
    switched_off || expired || locked
}

fn password_expiry(entry: &SearchEntry) -> PasswordExpiry {
    match number(entry, PASSWORD_EXPIRES) {
        None => PasswordExpiry::Unsaid,
        // 0: it must be changed now, which the bind itself says.
        Some(0) => PasswordExpiry::Unsaid,
        Some(ticks) => file_time(ticks).map_or(PasswordExpiry::Never, PasswordExpiry::At),
    }
}

/// A moment of Active Directory's; none for its two words for never (0 and the largest number).
fn file_time(ticks: i64) -> Option<Timestamp> {
    if ticks == 0 || ticks == i64::MAX {
        return None;
    }
    let micros = ticks.checked_sub(UNIX_EPOCH)? / 10;
    Timestamp::from_microsecond(micros).ok().map(truncate_to_millis)
}

/// An objectGUID as Windows writes it, text as it is; other bytes as a filter writes them, which is no text's own form.
fn external_id(name: &str, value: &[u8]) -> String {
    if is_guid(name)
        && let Ok(guid) = <[u8; 16]>::try_from(value)
    {
        return uuid::Uuid::from_bytes_le(guid).to_string();
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(|c| c.is_control() || c == '\\') => text.to_owned(),
        _ => escaped(value),
    }
}

fn is_guid(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("objectGUID")
}

/// What finds the entry of that id again (RFC 4515), whichever of the attributes it came from.
pub(super) fn id_filter(names: &AttributeConfig, id: &str) -> String {
    let value = if id.starts_with('\\') {
        id.to_owned()
    } else {
        escape::filter_value(id)
    };
    let mut filter = String::from("(|");
    for name in &names.id {
        let value = match uuid::Uuid::parse_str(id) {
            Ok(guid) if is_guid(name) => escaped(&guid.to_bytes_le()),
            _ => value.clone(),
        };
        // Writing into a String cannot fail.
        let _ = write!(filter, "({name}={value})");
    }
    filter.push(')');
    filter
}

/// Any bytes as a filter writes them (RFC 4515, 3).
pub(super) fn escaped(value: &[u8]) -> String {
    value
        .iter()
        .fold(String::with_capacity(value.len() * 3), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "\\{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const NOW: &str = "2026-03-01T10:00:00Z";

    fn entry(attrs: &[(&str, &[&str])], bin_attrs: &[(&str, &[u8])]) -> SearchEntry {
        let text = |(k, v): &(&str, &[&str])| ((*k).to_owned(), v.iter().map(ToString::to_string).collect());
        let bytes = |(k, v): &(&str, &[u8])| ((*k).to_owned(), vec![v.to_vec()]);
        SearchEntry {
            dn: "cn=x".to_owned(),
            attrs: attrs.iter().map(text).collect::<HashMap<_, _>>(),
            bin_attrs: bin_attrs.iter().map(bytes).collect(),
        }
    }

    fn read(entry: &SearchEntry) -> Person {
        from_entry(entry, &AttributeConfig::default(), NOW.parse().unwrap())
    }

    #[test]
    fn the_first_attribute_present_wins_in_any_case() {
        let entry = entry(
            &[
                ("USERPRINCIPALNAME", &["a@corp.example"]),
                ("mail", &["", " a@example.org ", "b@example.org"]),
                ("samaccountname", &["a"]),
            ],
            &[("sn", &[0xff]), ("jpegPhoto", &[0xff, 0xd8])],
        );
        let person = read(&entry);
        assert_eq!(person.attributes.email.as_deref(), Some("a@example.org"));
        assert_eq!(person.attributes.login.as_deref(), Some("a"));
        assert_eq!(person.attributes.last_name, None);
        assert_eq!(person.attributes.picture.as_deref(), Some(&[0xff, 0xd8][..]));
        assert_eq!(person.external_id, None);
    }

    #[test]
    fn every_login_is_kept_once_in_order() {
        let entry = entry(&[("uid", &["ann", "anna"]), ("sAMAccountName", &["ann", "ANN.X"])], &[]);
        assert_eq!(read(&entry).attributes.logins, ["ann", "anna", "ANN.X"]);
    }

    #[test]
    fn ids_are_text_whatever_they_are_made_of_and_find_their_entry_again() {
        let id = |entry: &SearchEntry| read(entry).external_id.unwrap();
        let names = AttributeConfig::default();
        let uuid = "6d1f2c60-0000-4000-8000-00000000000a";
        assert_eq!(id(&entry(&[("entryuuid", &[uuid])], &[])), uuid);
        let guid = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
        ];
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(id(&entry(&[], &[("objectGUID", &guid)])), text);
        assert_eq!(
            id_filter(&names, text),
            format!(
                "(|(entryUUID={text})(objectGUID={})(nsUniqueId={text}))",
                escaped(&guid)
            )
        );
        // Sixteen bytes that happen to be text.
        assert_eq!(
            id(&entry(&[("objectGUID", &["3\"\u{11}0UDwfABCDEFGH"])], &[])),
            "30112233-4455-6677-4142-434445464748"
        );
        let bytes = id(&entry(&[], &[("nsUniqueId", &[0xff, 0x01])]));
        assert_eq!(bytes, "\\ff\\01");
        assert!(id_filter(&names, &bytes).contains("(nsUniqueId=\\ff\\01)"));
        assert!(id_filter(&names, "a*(b").contains("(nsUniqueId=a\\2a\\28b)"));
        for id in [text, bytes.as_str(), "a*(b"] {
            assert!(ldap3::parse_filter(id_filter(&names, id)).is_ok(), "{id}");
        }
    }

    #[test]
    fn whom_the_directory_lets_nobody_in_as_is_disabled() {
        let disabled = |name: &str, value: &str| read(&entry(&[(name, &[value])], &[])).is_disabled;
        assert!(disabled("userAccountControl", "514"));
        assert!(!disabled("userAccountControl", "512"));
        assert!(disabled("accountExpires", "133000000000000000"), "in 2022");
        assert!(!disabled("accountExpires", "140000000000000000"), "in 2044");
        for never in ["0", "9223372036854775807"] {
            assert!(!disabled("accountExpires", never));
        }
        assert!(disabled("pwdAccountLockedTime", "000001010000Z"));
        assert!(!disabled("pwdAccountLockedTime", "20260301095900Z"), "for a while only");
    }

    #[test]
    fn passwords_end_when_the_directory_says_so() {
        let expiry = |value: &str| read(&entry(&[(PASSWORD_EXPIRES, &[value])], &[])).password_expiry;
        assert_eq!(
            expiry("134217728000000000"),
            PasswordExpiry::At("2026-04-27T14:13:20Z".parse().unwrap())
        );
        assert_eq!(expiry("9223372036854775807"), PasswordExpiry::Never);
        assert_eq!(expiry("0"), PasswordExpiry::Unsaid);
        assert_eq!(read(&entry(&[], &[])).password_expiry, PasswordExpiry::Unsaid);
    }
}
