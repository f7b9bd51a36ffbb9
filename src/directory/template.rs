//! The name to bind as, made from the login alone.

use super::escape;
use crate::config::LOGIN;

/// `user_dn`: the name to bind as, without a search.
#[derive(Debug)]
pub(super) enum Template {
    DistinguishedName(String),
    PrincipalName(String),
}

impl Template {
    pub fn new(text: &str) -> Self {
        if text.contains('=') {
            Self::DistinguishedName(text.to_owned())
        } else {
            Self::PrincipalName(text.to_owned())
        }
    }

    /// None: no such name can exist.
    pub fn render(&self, login: &str) -> Option<String> {
        match self {
            Self::DistinguishedName(text) => Some(text.replace(LOGIN, &escape::dn_value(login))),
            Self::PrincipalName(text) => escape::fits_principal_name(login).then(|| text.replace(LOGIN, login)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_never_leaves_its_place_in_a_dn() {
        let template = Template::new("uid={login},ou=people,dc=example,dc=org");
        let name = |login| template.render(login).unwrap();
        assert_eq!(name("member"), "uid=member,ou=people,dc=example,dc=org");
        assert_eq!(name("x,ou=admins"), "uid=x\\2cou\\3dadmins,ou=people,dc=example,dc=org");
        assert_eq!(name("{login}"), "uid={login},ou=people,dc=example,dc=org");
    }

    #[test]
    fn a_principal_name_takes_plain_logins_only() {
        for (text, expected) in [
            ("{login}@corp.example", "member@corp.example"),
            ("CORP\\{login}", "CORP\\member"),
        ] {
            let template = Template::new(text);
            assert_eq!(template.render("member").as_deref(), Some(expected));
            assert_eq!(template.render("admin@other.example"), None);
            assert_eq!(template.render("OTHER\\admin"), None);
        }
    }
}
