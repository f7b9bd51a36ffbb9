//! What the values of `[directories.NAME]` must mean together.

use secrecy::ExposeSecret;
use url::{Host, Url};

use super::super::limits::MAX_MIN_REFUSAL;
use super::{DN, DirectoryConfig, GroupSource, LOGIN};

impl DirectoryConfig {
    /// Checks what the values mean together. `name` is the directory's name, for the messages.
    ///
    /// # Errors
    /// One message for each thing that is wrong: it begins with the key and says what would be right.
    pub fn validate(&self, name: &str) -> Result<(), Vec<String>> {
        let mut faults = Faults {
            prefix: format!("directories.{name}"),
            messages: Vec::new(),
        };
        self.check_servers(&mut faults);
        self.check_service_account(&mut faults);
        self.check_people(&mut faults);
        self.check_durations(&mut faults);
        self.check_attributes(&mut faults);
        self.check_groups(&mut faults);
        self.check_mappings(&mut faults);
        if faults.messages.is_empty() {
            Ok(())
        } else {
            Err(faults.messages)
        }
    }

    fn check_servers(&self, faults: &mut Faults) {
        if self.servers.is_empty() {
            faults.add(
                "servers",
                "names no server; give at least one, such as \"ldaps://ldap.example.org\"",
            );
        }
        for (i, server) in self.servers.iter().enumerate() {
            if let Err(why) = self.check_server(server) {
                faults.add(&format!("servers[{i}]"), &format!("{server:?} {why}"));
            }
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            faults.add(
                "client_certificate",
                "and client_key belong together; give both or neither",
            );
        }
    }

    fn check_server(&self, server: &str) -> Result<(), String> {
        let url = Url::parse(server)
            .map_err(|e| format!("is not a URL ({e}); write it like \"ldaps://ldap.example.org:636\""))?;
        let encrypted = match url.scheme() {
            "ldaps" if self.start_tls => {
                return Err("is encrypted from the start, which start_tls = true contradicts; \
                            use ldap:// or take start_tls away"
                    .to_owned());
            }
            "ldaps" => true,
            "ldap" => self.start_tls,
            other => return Err(format!("has the scheme {other}; use ldaps:// or ldap://")),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err("names no host; write it like \"ldaps://ldap.example.org\"".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty() {
            return Err("says more than scheme, host and port; \
                        base, filter and bind_dn have keys of their own"
                .to_owned());
        }
        if encrypted && matches!(url.host(), Some(Host::Ipv6(_))) {
            return Err("is an IPv6 address, which cannot be checked against a certificate; \
                        use the host name of its certificate"
                .to_owned());
        }
        if !encrypted && !self.allow_plaintext {
            return Err("would send passwords in clear; use ldaps://, or start_tls = true, \
                        or allow_plaintext = true if that is really meant"
                .to_owned());
        }
        Ok(())
    }

    fn check_service_account(&self, faults: &mut Faults) {
        if self.bind_password.is_some() && self.bind_password_file.is_some() {
            faults.add(
                "bind_password",
                "is given twice; keep one of bind_password and bind_password_file",
            );
        }
        let has_password = self.bind_password.is_some() || self.bind_password_file.is_some();
        if self.bind_dn.is_some() && !has_password {
            faults.add(
                "bind_dn",
                "has no password, so it would be an unauthenticated bind (RFC 4513, 5.1.2); give bind_password_file",
            );
        }
        if self.bind_dn.is_none() && has_password {
            faults.add(
                "bind_dn",
                "is missing for the bind_password that is given; name the service account",
            );
        }
        if self
            .bind_password
            .as_ref()
            .is_some_and(|p| p.expose_secret().is_empty())
        {
            faults.add(
                "bind_password",
                "is empty; give the password of bind_dn, or take both keys away",
            );
        }
    }

    fn check_people(&self, faults: &mut Faults) {
        faults.bases("base", &self.base, "ou=people,dc=example,dc=org");
        if !self.filter.contains(LOGIN) {
            faults.add("filter", "does not contain {login}; write it like \"(uid={login})\"");
        }
        faults.filter("filter", &self.filter, &[LOGIN]);
        if self.filter.contains(":={login}") {
            faults.add(
                "filter",
                "compares {login} by an extensible match (:=), which cannot ask for everybody; \
                 write it like \"(uid={login})\"",
            );
        }
        if let Some(template) = &self.user_dn {
            if !template.contains(LOGIN) {
                faults.add(
                    "user_dn",
                    "does not contain {login}; write it like \"uid={login},ou=people,dc=example,dc=org\"",
                );
            } else if !template.contains(['=', '@', '\\']) {
                faults.add(
                    "user_dn",
                    "is neither a DN nor a user principal name; write it like \
                     \"uid={login},ou=people,dc=example,dc=org\", \"{login}@corp.example\" or \"CORP\\{login}\"",
                );
            }
            faults.placeholders("user_dn", template, &[LOGIN]);
        }
    }

    fn check_durations(&self, faults: &mut Faults) {
        for (key, value, example) in [("timeout", self.timeout, "3s"), ("recheck", self.recheck, "5m")] {
            if value.is_zero() {
                faults.add(key, &format!("is zero; give a time such as \"{example}\""));
            }
        }
        if self.min_refusal > MAX_MIN_REFUSAL {
            let most = MAX_MIN_REFUSAL.as_secs();
            faults.add("min_refusal", &format!("is too long; give at most \"{most}s\""));
        }
        if self.max_failures > 0 && self.failure_window.is_zero() {
            faults.add(
                "failure_window",
                "is zero; give a time such as \"30m\", or max_failures = 0 to turn it off",
            );
        }
    }

    fn check_attributes(&self, faults: &mut Faults) {
        let a = &self.attributes;
        let lists = [
            ("id", &a.id),
            ("login", &a.login),
            ("first_name", &a.first_name),
            ("last_name", &a.last_name),
            ("email", &a.email),
            ("phone", &a.phone),
            ("avatar", &a.avatar),
            ("language", &a.language),
        ];
        for (key, names) in lists {
            if names.is_empty() && matches!(key, "id" | "login") {
                faults.add(
                    &format!("attributes.{key}"),
                    "names no attribute; people are told apart by it",
                );
            }
            for (i, name) in names.iter().enumerate() {
                // RFC 4512, 1.4: a short name or a numeric OID, with options after semicolons.
                let is_name = !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';' | '_'));
                if !is_name {
                    faults.add(
                        &format!("attributes.{key}[{i}]"),
                        &format!("{name:?} is not the name of an attribute; write it like \"uid\""),
                    );
                }
            }
        }
    }

    fn check_groups(&self, faults: &mut Faults) {
        let filter = &self.groups.filter;
        faults.filter("groups.filter", filter, &[LOGIN, DN]);
        if self.groups.from == GroupSource::Search {
            faults.bases("groups.base", &self.groups.base, "ou=groups,dc=example,dc=org");
            if !filter.contains(LOGIN) && !filter.contains(DN) {
                faults.add(
                    "groups.filter",
                    "contains neither {dn} nor {login}; write it like \"(member={dn})\"",
                );
            }
        }
    }

    fn check_mappings(&self, faults: &mut Faults) {
        for (i, mapping) in self.mappings.iter().enumerate() {
            let key = format!("mappings[{i}]");
            if mapping.group != "*" && !mapping.group.contains('=') {
                faults.add(
                    &format!("{key}.group"),
                    &format!(
                        "{:?} is not a DN; write it like \"cn=admins,ou=groups,dc=example,dc=org\", or \"*\" for everybody",
                        mapping.group
                    ),
                );
            }
            if mapping.master && mapping.account.is_none() {
                faults.add(
                    &format!("{key}.account"),
                    "is empty; a mapping that grants master must name its account",
                );
            }
            if !mapping.master && mapping.roles.is_empty() && mapping.groups.is_empty() {
                faults.add(&key, "grants nothing; give roles, groups or master = true");
            }
        }
    }
}

/// Collects messages under the directory's key.
struct Faults {
    prefix: String,
    messages: Vec<String>,
}

impl Faults {
    fn add(&mut self, key: &str, what: &str) {
        self.messages.push(format!("{}.{key}: {what}", self.prefix));
    }

    fn bases(&mut self, key: &str, bases: &[String], example: &str) {
        if bases.is_empty() {
            self.add(
                key,
                &format!("names no place to search; give at least one DN, such as \"{example}\""),
            );
        }
        for (i, base) in bases.iter().enumerate().filter(|(_, base)| !base.contains('=')) {
            self.add(
                &format!("{key}[{i}]"),
                &format!("{base:?} is not a DN; write it like \"{example}\""),
            );
        }
    }

    fn filter(&mut self, key: &str, filter: &str, placeholders: &[&str]) {
        let sample = self.placeholders(key, filter, placeholders);
        if ldap3::parse_filter(&sample).is_err() {
            self.add(
                key,
                &format!("{filter:?} is not a filter (RFC 4515): look for a missing parenthesis or a lone backslash"),
            );
        }
    }

    /// Refuses braces that are not a known placeholder; gives the template with a sample value filled in.
    fn placeholders(&mut self, key: &str, template: &str, known: &[&str]) -> String {
        let sample = known
            .iter()
            .fold(template.to_owned(), |text, name| text.replace(name, "x"));
        if sample.contains(['{', '}']) {
            self.add(
                key,
                &format!("{template:?} has an unknown placeholder; known: {}", known.join(", ")),
            );
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use figment::Figment;
    use figment::providers::{Format, Toml};

    use super::super::Provision;
    use super::*;

    fn parse(toml: &str) -> DirectoryConfig {
        Figment::from(Toml::string(toml)).extract().unwrap()
    }

    /// A directory that is right, with `more` added; keys in `more` come first and win.
    fn config(more: &str) -> DirectoryConfig {
        let given = |key: &str| {
            more.lines()
                .take_while(|l| !l.starts_with('['))
                .any(|l| l.starts_with(key))
        };
        let mut text = String::new();
        for (key, line) in [
            ("servers", "servers = [\"ldaps://ldap.example.org\"]\n"),
            ("base", "base = [\"ou=people,dc=example,dc=org\"]\n"),
        ] {
            if !given(key) {
                text.push_str(line);
            }
        }
        parse(&(text + more))
    }

    fn faults(more: &str) -> Vec<String> {
        config(more).validate("corp").err().unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let c = config("");
        assert_eq!(c.validate("corp"), Ok(()));
        assert_eq!(c.filter, "(&(objectClass=inetOrgPerson)(uid={login}))");
        assert_eq!(c.timeout, Duration::from_secs(3));
        assert_eq!(c.recheck, Duration::from_secs(300));
        assert_eq!(c.outage_grace, Duration::from_secs(28_800));
        assert_eq!((c.max_failures, c.failure_window), (3, Duration::from_secs(1800)));
        assert_eq!(c.min_refusal, Duration::from_millis(250));
        assert_eq!(c.provision, Provision::Existing);
        assert!(c.nested_groups && !c.start_tls && !c.allow_plaintext);
        assert_eq!(c.attributes.email, ["mail", "userPrincipalName"]);
        assert_eq!(c.groups.from, GroupSource::MemberOf);
    }

    #[test]
    fn every_key_of_the_contract_is_read() {
        let c = config(
            r#"
start_tls = true
servers = ["ldap://ldap.example.org"]
ca_file = "ca.pem"
client_certificate = "me.pem"
client_key = "me.key"
bind_dn = "cn=reader,dc=example,dc=org"
bind_password = "letmein"
user_dn = "uid={login},ou=people,dc=example,dc=org"
timeout = "1500ms"
provision = "just_in_time"
nested_groups = false
[attributes]
id = ["entryUUID"]
[groups]
from = "search"
base = ["ou=groups,dc=example,dc=org"]
[[mappings]]
group = "cn=admins,ou=groups,dc=example,dc=org"
account = "acme"
roles = ["Support"]
groups = ["EMEA"]
master = true
"#,
        );
        assert_eq!(c.validate("corp"), Ok(()));
        assert_eq!(c.timeout, Duration::from_millis(1500));
        assert_eq!(c.provision, Provision::JustInTime);
        assert_eq!((c.attributes.id.len(), c.attributes.login.len()), (1, 2));
        assert_eq!(c.mappings[0].account.as_deref(), Some("acme"));
        assert!(!format!("{c:?}").contains("letmein"));
    }

    #[test]
    fn an_empty_text_is_an_absent_key() {
        let c = config("ca_file = \"\"\nbind_dn = \"\"\nbind_password_file = \"\"\nuser_dn = \"\"\n");
        assert!(c.ca_file.is_none() && c.bind_dn.is_none() && c.bind_password_file.is_none() && c.user_dn.is_none());
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let text = "servers = []\nbase = []\nbinddn = \"x\"\n";
        let error = Figment::from(Toml::string(text))
            .extract::<DirectoryConfig>()
            .unwrap_err();
        assert!(error.to_string().contains("binddn"), "{error}");
    }

    #[test]
    fn every_fault_names_its_key() {
        let cases = [
            ("servers = []\n", "directories.corp.servers: "),
            (
                "servers = [\"ldaps://a.test\", \"ldap://b.test\"]\n",
                "directories.corp.servers[1]: ",
            ),
            ("servers = [\"https://a.test\"]\n", "use ldaps:// or ldap://"),
            ("servers = [\"a.test\"]\n", "is not a URL"),
            ("servers = [\"ldaps://\"]\n", "names no host"),
            ("servers = [\"ldaps://a.test/dc=example\"]\n", "says more than"),
            ("servers = [\"ldaps://[::1]\"]\n", "IPv6"),
            ("start_tls = true\n", "contradicts"),
            ("client_key = \"k.pem\"\n", "directories.corp.client_certificate: "),
            ("bind_dn = \"cn=r\"\n", "directories.corp.bind_dn: has no password"),
            ("bind_password = \"x\"\n", "directories.corp.bind_dn: is missing"),
            (
                "bind_dn = \"cn=r\"\nbind_password = \"\"\n",
                "directories.corp.bind_password: is empty",
            ),
            (
                "bind_dn = \"cn=r\"\nbind_password = \"x\"\nbind_password_file = \"f\"\n",
                "is given twice",
            ),
            ("base = []\n", "directories.corp.base: "),
            ("base = [\"people\"]\n", "directories.corp.base[0]: "),
            ("filter = \"(uid=*)\"\n", "does not contain {login}"),
            ("filter = \"(uid:caseExactMatch:={login})\"\n", "by an extensible match"),
            ("filter = \"(uid={login}\"\n", "is not a filter"),
            ("filter = \"(&(uid={login})(cn={name}))\"\n", "unknown placeholder"),
            (
                "user_dn = \"uid=x,dc=example\"\n",
                "directories.corp.user_dn: does not contain",
            ),
            ("user_dn = \"{login}\"\n", "neither a DN nor"),
            ("timeout = \"0s\"\n", "directories.corp.timeout: "),
            ("recheck = \"0s\"\n", "directories.corp.recheck: "),
            ("failure_window = \"0s\"\n", "directories.corp.failure_window: "),
            ("min_refusal = \"11s\"\n", "directories.corp.min_refusal: "),
            ("[attributes]\nid = []\n", "directories.corp.attributes.id: "),
            (
                "[attributes]\nemail = [\"mail address\"]\n",
                "directories.corp.attributes.email[0]: ",
            ),
            ("[groups]\nfrom = \"search\"\n", "directories.corp.groups.base: "),
            (
                "[groups]\nfilter = \"(member={dn}\"\n",
                "directories.corp.groups.filter: ",
            ),
            (
                "[[mappings]]\ngroup = \"admins\"\nroles = [\"A\"]\n",
                "directories.corp.mappings[0].group: ",
            ),
            (
                "[[mappings]]\ngroup = \"*\"\nmaster = true\n",
                "directories.corp.mappings[0].account: ",
            ),
            (
                "[[mappings]]\ngroup = \"*\"\n",
                "directories.corp.mappings[0]: grants nothing",
            ),
        ];
        for (text, expected) in cases {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(
                found[0].starts_with("directories.corp.") && found[0].contains(expected),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn plain_ldap_needs_to_be_asked_for() {
        assert!(faults("servers = [\"ldap://a.test\"]\n")[0].contains("in clear"));
        assert!(faults("servers = [\"ldap://a.test\"]\nallow_plaintext = true\n").is_empty());
        assert!(faults("servers = [\"ldap://a.test:1389/\"]\nstart_tls = true\n").is_empty());
        assert!(faults("user_dn = \"CORP\\\\{login}\"\n").is_empty());
    }

    #[test]
    fn the_password_file_loses_its_line_break_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let mut c = config("");
        c.bind_password_file = Some(path.clone());
        let missing = c.read_bind_password("corp").unwrap_err();
        assert!(missing.starts_with("directories.corp.bind_password_file: ") && missing.contains("password"));
        std::fs::write(&path, " secret \r\n").unwrap();
        assert_eq!(
            c.read_bind_password("corp").unwrap().unwrap().expose_secret(),
            " secret "
        );
        std::fs::write(&path, "\n").unwrap();
        assert!(c.read_bind_password("corp").unwrap_err().contains("is empty"));
    }
}
