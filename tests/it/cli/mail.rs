//! `doorward mail preview`, and the templates' step of `doorward check`.

use std::fs;

use crate::support::process::Doorward;

#[test]
fn a_preview_shows_a_message_in_each_form() {
    let doorward = Doorward::new();
    let text = doorward
        .run(&["mail", "preview", "password_changed", "--language", "ru"])
        .succeeds();
    assert!(
        text.starts_with("From: Doorward <no-reply@example.org>\nTo: Анна Белова <anna.belova@example.org>\n"),
        "{text}"
    );
    assert!(text.contains("\nSubject: Ваш пароль для Doorward изменён\n"), "{text}");
    assert!(text.contains("\nAuto-Submitted: auto-generated\n"), "{text}");
    assert!(text.contains("\n\nЗдравствуйте, Анна!\n"), "{text}");

    let html = doorward.run(&["mail", "preview", "report_weekly", "--html"]).succeeds();
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.contains("src=\"data:image/png;base64,"),
        "{html}"
    );
    assert!(!html.contains("cid:"), "{html}");

    doorward
        .run(&["mail", "preview", "access", "--eml", "--out", "access.eml"])
        .succeeds();
    let eml = fs::read_to_string(doorward.folder().join("access.eml")).unwrap();
    assert!(
        eml.contains("\r\nMIME-Version: 1.0\r\n") && eml.contains("@127.0.0.1>\r\n"),
        "{eml}"
    );
    assert!(
        !doorward.folder().join("doorward-data").exists(),
        "a preview makes no store"
    );
}

#[test]
fn a_name_that_does_not_exist_lists_those_that_do() {
    let doorward = Doorward::new();
    let wrong = doorward.run(&["mail", "preview", "acess"]).fails(2);
    assert!(
        wrong.contains("did you mean access?") && wrong.contains("report_daily, report_weekly"),
        "{wrong}"
    );
    doorward.run(&["mail", "preview", "access", "--html", "--eml"]).fails(2);
}

#[test]
fn templates_of_ones_own_are_used_and_checked() {
    let doorward = Doorward::new();
    let folder = doorward.folder().join("own");
    fs::create_dir(&folder).unwrap();
    fs::write(doorward.folder().join("doorward.toml"), "[mail]\ntemplates = \"own\"\n").unwrap();
    fs::write(folder.join("branding.toml"), "product = \"Gate\"\n").unwrap();
    fs::write(folder.join("alert.en.txt"), "Subject: Hey: {{ title }}\n\n{{ body }}\n").unwrap();
    let text = doorward.run(&["mail", "preview", "alert"]).succeeds();
    assert!(
        text.contains("\nSubject: Hey: Daily limit") && text.contains("\n-- \nGate\n"),
        "{text}"
    );
    let checked = doorward.run(&["check"]).succeeds();
    assert!(checked.contains("mail: templates: 1 of the folder's"), "{checked}");

    fs::write(folder.join("alert.en.txt"), "Subject: x\n\n{{ bodi }}\n").unwrap();
    let outcome = doorward.run(&["check"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stdout
            .contains("own/alert.en.txt:3: a name in it is not known here"),
        "{}",
        outcome.stdout
    );
    let wrong = doorward.run(&["mail", "preview", "alert"]).fails(1);
    assert!(wrong.contains("alert.en.txt:3"), "{wrong}");
}
