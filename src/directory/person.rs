//! From an entry to a person.

use std::fmt::Write;

use jiff::Timestamp;
use ldap3::SearchEntry;

use crate::config::AttributeConfig;

/// Somebody who is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name of the entry, as the server writes it.
    pub dn: String,
    /// The directory's own id of the entry: stays when the person is renamed. None: the entry has no such attribute.
    pub external_id: Option<String>,
    /// What the entry says.
    pub attributes: PersonAttributes,
    /// DNs of the person's groups.
    pub groups: Vec<String>,
    /// When the password ends, where the directory warned of it at the bind.
    pub password_expires_at: Option<Timestamp>,
}

/// What a person's entry says, by the configured attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonAttributes {
    /// The login.
    pub login: Option<String>,
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
}

/// The attributes to ask the server for. Operational ones (`entryUUID`, `memberOf`) come only when they are named.
pub(super) fn wanted(names: &AttributeConfig, with_member_of: bool) -> Vec<String> {
    let lists = [
        &names.id,
        &names.login,
        &names.first_name,
        &names.last_name,
        &names.email,
        &names.phone,
        &names.language,
    ];
    let member_of = with_member_of.then(|| MEMBER_OF.to_owned());
    lists.into_iter().flatten().cloned().chain(member_of).collect()
}

const MEMBER_OF: &str = "memberOf";

/// Reads an entry; `groups` are those that were searched for, if they were.
pub(super) fn from_entry(entry: &SearchEntry, names: &AttributeConfig, groups: Option<Vec<String>>) -> Person {
    let first_text = |names: &[String]| names.iter().find_map(|name| texts(entry, name).into_iter().next());
    Person {
        dn: entry.dn.clone(),
        external_id: names
            .id
            .iter()
            .find_map(|name| Some(external_id(name, &first_value(entry, name)?))),
        attributes: PersonAttributes {
            login: first_text(&names.login),
            first_name: first_text(&names.first_name),
            last_name: first_text(&names.last_name),
            email: first_text(&names.email),
            phone: first_text(&names.phone),
            language: first_text(&names.language),
        },
        groups: groups.unwrap_or_else(|| texts(entry, MEMBER_OF)),
        password_expires_at: None,
    }
}

/// The values that are text and not empty.
fn texts(entry: &SearchEntry, name: &str) -> Vec<String> {
    let found = entry.attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    let values = found.into_iter().flat_map(|(_, values)| values);
    values.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
}

/// The first value. The library sorts attributes by whether their bytes happen to be text, so look at both places.
fn first_value(entry: &SearchEntry, name: &str) -> Option<Vec<u8>> {
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

/// An objectGUID as Windows writes it, text as it is, other bytes in hexadecimal.
fn external_id(name: &str, value: &[u8]) -> String {
    if name.eq_ignore_ascii_case("objectGUID")
        && let Ok(guid) = <[u8; 16]>::try_from(value)
    {
        return uuid::Uuid::from_bytes_le(guid).to_string();
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => value
            .iter()
            .fold(String::with_capacity(value.len() * 2), |mut hex, byte| {
                // Writing into a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn entry(attrs: &[(&str, &[&str])], bin_attrs: &[(&str, &[u8])]) -> SearchEntry {
        let text = |(k, v): &(&str, &[&str])| ((*k).to_owned(), v.iter().map(ToString::to_string).collect());
        let bytes = |(k, v): &(&str, &[u8])| ((*k).to_owned(), vec![v.to_vec()]);
        SearchEntry {
            dn: "cn=x".to_owned(),
            attrs: attrs.iter().map(text).collect::<HashMap<_, _>>(),
            bin_attrs: bin_attrs.iter().map(bytes).collect(),
        }
    }

    #[test]
    fn the_first_attribute_present_wins_in_any_case() {
        let names = AttributeConfig::default();
        let entry = entry(
            &[
                ("USERPRINCIPALNAME", &["a@corp.example"]),
                ("mail", &["", " a@example.org ", "b@example.org"]),
                ("MemberOf", &["cn=g1", "cn=g2"]),
                ("samaccountname", &["a"]),
            ],
            &[("sn", &[0xff])],
        );
        let person = from_entry(&entry, &names, None);
        assert_eq!(person.attributes.email.as_deref(), Some("a@example.org"));
        assert_eq!(person.attributes.login.as_deref(), Some("a"));
        assert_eq!(person.attributes.last_name, None);
        assert_eq!(person.groups, ["cn=g1", "cn=g2"]);
        assert_eq!(person.external_id, None);
        assert_eq!(
            from_entry(&entry, &names, Some(vec!["cn=g3".to_owned()])).groups,
            ["cn=g3"]
        );
    }

    #[test]
    fn ids_are_text_whatever_they_are_made_of() {
        let names = AttributeConfig::default();
        let id = |entry: &SearchEntry| from_entry(entry, &names, None).external_id.unwrap();
        let uuid = "6d1f2c60-0000-4000-8000-00000000000a";
        assert_eq!(id(&entry(&[("entryuuid", &[uuid])], &[])), uuid);
        let guid = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
        ];
        assert_eq!(
            id(&entry(&[], &[("objectGUID", &guid)])),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        // Sixteen bytes that happen to be text.
        assert_eq!(
            id(&entry(&[("objectGUID", &["3\"\u{11}0UDwfABCDEFGH"])], &[])),
            "30112233-4455-6677-4142-434445464748"
        );
        assert_eq!(id(&entry(&[], &[("nsUniqueId", &[0xff, 0x01])])), "ff01");
    }
}
