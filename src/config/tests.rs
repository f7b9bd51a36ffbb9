//! Configurations as people write them, right and wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

/// A working directory with a `doorward.toml`.
struct Place(tempfile::TempDir);

impl Place {
    fn with(toml: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(DEFAULT_FILE, toml);
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, env, self.0.path())
    }

    fn lines(&self, env: &[(&str, &str)]) -> Vec<String> {
        self.load(env)
            .unwrap_err()
            .to_string()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn load(toml: &str) -> Config {
    Place::with(toml).load(&[]).unwrap()
}

/// The one problem that a file has.
fn problem(toml: &str) -> String {
    let lines = Place::with(toml).lines(&[]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines[0].clone()
}

fn from_env(name: &str, value: &str) -> Config {
    Place::with("").load(&[(name, value)]).unwrap()
}

fn env_problem(name: &str, value: &str) -> String {
    let lines = Place::with("").lines(&[(name, value)]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines[0].clone()
}

const CORP: &str = "[directories.corp]\nservers = [\"ldaps://dc.example.org\"]\nbase = [\"dc=example,dc=org\"]\n";

#[test]
fn without_anything_the_defaults_hold() {
    let place = tempfile::tempdir().unwrap();
    let config = Config::load(None, std::iter::empty(), place.path()).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.password.memory_kib, 19_456);
    assert_eq!(config.session.lifetime, Duration::from_secs(43_200));
    assert_eq!(config.history.retention, Duration::from_secs(400 * 86_400));
    assert_eq!(config.limits.body_bytes, 3_145_728);
    assert_eq!(config.mail.from.to_string(), "Doorward <no-reply@example.org>");
    let StoreUrl::Sqlite(path) = config.store.url else {
        panic!("not SQLite")
    };
    assert_eq!(path, place.path().join("doorward-data/doorward.db"));
    assert!(Config::default().warnings().is_empty());
}

#[test]
fn the_example_holds_every_default() {
    let place = Place::with(include_str!("../../doorward.example.toml"));
    let empty = Config::load(Some(&place.write("empty.toml", "")), std::iter::empty(), place.0.path()).unwrap();
    assert_eq!(format!("{:#?}", place.load(&[]).unwrap()), format!("{empty:#?}"));
}

#[test]
fn the_example_names_every_key() {
    let example = include_str!("../../doorward.example.toml");
    for section in read::fields(&[]).into_iter().filter(|section| section != "directories") {
        let text = example
            .split(&format!("\n[{section}]\n"))
            .nth(1)
            .unwrap_or_else(|| panic!("no [{section}]"));
        let text = text.split("\n[").next().unwrap();
        for key in read::fields(std::slice::from_ref(&section)) {
            assert!(text.contains(&format!("\n{key} = ")), "{section}.{key}");
        }
    }
}

#[test]
fn the_example_of_a_directory_loads() {
    let example = include_str!("../../doorward.example.toml");
    let (_, directory) = example.split_once("#\n# [directories.corp]").unwrap();
    let directory: Vec<&str> = directory.lines().map(|l| l.strip_prefix("# ").unwrap_or(l)).collect();
    let toml = format!("[directories.corp]{}", directory.join("\n"));
    let config = load(&toml);
    assert_eq!(config.directories["corp"].servers.len(), 2);
    assert_eq!(config.directories["corp"].mappings.len(), 1);
    assert_eq!(
        config.directories["corp"].attributes.phone,
        ["telephoneNumber", "mobile"]
    );
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let place = Place::with("[password]\nmemory_kib = 64\niterations = 5\n");
    let config = place.load(&[("DOORWARD_PASSWORD__ITERATIONS", "7")]).unwrap();
    let password = config.password;
    assert_eq!(
        (password.memory_kib, password.iterations, password.parallelism),
        (64, 7, 1)
    );
}

#[test]
fn the_file_is_the_explicit_one_or_the_variables_or_the_one_here() {
    let place = Place::with("[limits]\nquery_depth = 1\n");
    place.write("b.toml", "[limits]\nquery_depth = 2\n");
    place.write("c.toml", "[limits]\nquery_depth = 3\n");
    let env = || [("DOORWARD_CONFIG".to_owned(), "b.toml".to_owned())].into_iter();
    let cwd = place.0.path();
    let depth = |config: Result<Config, ConfigError>| config.unwrap().limits.query_depth;
    assert_eq!(depth(place.load(&[])), 1);
    assert_eq!(depth(place.load(&[("DOORWARD_CONFIG", "")])), 1);
    assert_eq!(depth(Config::load(None, env(), cwd)), 2);
    assert_eq!(depth(Config::load(Some(Path::new("c.toml")), env(), cwd)), 3);
    assert_eq!(depth(Config::load(Some(&cwd.join("c.toml")), env(), cwd)), 3);
    let error = Config::load(Some(Path::new("d.toml")), env(), cwd)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("d.toml: cannot be read: ") && error.contains("--config"),
        "{error}"
    );
}

#[test]
fn variables_without_a_double_underscore_are_not_keys() {
    let names = [
        "DOORWARD_PORT",
        "DOORWARD_LOG",
        "DOORWARD_PORT_8080_TCP_ADDR",
        "OTHER__KEY",
        "DOORWARD",
    ];
    let env: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
    assert!(Place::with("").load(&env).is_ok());
}

#[test]
fn variables_are_read_as_their_key_wants() {
    let proxies = |text| {
        let list = from_env("DOORWARD_HTTP__TRUSTED_PROXIES", text).http.trusted_proxies;
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(proxies(r#"["10.0.0.0/8", "::1"]"#), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(proxies("10.0.0.0/8, 192.0.2.7"), ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(proxies("192.0.2.7"), ["192.0.2.7/32"]);
    assert!(proxies("").is_empty() && proxies("[]").is_empty());
    assert!(!from_env("DOORWARD_LIMITS__INTROSPECTION", "false").limits.introspection);
    assert_eq!(
        from_env("DOORWARD_SESSION__IDLE", "90s").session.idle,
        Duration::from_secs(90)
    );
    assert_eq!(
        env_problem("DOORWARD_PASSWORD__ITERATIONS", "two"),
        "environment variable DOORWARD_PASSWORD__ITERATIONS: password.iterations is \"two\"; \
         it should be a whole number from 0 to 4294967295"
    );
    let broken = env_problem("DOORWARD_HTTP__TRUSTED_PROXIES", "[\"10.0.0.0/8\"");
    assert!(
        broken.contains("http.trusted_proxies is not readable as TOML: "),
        "{broken}"
    );
}

#[test]
fn text_that_looks_like_a_number_stays_text_where_text_is_wanted() {
    let place = Place::with("[mail]\nurl = \"smtp://user@mail.example.org\"\n");
    for secret in ["0123", "1e3", "true", "[1]", "a,b", " x "] {
        let config = place.load(&[("DOORWARD_MAIL__PASSWORD", secret)]).unwrap();
        assert_eq!(config.mail.password.unwrap().expose_secret(), secret);
    }
}

#[test]
fn a_directory_takes_variables_under_its_name_in_lower_case() {
    let place = Place::with(&format!("{CORP}bind_dn = \"cn=reader,dc=example,dc=org\"\n"));
    let config = place
        .load(&[("DOORWARD_DIRECTORIES__CORP__BIND_PASSWORD", "0123")])
        .unwrap();
    assert_eq!(config.directories.keys().collect::<Vec<_>>(), ["corp"]);
    let password = config.directories["corp"].bind_password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), "0123");
    assert!(!format!("{config:?}").contains("0123"));
}

#[test]
fn a_directory_can_come_from_the_environment_alone() {
    let config = Place::with("").load(&[
        (
            "DOORWARD_DIRECTORIES__CORP__SERVERS",
            "ldaps://a.example.org,ldaps://b.example.org",
        ),
        ("DOORWARD_DIRECTORIES__CORP__BASE", r#"["dc=example,dc=org"]"#),
    ]);
    assert_eq!(config.unwrap().directories["corp"].servers.len(), 2);
}

#[test]
fn secrets_come_from_files() {
    let place = Place::with(&format!(
        "[store]\nurl_file = \"url\"\n[mail]\nurl = \"smtp://u@mail.example.org\"\npassword_file = \"mail\"\n\
         {CORP}bind_dn = \"cn=x\"\nbind_password_file = \"bind\"\n"
    ));
    place.write("url", "mongodb://door:s3cret@db.example.org/door\n");
    place.write("mail", " two\nlines\r\n");
    place.write("bind", "0123");
    let config = place.load(&[]).unwrap();
    let StoreUrl::Mongo { url, database } = &config.store.url else {
        panic!("not MongoDB")
    };
    assert_eq!(
        (url.expose_secret(), database.as_str()),
        ("mongodb://door:s3cret@db.example.org/door", "door")
    );
    assert_eq!(config.mail.password.as_ref().unwrap().expose_secret(), " two\nlines");
    let directory = &config.directories["corp"];
    assert_eq!(directory.bind_password.as_ref().unwrap().expose_secret(), "0123");
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("lines") && !shown.contains("0123"),
        "{shown}"
    );
}

#[test]
fn the_mail_section_takes_what_is_at_its_bounds() {
    let place = Place::with(
        "[mail]\ntemplates = \"own\"\naccess_link = \"1m\"\nreset_link = \"30d\"\ntimeout = \"10m\"\nretry_first = \"100ms\"\n\
         retry_longest = \"100ms\"\ngive_up = \"100ms\"\nretention = \"15d\"\n",
    );
    let folder = place.0.path().join("own");
    fs::create_dir(&folder).unwrap();
    let mail = place.load(&[]).unwrap().mail;
    assert_eq!(mail.templates.as_deref(), Some(folder.as_path()));
    assert_eq!(
        (mail.access_link, mail.reset_link),
        (Duration::from_secs(60), Duration::from_secs(30 * 86_400))
    );
    assert_eq!(mail.timeout, Duration::from_secs(600));
    let tenth = Duration::from_millis(100);
    assert_eq!(
        (mail.retry_first, mail.retry_longest, mail.give_up),
        (tenth, tenth, tenth)
    );
    assert_eq!(mail.retention, Duration::from_secs(15 * 86_400));
}

#[test]
fn a_secret_is_given_once_and_its_file_must_be_readable() {
    let place = Place::with("[mail]\nurl = \"smtp://u@h\"\npassword = \"a\"\npassword_file = \"b\"\n");
    assert_eq!(
        place.lines(&[]),
        ["doorward.toml:4: mail.password_file and password are both given; keep one of them"]
    );
    let place = Place::with("[store]\nurl_file = \"empty\"\n");
    place.write("empty", "\n");
    assert!(place.lines(&[])[0].starts_with("doorward.toml:2: store.url_file is \"empty\", which is empty"));
    let line = env_problem("DOORWARD_STORE__URL_FILE", "nowhere");
    assert!(
        line.contains("DOORWARD_STORE__URL_FILE: store.url_file is \"nowhere\", which cannot be read: "),
        "{line}"
    );
    assert!(problem("[mail]\npassword_file = 5\n").contains("mail.password_file is not text"));
}

#[test]
fn an_unknown_key_names_its_place_and_its_nearest_neighbour() {
    let cases = [
        (
            "\n[http]\nlisen = 1",
            "doorward.toml:3: http.lisen is not a key; did you mean http.listen?",
        ),
        (
            "[htpp]\nlisten = 1",
            "doorward.toml:1: htpp is not a section; did you mean http?",
        ),
        (
            "listen = 1",
            "doorward.toml:1: listen is not a key; did you mean http.listen?",
        ),
        (
            "[http]\nbody_byte = 1",
            "doorward.toml:2: http.body_byte is not a key; did you mean limits.body_bytes?",
        ),
        (
            "[store]\nurlfile = 1",
            "doorward.toml:2: store.urlfile is not a key; did you mean store.url_file?",
        ),
        (
            "mail.pasword_file = 1",
            "doorward.toml:1: mail.pasword_file is not a key; did you mean mail.password_file?",
        ),
    ];
    for (toml, expected) in cases {
        assert_eq!(problem(toml), expected);
    }
    assert_eq!(
        problem(&format!("{CORP}[directories.corp.attributes]\nfist_name = []\n")),
        "doorward.toml:5: directories.corp.attributes.fist_name is not a key; \
         did you mean directories.corp.attributes.first_name?"
    );
    assert_eq!(
        problem(&format!(
            "{CORP}[[directories.corp.mappings]]\ngroup = \"*\"\nrols = []\nroles = [\"A\"]\n"
        )),
        "doorward.toml:6: directories.corp.mappings[0].rols is not a key; did you mean directories.corp.mappings[0].roles?"
    );
    assert_eq!(
        env_problem("DOORWARD_HTTP__LISEN", "x"),
        "environment variable DOORWARD_HTTP__LISEN: http.lisen is not a key; \
         did you mean http.listen (DOORWARD_HTTP__LISTEN)?"
    );
}

#[test]
fn a_wrong_type_says_what_was_found_and_what_would_be_right() {
    let cases = [
        (
            "[password]\niterations = \"2\"",
            "2: password.iterations is \"2\"; it should be a whole number from 0 to 4294967295",
        ),
        (
            "[password]\niterations = -1",
            "2: password.iterations is -1; it should be a whole number from 0 to 4294967295",
        ),
        (
            "[limits]\nintrospection = 1",
            "2: limits.introspection is a whole number; it should be true or false",
        ),
        (
            "[limits]\nquery_depth = 1.5",
            "2: limits.query_depth is a number with a fraction, or too large; it should be a whole number, 0 or more",
        ),
        (
            "[mail]\npassword = 1234",
            "2: mail.password is a whole number; it should be text",
        ),
        ("http = \"x\"", "1: http is text; it should be a table"),
        (
            "[http]\ntrusted_proxies = \"::1\"",
            "2: http.trusted_proxies is text; it should be a list",
        ),
        (
            "[session]\nidle = 5",
            "2: session.idle is a whole number; it should be a duration, such as \"30s\", \"12h\" or \"400d\"",
        ),
        (
            "[session]\nidle = \"soon\"",
            "2: session.idle is \"soon\"; it should be a duration, such as \"30s\", \"12h\" or \"400d\"",
        ),
        (
            "[http]\nforwarded_header = \"via\"",
            "2: http.forwarded_header is \"via\"; it should be \"x-forwarded-for\" or \"forwarded\"",
        ),
    ];
    for (toml, expected) in cases {
        assert_eq!(problem(toml), format!("doorward.toml:{expected}"));
    }
}

#[test]
fn all_problems_are_said_at_once_in_the_order_of_the_file() {
    let place = Place::with(
        "[http]\nlisten = \"localhost\"\ntrusted_proxies = [\"x\", \"10.0.0.0/8\", \"y\"]\nlisen = 1\n\
         [session]\nidle = \"13h\"\n[limits]\nquery_depth = 0\n[htpp]\na = 1\n",
    );
    let lines = place.lines(&[("DOORWARD_LIMITS__BODY_BYTES", "9")]);
    let starts = [
        "doorward.toml:2: http.listen is \"localhost\"; it should be an IP address and a port",
        "doorward.toml:3: http.trusted_proxies[0] is \"x\"; it should be a network",
        "doorward.toml:3: http.trusted_proxies[2] is \"y\"; it should be a network",
        "doorward.toml:4: http.lisen is not a key",
        "doorward.toml:6: session.idle is longer than session.lifetime",
        "doorward.toml:8: limits.query_depth is 0; it should be at least 1",
        "doorward.toml:9: htpp is not a section",
        "environment variable DOORWARD_LIMITS__BODY_BYTES: limits.body_bytes is 9; it should be at least 1024",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn wrong_syntax_names_line_and_column_but_not_the_text() {
    let lines = Place::with("[mail]\npassword = hunter2\n").lines(&[]);
    assert!(
        lines[0].starts_with("doorward.toml:2:12: this is not TOML: "),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("hunter2"));
}

#[test]
fn what_a_directory_says_about_itself_has_a_place_too() {
    let line = problem("[directories.corp]\nservers = [\"ldap://dc.example.org\"]\nbase = [\"dc=example\"]\n");
    assert!(
        line.starts_with("doorward.toml:2: directories.corp.servers[0] "),
        "{line}"
    );
    let lines = Place::with("[directories.corp]\nserver = []\n").lines(&[]);
    assert_eq!(
        lines,
        [
            "doorward.toml:1: directories.corp.servers is missing; it has no default",
            "doorward.toml:1: directories.corp.base is missing; it has no default",
            "doorward.toml:2: directories.corp.server is not a key; did you mean directories.corp.servers?",
        ]
    );
}

#[test]
fn each_section_refuses_what_makes_no_sense() {
    let cases = [
        (
            "[http]\npublic_url = \"ftp://a.example\"",
            "http.public_url is \"ftp://a.example\"; it should be an http",
        ),
        ("[http]\npublic_url = \"https://a.example/x\"", "http.public_url"),
        ("[http]\npublic_url = \"https://a.example?x\"", "http.public_url"),
        (
            "[http]\nallowed_origins = [\"https://a.example/\"]",
            "http.allowed_origins[0]",
        ),
        ("[http]\nallowed_origins = [\"*\"]", "http.allowed_origins[0]"),
        ("[http]\ntls_key = \"Cargo.toml\"", "http.tls_key"),
        ("[store]\nurl = \"\"", "store.url is empty"),
        ("[store]\nurl = \"postgres://a/b\"", "store.url starts with neither"),
        ("[store]\nurl = \"mongodb://a\"", "store.url names no database"),
        (
            "[password]\nmemory_kib = 7",
            "password.memory_kib is 7; it should be at least 8",
        ),
        (
            "[password]\nparallelism = 4\nmemory_kib = 31",
            "password.memory_kib is 31; it should be at least 32",
        ),
        ("[password]\niterations = 0", "password.iterations"),
        ("[password]\nparallelism = 0", "password.parallelism"),
        ("[password]\nthreads = 2000", "password.threads"),
        ("[session]\nlifetime = \"0s\"", "session.lifetime"),
        ("[session]\nidle = \"0s\"", "session.idle"),
        ("[session]\nlifetime = \"1h\"", "session.idle is longer"),
        ("[session]\nlifetime = \"200years\"", "session.lifetime is too long"),
        (
            "[history]\nretention = \"23h\"",
            "history.retention is shorter than a day",
        ),
        ("[audit]\nretention = \"23h\"", "audit.retention is shorter than a day"),
        ("[audit]\nretention = \"101years\"", "audit.retention is too long"),
        ("[limits]\nquery_complexity = 0", "limits.query_complexity"),
        (
            "[limits]\nmin_refusal = \"10001ms\"",
            "limits.min_refusal is too long; it should be at most \"10s\"",
        ),
        ("[limits]\nbody_bytes = 1023", "limits.body_bytes"),
        ("[geoip]\ndatabase = \"none.mmdb\"", "geoip.database"),
        ("[mail]\ntemplates = \"none\"", "mail.templates is no folder"),
        ("[mail]\ntemplates = \"doorward.toml\"", "mail.templates is no folder"),
        (
            "[mail]\naccess_link = \"59s\"",
            "mail.access_link should be between 1m and 30d",
        ),
        ("[mail]\naccess_link = \"31d\"", "mail.access_link should be"),
        (
            "[mail]\nreset_link = \"0s\"",
            "mail.reset_link should be between 1m and 30d",
        ),
        (
            "[mail]\ntimeout = \"999ms\"",
            "mail.timeout should be between 1s and 10m",
        ),
        (
            "[mail]\ntimeout = \"601s\"",
            "mail.timeout should be between 1s and 10m",
        ),
        (
            "[mail]\nretry_first = \"99ms\"",
            "mail.retry_first should be 100ms or more",
        ),
        (
            "[mail]\nretry_longest = \"9s\"",
            "mail.retry_longest should not be less than mail.retry_first",
        ),
        (
            "[mail]\ngive_up = \"59m\"",
            "mail.give_up should be between mail.retry_longest and",
        ),
        ("[mail]\ngive_up = \"101years\"", "mail.give_up should be"),
        (
            "[mail]\nretention = \"23h\"",
            "mail.retention should be between 15d and",
        ),
        ("[mail]\nretention = \"101years\"", "mail.retention should be"),
        ("[mail]\nurl = \"http://h\"", "mail.url is not a mail server's URL"),
        ("[mail]\nurl = \"smtp://u:p@h\"", "mail.url carries a password"),
        ("[mail]\nurl = \"smtp://h?tls=maybe\"", "mail.url has an option"),
        (
            "[mail]\nurl = \"smtp://u@h\"",
            "mail.url names a user without a password",
        ),
        (
            "[mail]\nurl = \"smtp://h\"\npassword = \"p\"",
            "mail.password is given without a user",
        ),
        (
            "[mail]\nfrom = \"nobody\"",
            "mail.from is \"nobody\"; it should be a mail address",
        ),
        ("[mail]\nca_file = \"none.pem\"", "mail.ca_file"),
    ];
    for (toml, expected) in cases {
        let lines = Place::with(toml).lines(&[]);
        assert!(lines[0].contains(expected), "{toml}: {lines:#?}");
    }
    let off = load(
        "[limits]\nsign_in_per_address = 0\nsign_in_per_login = 0\nalerts_per_account = 0\nmin_refusal = \"0s\"\n",
    )
    .limits;
    assert_eq!((off.sign_in_per_address, off.sign_in_per_login), (0, 0));
    assert_eq!(off.alerts_per_account, 0);
    assert_eq!(off.min_refusal, Duration::ZERO);
}

#[test]
fn files_are_looked_for_from_the_working_directory() {
    let place = Place::with(
        "[http]\ntls_certificate = \"a.pem\"\ntls_key = \"b.pem\"\n[geoip]\ndatabase = \"c.mmdb\"\n\
         [store]\nurl = \"sqlite:d.db\"\n",
    );
    let [a, b, c] = ["a.pem", "b.pem", "c.mmdb"].map(|name| place.write(name, ""));
    let config = place.load(&[]).unwrap();
    assert_eq!(config.http.tls(), Some((a.as_path(), b.as_path())));
    assert_eq!(config.geoip.database, Some(c));
    assert_eq!(
        config.store.url.redacted(),
        format!("sqlite:{}", place.0.path().join("d.db").display())
    );
}

#[test]
fn a_stores_address_shows_neither_credentials_nor_options() {
    let url: StoreUrl = "mongodb://door:p%40ss@h1:27017,[::1]:27018/door?tlsCertificateKeyFilePassword=x"
        .parse()
        .unwrap();
    assert_eq!(format!("{url:?}"), "mongodb://h1:27017,[::1]:27018/door");
    let url: StoreUrl = "mongodb+srv://door:pass@cluster.example.org/door".parse().unwrap();
    assert_eq!(url.redacted(), "mongodb+srv://cluster.example.org/door");
    let refused = [
        ("mongodb://u:p/ss@h/door", StoreUrlError::Hosts),
        ("mongodb://h1,/door", StoreUrlError::Hosts),
        ("mongodb://h:0/door", StoreUrlError::Hosts),
        ("mongodb+srv://h:1/door", StoreUrlError::Hosts),
        ("mongodb://h/a.b", StoreUrlError::Database),
        ("mongodb://h/?replicaSet=rs0", StoreUrlError::Database),
        ("sqlite:", StoreUrlError::SqlitePath),
        ("sqlite::memory:", StoreUrlError::SqlitePath),
        ("sqlite:a.db?mode=ro", StoreUrlError::SqlitePath),
    ];
    for (text, error) in refused {
        assert_eq!(text.parse::<StoreUrl>().unwrap_err(), error, "{text}");
    }
    assert!(matches!("sqlite:///var/a.db".parse(), Ok(StoreUrl::Sqlite(path)) if path == Path::new("/var/a.db")));
}

#[test]
fn a_mail_servers_address_says_port_protection_and_user() {
    let parse = |text| MailServer::parse(text).map(|s| (s.host, s.port, s.tls, s.user));
    let server = |host: &str, port, tls, user: Option<&str>| Ok((host.to_owned(), port, tls, user.map(str::to_owned)));
    assert_eq!(
        parse("smtp://a%40b@h"),
        server("h", 587, MailTls::Required, Some("a@b"))
    );
    assert_eq!(parse("smtps://h"), server("h", 465, MailTls::Implicit, None));
    assert_eq!(parse("smtp://h?tls=none"), server("h", 25, MailTls::Off, None));
    assert_eq!(
        parse("smtp://[::1]:2525/?tls=opportunistic"),
        server("::1", 2525, MailTls::Opportunistic, None)
    );
    assert_eq!(parse("smtps://h?tls=none"), Err(MailUrlError::Option));
    assert_eq!(parse("smtp://h/x"), Err(MailUrlError::Form));
}

#[test]
fn the_hash_pool_leaves_a_core_to_the_rest() {
    let password = PasswordConfig::default();
    assert_eq!([1, 2, 8].map(|cores| password.pool_threads(cores)), [1, 1, 7]);
    assert_eq!(PasswordConfig { threads: 3, ..password }.pool_threads(1), 3);
}

#[test]
fn what_is_unwise_is_said_but_allowed() {
    let toml = "[http]\npublic_url = \"http://door.example.org\"\n[password]\nmemory_kib = 8\niterations = 1\n\
                [mail]\nurl = \"smtp://u@h?tls=none\"\npassword = \"p\"\n";
    let warnings = load(toml).warnings();
    let keys = ["http.public_url", "password.memory_kib", "mail.url"];
    assert_eq!(warnings.len(), keys.len());
    assert!(
        warnings.iter().zip(keys).all(|(warning, key)| warning.starts_with(key)),
        "{warnings:?}"
    );
    assert!(
        load("[password]\nmemory_kib = 7168\niterations = 5\n")
            .warnings()
            .is_empty()
    );
}
