//! A real OpenLDAP server with made-up people, private to one test: a temporary folder, free loopback ports, ended when
//! it is dropped.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::tls::write_certificates;

/// The directory's suffix.
pub const SUFFIX: &str = "dc=example,dc=org";
/// Where people are.
pub const PEOPLE: &str = "ou=people,dc=example,dc=org";
/// The account that may search.
pub const READER: &str = "cn=reader,dc=example,dc=org";
/// Its password.
pub const READER_PASSWORD: &str = "reader-password";
/// Whoever may change everything.
const ROOT: &str = "cn=root,dc=example,dc=org";
const ROOT_PASSWORD: &str = "root-password";
/// The password of everybody under [`PEOPLE`].
pub const PASSWORD: &str = "right horse battery";

/// How a server differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct SlapdOptions {
    /// No certificate: neither StartTLS nor `ldaps://`.
    pub without_tls: bool,
    /// Everybody may read, without a bind.
    pub is_public: bool,
    /// More entries, as LDIF.
    pub extra_ldif: String,
    /// More lines of slapd.conf for the database.
    pub extra_conf: String,
}

/// A running server.
#[derive(Debug)]
pub struct Slapd {
    dir: TempDir,
    port: u16,
    tls_port: u16,
    child: Option<Child>,
    has_tls: bool,
}

impl Slapd {
    /// Writes everything a server needs and starts it.
    pub fn start(options: SlapdOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let has_tls = !options.without_tls;
        fs::create_dir(dir.path().join("db")).unwrap();
        if has_tls {
            write_certificates(dir.path());
        }
        fs::write(dir.path().join("slapd.conf"), conf(dir.path(), &options)).unwrap();
        fs::write(dir.path().join("people.ldif"), people() + &options.extra_ldif).unwrap();
        let slapadd = Command::new(program())
            .args(["-T", "add", "-q", "-f"])
            .arg(dir.path().join("slapd.conf"))
            .arg("-l")
            .arg(dir.path().join("people.ldif"))
            .output()
            .unwrap_or_else(|e| panic!("{} ({e}): tests/run installs it", program().display()));
        assert!(
            slapadd.status.success(),
            "slapadd: {}",
            String::from_utf8_lossy(&slapadd.stderr)
        );
        let mut slapd = Self {
            dir,
            port: 0,
            tls_port: 0,
            child: None,
            has_tls,
        };
        // Another process may take a port between finding it and using it.
        let started = (0..5).any(|_| {
            (slapd.port, slapd.tls_port) = (free_port(), free_port());
            slapd.run()
        });
        assert!(started, "slapd does not start: {}", slapd.log());
        slapd
    }

    /// `ldap://…`
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://…`
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// The address behind [`Self::url`].
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address behind [`Self::ldaps_url`].
    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls_port).into()
    }

    /// The private authority that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again at the same addresses with the same data.
    pub fn restart(&mut self) {
        self.stop();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.run() {
            assert!(Instant::now() < deadline, "slapd does not start again: {}", self.log());
        }
    }

    /// Changes entries, as LDIF with `changetype`.
    pub fn modify(&self, ldif: &str) {
        self.change(&[], ldif);
    }

    /// Adds entries, as LDIF.
    pub fn add(&self, ldif: &str) {
        self.change(&["-a"], ldif);
    }

    fn change(&self, options: &[&str], ldif: &str) {
        let mut child = Command::new("ldapmodify")
            .args(["-x", "-H", &self.url(), "-D", ROOT, "-w", ROOT_PASSWORD])
            .args(options)
            .stdin(Stdio::piped())
            // A line for each entry, which nobody reads.
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("ldapmodify ({e}): tests/run installs it"));
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ldapmodify: {errors}\n{ldif}");
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        fs::read(self.dir.path().join("log"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// The same once nothing more is coming: a line is written a moment after its answer was sent.
    fn settled_log(&self) -> String {
        let mut log = self.log();
        loop {
            std::thread::sleep(Duration::from_millis(40));
            let now = self.log();
            if now.len() == log.len() {
                return now;
            }
            log = now;
        }
    }

    /// How many binds it was asked for by names that contain `name`.
    pub fn binds(&self, name: &str) -> usize {
        // A bind that succeeds is logged a second time, with the mechanism it used.
        self.settled_log()
            .lines()
            .filter(|l| l.contains(" BIND dn=\"") && l.contains(" method=") && l.contains(name))
            .count()
    }

    /// How many binds it answered with `result`.
    pub fn bind_results(&self, result: u32) -> usize {
        let wanted = format!(" RESULT tag=97 err={result} ");
        self.settled_log().lines().filter(|l| l.contains(&wanted)).count()
    }

    /// How many searches it was asked for with filters that contain `text`.
    pub fn searches(&self, text: &str) -> usize {
        self.settled_log()
            .lines()
            .filter(|l| l.contains(" SRCH base=") && l.contains(text))
            .count()
    }

    fn run(&mut self) -> bool {
        self.stop();
        let mut urls = self.url();
        if self.has_tls {
            let _ = write!(urls, " {}", self.ldaps_url());
        }
        let log = File::create(self.dir.path().join("log")).unwrap();
        let mut child = Command::new(program())
            .args(["-d", "stats", "-h", &urls, "-f"])
            .arg(self.dir.path().join("slapd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            if self.log().contains("slapd starting") && TcpStream::connect(self.address()).is_ok() {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A loopback port that nobody uses just now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn program() -> PathBuf {
    let path = PathBuf::from(std::env::var_os("DOORWARD_TEST_SLAPD").unwrap_or_else(|| "/usr/sbin/slapd".into()));
    assert!(
        path.exists(),
        "no slapd at {}: tests/run installs it, or set DOORWARD_TEST_SLAPD",
        path.display()
    );
    path
}

fn conf(dir: &Path, options: &SlapdOptions) -> String {
    let mut conf = String::new();
    for schema in ["core", "cosine", "inetorgperson", "nis", "dyngroup"] {
        let _ = writeln!(conf, "include /etc/ldap/schema/{schema}.schema");
    }
    conf.push_str("modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\nmoduleload dynlist\n");
    let d = dir.display();
    let _ = writeln!(conf, "pidfile {d}/pid\nargsfile {d}/args");
    if !options.without_tls {
        let _ = writeln!(conf, "TLSCACertificateFile {d}/ca.pem");
        let _ = writeln!(
            conf,
            "TLSCertificateFile {d}/server.pem\nTLSCertificateKeyFile {d}/server.key"
        );
    }
    let _ = writeln!(
        conf,
        "database mdb\nsuffix \"{SUFFIX}\"\nrootdn \"{ROOT}\"\nrootpw {ROOT_PASSWORD}\ndirectory {d}/db"
    );
    conf.push_str("maxsize 134217728\nindex objectClass,uid,entryUUID,member eq\n");
    // Nobody anonymous reads; the reader and people themselves do.
    let _ = writeln!(conf, "access to attrs=userPassword by anonymous auth by * none");
    let _ = writeln!(conf, "access to dn.subtree=\"ou=hidden,{SUFFIX}\" by * none");
    let _ = writeln!(
        conf,
        "access to * by users read by * {}",
        if options.is_public { "read" } else { "none" }
    );
    conf.push_str("overlay ppolicy\n");
    let _ = writeln!(
        conf,
        "ppolicy_default \"cn=default,ou=policies,{SUFFIX}\"\nppolicy_use_lockout"
    );
    conf.push_str("overlay dynlist\ndynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*\n");
    conf.push_str(&options.extra_conf);
    conf
}

fn people() -> String {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\n\
         userPassword: {READER_PASSWORD}\n\n"
    );
    for ou in ["people", "groups", "policies", "hidden", "others"] {
        let _ = write!(
            ldif,
            "dn: ou={ou},{SUFFIX}\nobjectClass: organizationalUnit\nou: {ou}\n\n"
        );
    }
    for (name, more) in [
        ("default", "pwdLockout: TRUE\npwdMaxFailure: 3\npwdMustChange: TRUE\n"),
        ("short", "pwdMaxAge: 60\n"),
        ("warning", "pwdMaxAge: 2000000000\npwdExpireWarning: 2000000000\n"),
    ] {
        let _ = write!(
            ldif,
            "dn: cn={name},ou=policies,{SUFFIX}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: {name}\n\
             pwdAttribute: userPassword\n{more}\n"
        );
    }
    let policy = |name: &str| format!("pwdPolicySubentry: cn={name},ou=policies,{SUFFIX}\n");
    // The name in the DN, the uid, more attributes.
    let everybody = [
        (
            "uid=member",
            "member",
            "mail: member@example.org\ntelephoneNumber: +49 30 1234\npreferredLanguage: de\n",
        ),
        ("uid=o'brien", "o'brien", "mail: obrien@example.org\n"),
        ("cn=Smith\\, Jo", "comma", ""),
        ("cn=plus\\+plus", "plus", ""),
        ("cn=\\\"quoted\\\"", "quote", ""),
        ("cn=back\\\\slash", "backslash", ""),
        ("cn=round (brackets) *", "brackets", ""),
        ("cn=\\ leading", "leading", ""),
        ("cn=\\#hash=equals", "hash", ""),
        ("cn=Zo\u{eb} \u{41b}\u{435}\u{432}", "zo\u{eb}", ""),
        ("cn=one+sn=two", "multi", ""),
        ("cn=twin one", "twin", ""),
        ("cn=twin two", "twin", ""),
        ("uid=a\\2ca", "a,a", ""),
        ("uid=locked", "locked", "pwdAccountLockedTime: 000001010000Z\n"),
        ("uid=reset", "reset", "pwdReset: TRUE\n"),
        ("uid=expired", "expired", "pwdChangedTime: 20200101000000Z\n"),
        ("uid=warned", "warned", "pwdChangedTime: 20200101000000Z\n"),
    ];
    for (rdn, uid, more) in everybody {
        let subentry = match uid {
            "expired" => policy("short"),
            "warned" => policy("warning"),
            _ => String::new(),
        };
        ldif.push_str(&person(&format!("{rdn},{PEOPLE}"), uid, &format!("{more}{subentry}")));
    }
    ldif.push_str(&person(&format!("uid=invisible,ou=hidden,{SUFFIX}"), "invisible", ""));
    // Somebody elsewhere whose DN the template gives, while the filter finds another entry of that login.
    ldif.push_str(&person(&format!("uid=impostor,ou=others,{SUFFIX}"), "nobody-else", ""));
    ldif.push_str(&person(&format!("cn=victim,{PEOPLE}"), "impostor", ""));
    for (name, members) in [
        ("admins", vec![format!("uid=member,{PEOPLE}")]),
        (
            "staff",
            vec![format!("uid=member,{PEOPLE}"), format!("cn=Smith\\, Jo,{PEOPLE}")],
        ),
    ] {
        let _ = write!(
            ldif,
            "dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n"
        );
        for member in members {
            let _ = writeln!(ldif, "member: {member}");
        }
        ldif.push('\n');
    }
    ldif
}

/// One person as LDIF; the DN in the encoding of RFC 4514.
pub fn person(dn: &str, uid: &str, more: &str) -> String {
    use base64::Engine as _;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let rdn = dn.split(',').next().unwrap_or_default();
    // slapadd wants the values of the RDN among the attributes; it adds those of cn itself only when asked to.
    let cn = match uid {
        "comma" => "Smith, Jo",
        "plus" => "plus+plus",
        "quote" => "\"quoted\"",
        "backslash" => "back\\slash",
        "leading" => " leading",
        "hash" => "#hash=equals",
        "multi" => "one",
        _ => rdn.strip_prefix("cn=").unwrap_or(uid),
    };
    let sn = if uid == "multi" { "two" } else { "Sample" };
    format!(
        "dn:: {}\nobjectClass: inetOrgPerson\nuid:: {}\ncn:: {}\nsn: {sn}\ngivenName: Given\n{more}userPassword: {PASSWORD}\n\n",
        base64(dn),
        base64(uid),
        base64(cn),
    )
}
