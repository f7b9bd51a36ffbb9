//! What a server's answer to the bind as the person means.
//!
//! The reason is hidden in different places: Active Directory writes `data XXX` into the text of result 49, servers
//! with password policies answer a control (draft-behera-ldap-password-policy), some use result codes of their own.

use std::time::Duration;

use ldap3::LdapResult;
use ldap3::controls::RawControl;

use super::Refusal;
use super::error::code;

/// The password policy control, request and response.
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What a server says besides yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Accepted {
    /// The password ends in this time.
    pub expires_in: Option<Duration>,
    /// It has ended, and lets the person in this often still.
    pub grace_left: Option<u64>,
}

/// What the answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The password is right.
    Accepted(Accepted),
    /// The directory says no; the code it says it with goes into the history.
    Refused { reason: Refusal, detail: String },
    /// The answer says nothing about the person.
    NoAnswer,
}

/// Asks the server to say more than yes or no. Servers that do not know the control ignore it.
pub(super) fn password_policy_request() -> RawControl {
    RawControl {
        ctype: PASSWORD_POLICY.to_owned(),
        crit: false,
        val: None,
    }
}

/// Judges the answer to a bind as the person that carried [`password_policy_request`].
pub(super) fn judge(result: &LdapResult) -> Verdict {
    let policy = PasswordPolicy::of(result);
    let refused = |reason, detail: String| Verdict::Refused { reason, detail };
    match result.rc {
        // The password is right, and the server lets the person do nothing but change it.
        code::SUCCESS if policy.error == Some(PolicyError::ChangeAfterReset) => refused(
            Refusal::PasswordMustChange,
            "result 0, policy: must be changed".to_owned(),
        ),
        code::SUCCESS => Verdict::Accepted(policy.accepted),
        code::INVALID_CREDENTIALS => {
            let (reason, why) = why_invalid(&result.text, policy.error);
            refused(reason, format!("result 49{why}"))
        }
        code::CONSTRAINT_VIOLATION => refused(Refusal::Locked, "result 19".to_owned()),
        rc @ (code::NO_SUCH_OBJECT | code::INVALID_DN_SYNTAX) => refused(Refusal::UnknownUser, format!("result {rc}")),
        rc @ (code::INAPPROPRIATE_AUTHENTICATION | code::INSUFFICIENT_ACCESS_RIGHTS | code::UNWILLING_TO_PERFORM) => {
            refused(Refusal::NotAllowed, format!("result {rc}"))
        }
        _ => Verdict::NoAnswer,
    }
}

fn why_invalid(text: &str, policy: Option<PolicyError>) -> (Refusal, String) {
    if let Some(sub_code) = active_directory_code(text) {
        let reason = match sub_code.as_str() {
            "525" => Refusal::UnknownUser,
            "530" | "531" => Refusal::NotAllowed,
            "532" => Refusal::PasswordExpired,
            "533" | "701" => Refusal::Disabled,
            "773" => Refusal::PasswordMustChange,
            "775" => Refusal::Locked,
            // 52e, and what is not known to mean anything better.
            _ => Refusal::WrongPassword,
        };
        return (reason, format!(", data {sub_code}"));
    }
    match policy {
        Some(PolicyError::PasswordExpired) => (Refusal::PasswordExpired, ", policy: password expired".to_owned()),
        Some(PolicyError::AccountLocked) => (Refusal::Locked, ", policy: account locked".to_owned()),
        Some(PolicyError::ChangeAfterReset) => (Refusal::PasswordMustChange, ", policy: must be changed".to_owned()),
        None => (Refusal::WrongPassword, String::new()),
    }
}

/// `data XXX` of `80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 52e, v4563`, in small
/// letters.
fn active_directory_code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(", data ")?;
    let sub_code: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (!sub_code.is_empty() && sub_code.len() <= 8).then(|| sub_code.to_ascii_lowercase())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PolicyError {
    PasswordExpired,
    AccountLocked,
    ChangeAfterReset,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct PasswordPolicy {
    accepted: Accepted,
    error: Option<PolicyError>,
}

impl PasswordPolicy {
    /// What the server's control says; nothing when there is none or it cannot be read.
    fn of(result: &LdapResult) -> Self {
        let value = result
            .ctrls
            .iter()
            .find(|c| c.1.ctype == PASSWORD_POLICY)
            .and_then(|c| c.1.val.as_deref());
        value.and_then(Self::parse).unwrap_or_default()
    }

    /// `SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] } OPTIONAL,
    /// error [1] ENUMERATED OPTIONAL }`
    fn parse(value: &[u8]) -> Option<Self> {
        let mut policy = Self::default();
        let (0x30, mut fields, _) = element(value)? else {
            return None;
        };
        while !fields.is_empty() {
            let (tag, content, rest) = element(fields)?;
            match tag {
                0xa0 => {
                    let (warning, number, _) = element(content)?;
                    match warning {
                        0x80 => policy.accepted.expires_in = Some(Duration::from_secs(unsigned(number)?)),
                        0x81 => policy.accepted.grace_left = Some(unsigned(number)?),
                        _ => {}
                    }
                }
                0x81 => {
                    policy.error = match unsigned(content)? {
                        0 => Some(PolicyError::PasswordExpired),
                        1 => Some(PolicyError::AccountLocked),
                        2 => Some(PolicyError::ChangeAfterReset),
                        // 3 to 8 are about changing a password.
                        _ => None,
                    };
                }
                _ => {}
            }
            fields = rest;
        }
        Some(policy)
    }
}

/// Splits one BER element with a one-byte tag and a short length (this control needs no others) off the front:
/// tag, content, rest.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if length >= 0x80 {
        return None;
    }
    let (content, rest) = rest.split_at_checked(usize::from(length))?;
    Some((tag, content, rest))
}

fn unsigned(content: &[u8]) -> Option<u64> {
    let is_negative = content.first()? & 0x80 != 0;
    (!is_negative && content.len() <= 8).then(|| content.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use ldap3::controls::Control;

    use super::*;

    fn answer(rc: u32, text: &str, policy: Option<&[u8]>) -> LdapResult {
        let control = |val: &[u8]| {
            Control(
                None,
                RawControl {
                    ctype: PASSWORD_POLICY.to_owned(),
                    crit: false,
                    val: Some(val.to_vec()),
                },
            )
        };
        LdapResult {
            rc,
            matched: String::new(),
            text: text.to_owned(),
            refs: Vec::new(),
            ctrls: policy.map(control).into_iter().collect(),
        }
    }

    fn reason(rc: u32, text: &str, policy: Option<&[u8]>) -> Option<Refusal> {
        match judge(&answer(rc, text, policy)) {
            Verdict::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn active_directory_says_why() {
        let cases = [
            ("525", Refusal::UnknownUser),
            ("52e", Refusal::WrongPassword),
            ("530", Refusal::NotAllowed),
            ("531", Refusal::NotAllowed),
            ("532", Refusal::PasswordExpired),
            ("533", Refusal::Disabled),
            ("701", Refusal::Disabled),
            ("773", Refusal::PasswordMustChange),
            ("775", Refusal::Locked),
            ("999", Refusal::WrongPassword),
        ];
        for (sub_code, expected) in cases {
            for sub_code in [sub_code.to_owned(), sub_code.to_uppercase()] {
                let text = format!(
                    "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {sub_code}, v4563\0"
                );
                assert_eq!(reason(49, &text, None), Some(expected), "{sub_code}");
            }
        }
        let detail = judge(&answer(49, "comment: AcceptSecurityContext error, data 52E, v1", None));
        let expected = "result 49, data 52e".to_owned();
        assert_eq!(
            detail,
            Verdict::Refused {
                reason: Refusal::WrongPassword,
                detail: expected
            }
        );
    }

    #[test]
    fn codes() {
        let cases = [
            (49, Some(Refusal::WrongPassword)),
            (19, Some(Refusal::Locked)),
            (32, Some(Refusal::UnknownUser)),
            (34, Some(Refusal::UnknownUser)),
            (48, Some(Refusal::NotAllowed)),
            (50, Some(Refusal::NotAllowed)),
            (53, Some(Refusal::NotAllowed)),
        ];
        for (rc, expected) in cases {
            assert_eq!(reason(rc, "", None), expected, "{rc}");
        }
        for rc in [1, 2, 3, 7, 8, 10, 13, 51, 52, 80] {
            assert_eq!(judge(&answer(rc, "", None)), Verdict::NoAnswer, "{rc}");
        }
        assert_eq!(judge(&answer(0, "", None)), Verdict::Accepted(Accepted::default()));
        assert_eq!(reason(49, "something, data ", None), Some(Refusal::WrongPassword));
    }

    #[test]
    fn the_password_policy_says_why() {
        let (expired, locked, reset) = ([0x30, 3, 0x81, 1, 0], [0x30, 3, 0x81, 1, 1], [0x30, 3, 0x81, 1, 2]);
        assert_eq!(reason(49, "", Some(&expired)), Some(Refusal::PasswordExpired));
        assert_eq!(reason(49, "", Some(&locked)), Some(Refusal::Locked));
        assert_eq!(reason(49, "", Some(&reset)), Some(Refusal::PasswordMustChange));
        assert_eq!(reason(0, "", Some(&reset)), Some(Refusal::PasswordMustChange));
        assert_eq!(reason(49, "", Some(&[0x30, 0])), Some(Refusal::WrongPassword));
        let an_hour = [0x30, 6, 0xa0, 4, 0x80, 2, 0x0e, 0x10];
        let accepted = |value: &[u8]| match judge(&answer(0, "", Some(value))) {
            Verdict::Accepted(accepted) => (accepted.expires_in, accepted.grace_left),
            other => panic!("{other:?}"),
        };
        assert_eq!(accepted(&an_hour), (Some(Duration::from_secs(3600)), None));
        let two_grace_logins = [0x30, 5, 0xa0, 3, 0x81, 1, 2];
        assert_eq!(accepted(&two_grace_logins), (None, Some(2)));
    }

    #[test]
    fn a_broken_control_is_as_good_as_none() {
        let broken: [&[u8]; 6] = [
            &[],
            &[0x30],
            &[0x30, 9, 0x81],
            &[0x31, 0],
            &[0x30, 0x84, 0, 0, 0, 0],
            &[0x30, 2, 0x81, 0],
        ];
        for value in broken {
            assert_eq!(
                judge(&answer(0, "", Some(value))),
                Verdict::Accepted(Accepted::default()),
                "{value:?}"
            );
            assert_eq!(reason(49, "", Some(value)), Some(Refusal::WrongPassword), "{value:?}");
        }
    }
}
