//! Hashes of other systems, as they made them.

use super::*;

const PASSWORD: &str = "plaited harbour 94 velvet";

fn hashes() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../../../tests/foreign-hashes.txt").lines();
    lines.filter(|line| !line.starts_with('#'))
}

#[test]
fn each_form_knows_its_password_and_no_other() {
    assert!(hashes().count() > 20);
    for text in hashes() {
        let taken = take_over(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let hash = Foreign::parse(taken.expose()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(hash.verify(PASSWORD.as_bytes()), "{text}");
        assert!(!hash.verify(b"plaited harbour 94 velveu"), "{text}");
        assert!(!hash.verify(b""), "{text}");
    }
}

#[test]
fn argon2_is_taken_however_it_is_wrapped() {
    let hash = "$argon2id$v=19$m=64,t=1,p=1$c2FtcGxlc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    for text in [
        hash.to_owned(),
        format!("argon2{hash}"),
        format!("{{ARGON2}}{hash}"),
        format!(" {hash}\n"),
    ] {
        assert_eq!(take_over(&text).unwrap().expose(), hash, "{text}");
    }
}

#[test]
fn every_truncation_is_refused_or_no_password_and_nothing_panics() {
    for text in hashes() {
        for end in 0..text.len() {
            if let Ok(taken) = take_over(&text[..end]) {
                let same = Foreign::parse(taken.expose()).is_ok_and(|hash| hash.verify(PASSWORD.as_bytes()));
                // Padding and unused bits may go; what is compared may not.
                let may = text.len() - end <= 2 || text.starts_with("$scrypt$") || text.starts_with("scrypt");
                assert!(!same || may, "{text} at {end}");
            }
        }
    }
}

#[test]
fn what_is_unknown_malformed_or_too_costly_is_refused_with_a_reason() {
    let bcrypt = "$2b$16$abcdefghijklmnopqrstuujLHvNJUOAXbtIEjhYr.VFPEVn5Mhexi";
    for (text, why) in [
        ("", "unknown kind"),
        ("secret", "unknown kind"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "unknown kind"),
        ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "unknown kind"),
        ("$6$salt$hash", "unknown kind"),
        ("{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "with its salt behind it"),
        ("{SSHA}!!", "with its salt behind it"),
        (bcrypt, "cost 16"),
        ("$2b$05$short", "60 characters"),
        (
            "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
            "too costly",
        ),
        (
            "$scrypt$ln=63,r=4294967295,p=4294967295$c2FsdHNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
            "too costly",
        ),
        (
            "$scrypt$ln=64,r=1,p=1$c2FsdHNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
            "too costly",
        ),
        ("scrypt:1000:8:1$salt$00112233445566778899aabbccddeeff", "scrypt:N:R:P"),
        (
            "pbkdf2_sha256$4000001$salt$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
            "iterations",
        ),
        (
            "pbkdf2_sha256$0$salt$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
            "iterations",
        ),
        (
            "pbkdf2_md5$1000$salt$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
            "should be pbkdf2_sha256",
        ),
        ("pbkdf2_sha256$1000$salt$MTIz", "should be pbkdf2_sha256"),
        (
            "$argon2id$v=19$m=1048576,t=2,p=1$c2FtcGxlc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
            "too costly",
        ),
        (
            "$argon2id$v=19$m=65536,t=4000,p=1$c2FtcGxlc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
            "too costly",
        ),
        ("$argon2id$v=19$m=64,t=1,p=1$c2FtcGxlc2FsdA", "no readable argon2"),
    ] {
        let error = take_over(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
        assert!(text.len() < 8 || !error.contains(text), "the hash is not told: {error}");
    }
    assert!(take_over(&"x".repeat(2_000)).unwrap_err().to_string().contains("1024"));
}
