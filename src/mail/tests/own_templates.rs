//! Templates and branding of an operator's own.

use super::*;

fn sample(name: &str, language: Language) -> Sample {
    samples::sample(name, language).unwrap()
}

#[test]
fn one_template_takes_the_place_of_a_built_in_one_and_the_rest_stays() {
    let folder = Folder::with(&[
        (
            "locked_out.ru.txt",
            "Subject: Замок: {{ reader.login }}\n\nЗакрыто на {{ duration }}.\n{% include \"origin.ru.txt\" %}\n",
        ),
        ("notes.md", "not a template"),
    ]);
    let templates = folder.load().unwrap();
    assert_eq!(templates.own(), 1);
    let own = queued(&templates, sample("locked_out", Language::Ru));
    let parts = rendered(&templates, &own);
    assert_eq!(parts.subject, "Замок: anna@acme");
    assert!(
        parts
            .text
            .starts_with("Закрыто на 15 минут.\n  IP-адрес: 203.0.113.7\n"),
        "{}",
        parts.text
    );
    assert_eq!(
        parts.html,
        rendered(built_in(), &queued(built_in(), sample("locked_out", Language::Ru)))
            .html
            .replace("Слишком много неверных паролей для anna@acme", "Замок: anna@acme")
    );
    let other = queued(&templates, sample("locked_out", Language::En));
    assert_eq!(rendered(&templates, &other), rendered(built_in(), &other));
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_line() {
    for (name, text, error) in [
        (
            "alert.en.txt",
            "Subject: {{ title }}\n\n{{ titel }}\n",
            "alert.en.txt:3: a name in it is not known here",
        ),
        (
            "alert.en.txt",
            "Subject: {{ titel }}\n\nx\n",
            "alert.en.txt:1: a name in it is not known here",
        ),
        ("alert.en.html", "<p>\n{% if title %}\n</p>\n", "alert.en.html:"),
        (
            "report.ru.html",
            "<p>{{ number(new_users) }} {{ plural(new_users, \"user\", \"users\") }}</p>",
            "report.ru.html:1: invalid operation: plural takes a number and 3 forms of a noun in this language",
        ),
        (
            "access.en.txt",
            "Hello\n",
            "access.en.txt:1: the first line should be \"Subject: …\"",
        ),
        ("access.en.html", "{% include \"nothing.html\" %}", "access.en.html:1: "),
        (
            "origin.en.txt",
            "\n{{ origin.pi }}\n",
            "origin.en.txt:2: a name in it is not known here",
        ),
        (
            "acess.en.txt",
            "Subject: x\n\nx\n",
            "acess.en.txt: no template has this name; did you mean access.en.txt?",
        ),
        (
            "brandin.toml",
            "",
            "brandin.toml: no template has this name; did you mean branding.toml?",
        ),
    ] {
        let found = Folder::with(&[(name, text)]).error();
        assert!(found.starts_with(error), "{found}");
    }
    let folder = Folder::with(&[]);
    folder.write("alert.en.txt", b"Subject: \xff\n");
    assert!(
        folder.error().starts_with("cannot read alert.en.txt: "),
        "{}",
        folder.error()
    );
    let error = Templates::load(Some(Path::new("/no/such/folder"))).unwrap_err();
    assert!(error.to_string().contains("mail.templates"), "{error}");
}

#[test]
fn branding_is_in_every_message() {
    let folder = Folder::with(&[(
        "branding.toml",
        "product = \"Gate & Co\"\ncolour = \"#FFE08A\"\nsupport = \"help@example.org\"\nlogo = \"logo.png\"\n\
         [footer]\nen = \"Gate & Co, 1 Example Street\\nSecond line\"\n",
    )]);
    let logo = folder.write("logo.png", &png());
    let templates = folder.load().unwrap();
    for language in LANGUAGES {
        for sample in samples(language) {
            let sample = queued(&templates, sample);
            let parts = rendered(&templates, &sample);
            assert!(
                parts.text.contains("\n-- \nGate & Co\nhelp@example.org\n"),
                "{}",
                parts.text
            );
            assert!(
                parts.html.contains("href=\"mailto:help@example.org\""),
                "{}",
                parts.html
            );
            assert!(
                !parts.html.contains("Doorward") && !parts.text.contains("Doorward"),
                "{}",
                parts.html
            );
            let image = &parts.images[0];
            assert_eq!(image.bytes, fs::read(&logo).unwrap());
            assert!(
                parts
                    .html
                    .contains(&format!("<img src=\"cid:{}\" alt=\"Gate &amp; Co\"", image.cid))
            );
            if language == Language::En {
                assert!(
                    parts.text.ends_with("\nGate & Co, 1 Example Street\nSecond line\n"),
                    "{}",
                    parts.text
                );
                assert!(parts.html.contains("Gate &amp; Co, 1 Example Street<br>\nSecond line"));
            } else {
                assert!(parts.text.contains("отправлено автоматически"), "{}", parts.text);
            }
            if sample.link.is_some() {
                // White on that yellow could not be read.
                assert!(parts.html.contains("color: #000000;\">"), "{}", parts.html);
            }
        }
    }
}

#[test]
fn what_is_wrong_with_the_branding_is_told_with_its_line() {
    for (text, error) in [
        (
            "product = \"x\"\ncolor = \"#fff\"\n",
            "branding.toml:2: color is not a key; did you mean colour?",
        ),
        (
            "[footer]\nde = \"x\"\n",
            "branding.toml:2: footer.de is not a key; did you mean footer.",
        ),
        ("footer = \"x\"\n", "branding.toml:1: footer should be a table"),
        ("colour = \"red\"\n", "branding.toml:1: colour should be like"),
        ("colour = \"#+1+1+1\"\n", "branding.toml:1: colour should be like"),
        ("\nproduct = 5\n", "branding.toml:2: product should be text in quotes"),
        ("product = \" \"\n", "branding.toml:1: product must not be empty"),
        (
            "product = \"a\\nb\"\n",
            "branding.toml:1: product must not hold control characters",
        ),
        (
            "logo = \"none.png\"\n",
            "branding.toml:1: logo \"none.png\" cannot be read: ",
        ),
        (
            "logo = \"branding.toml\"\n",
            "branding.toml:1: logo \"branding.toml\" should be a PNG or JPEG file",
        ),
        (
            "logo = \"http://example.org/a.png\"\n",
            "branding.toml:1: logo \"http://example.org/a.png\" should begin with https://",
        ),
        (
            "support = \"javascript:alert(1)\"\n",
            "branding.toml:1: support should be a mail address",
        ),
        ("product = \n", "branding.toml:1: this is not TOML: "),
    ] {
        let found = Folder::with(&[("branding.toml", text)]).error();
        assert!(found.starts_with(error), "{found}");
    }
    let folder = Folder::with(&[("branding.toml", "logo = \"big.png\"\n")]);
    folder.write("big.png", &vec![0; 300 * 1024]);
    assert!(
        folder.error().contains("has 300 KiB; 256 KiB is the most"),
        "{}",
        folder.error()
    );
}

#[test]
fn a_logo_on_the_web_is_only_named() {
    let folder = Folder::with(&[("branding.toml", "logo = \"https://example.org/logo.png\"\n")]);
    let templates = folder.load().unwrap();
    let parts = rendered(&templates, &sample("alert", Language::En));
    assert!(parts.images.is_empty() && parts.html.contains("src=\"https://example.org/logo.png\""));
}

/// One pixel.
fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixel = image::RgbImage::new(1, 1);
    pixel.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
