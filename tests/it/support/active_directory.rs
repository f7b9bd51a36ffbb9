//! A real Active Directory (Samba) that all tests share: each makes an OU of its own in it, with people whose logins
//! nobody else has, so that tests do not meet.
//!
//! Everything blocks, inside of a runtime too: the one connection as Administrator is driven by a thread of its own.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use doorward::domain::clock::{Clock, SystemClock};
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, SearchEntry, dn_escape};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::variable;

/// The domain's name, which ends everybody's user principal name.
pub const DOMAIN: &str = "ad.test";
/// The domain's short name, for `AD\login`.
pub const NETBIOS: &str = "AD";
/// The directory's suffix.
pub const SUFFIX: &str = "DC=ad,DC=test";
/// The password of everybody whom a test makes: long, and of three kinds of characters.
pub const PASSWORD: &str = "Right horse battery 9";
/// The wrong passwords after which the domain locks somebody for half an hour: see `tests/active-directory`.
pub const LOCKOUT_THRESHOLD: usize = 5;

const ADMINISTRATOR: &str = "CN=Administrator,CN=Users,DC=ad,DC=test";
/// A busy machine with two cores may take long.
const LIMIT: Duration = Duration::from_secs(60);

/// Bits of userAccountControl.
const NORMAL_ACCOUNT: u32 = 0x200;
const ACCOUNT_DISABLED: u32 = 0x2;

/// The domain, as one test sees it.
#[derive(Debug)]
pub struct ActiveDirectory {
    folder: PathBuf,
    address: String,
    tag: String,
    ou: String,
    reader: User,
}

/// Somebody in the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name of the entry; renaming and moving change it.
    pub dn: String,
    /// The sAMAccountName. The user principal name is the same with [`DOMAIN`].
    pub login: String,
}

impl User {
    /// The userPrincipalName.
    pub fn upn(&self) -> String {
        format!("{}@{DOMAIN}", self.login)
    }
}

impl ActiveDirectory {
    /// An OU of its own in the domain of `DOORWARD_TEST_AD`.
    ///
    /// # Panics
    /// When that is not set, or the domain does not answer.
    pub fn new() -> Self {
        let folder = PathBuf::from(variable("DOORWARD_TEST_AD"));
        let address = read(&folder, "address");
        let tag: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
        let tag = tag.to_ascii_lowercase();
        let ou = format!("OU=test-{tag},{SUFFIX}");
        let reader = User {
            dn: format!("CN=reader,{ou}"),
            login: format!("reader-{tag}"),
        };
        let ad = Self {
            folder,
            address,
            tag,
            ou,
            reader,
        };
        ad.add(&ad.ou, &[("objectClass", "organizationalUnit")]);
        ad.add_user(&ad.reader);
        ad
    }

    // ---- where it is ----

    /// `ldap://…`, for StartTLS: without it the domain refuses binds with a password.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// `ldaps://…`
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// `ldaps://…:3269`, the global catalogue: another server to a client, the same to whoever counts.
    pub fn catalogue_url(&self) -> String {
        format!("ldaps://{}:3269", self.address)
    }

    /// The private authority that signed its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The test's own OU: whom it makes is there.
    pub fn ou(&self) -> &str {
        &self.ou
    }

    /// Somebody of the test's own who may do no more than read, with [`PASSWORD`]: for `bind_dn`.
    pub fn reader(&self) -> &User {
        &self.reader
    }

    // ---- making people, groups and OUs ----

    /// A person with [`PASSWORD`]. The login is the name with something unique after it; Windows allows 20 characters.
    #[track_caller]
    pub fn user(&self, name: &str) -> User {
        self.user_in(&self.ou, name)
    }

    /// A person in another OU of the test's.
    #[track_caller]
    pub fn user_in(&self, ou: &str, name: &str) -> User {
        let mut user = User {
            dn: format!("CN={},{ou}", dn_escape(name)),
            login: format!("{name}-{}", self.tag),
        };
        assert!(user.login.chars().count() <= 20, "{} is too long", user.login);
        self.add_user(&user);
        user.dn = self.as_written(&user.dn);
        user
    }

    /// A global security group, whose sAMAccountName the domain makes up; the answer is its DN.
    #[track_caller]
    pub fn group(&self, name: &str) -> String {
        let dn = format!("CN={},{}", dn_escape(name), self.ou);
        self.add(&dn, &[("objectClass", "group")]);
        self.as_written(&dn)
    }

    /// An OU inside the test's own; the answer is its DN.
    #[track_caller]
    pub fn inner_ou(&self, name: &str) -> String {
        let dn = format!("OU={},{}", dn_escape(name), self.ou);
        self.add(&dn, &[("objectClass", "organizationalUnit")]);
        self.as_written(&dn)
    }

    // ---- groups ----

    /// Puts people or groups into a group.
    #[track_caller]
    pub fn add_members(&self, group: &str, members: &[&str]) {
        self.modify(group, vec![Mod::Add("member".into(), values(members))]);
    }

    /// Takes people or groups out of a group.
    #[track_caller]
    pub fn remove_members(&self, group: &str, members: &[&str]) {
        self.modify(group, vec![Mod::Delete("member".into(), values(members))]);
    }

    /// Makes a group somebody's primary one, in place of Domain Users: Windows then no longer lists it in memberOf.
    #[track_caller]
    pub fn set_primary_group(&self, user: &User, group: &str) {
        self.add_members(group, &[&user.dn]);
        let sid = self.bytes(group, "objectSid");
        // The last four bytes of a SID are the number within the domain.
        let (_, rid) = sid.split_last_chunk().expect("a SID");
        self.set(&user.dn, "primaryGroupID", &[&u32::from_le_bytes(*rid).to_string()]);
    }

    // ---- what may be wrong with somebody ----

    /// Disabled: 533.
    #[track_caller]
    pub fn disable(&self, user: &User) {
        let control = (NORMAL_ACCOUNT | ACCOUNT_DISABLED).to_string();
        self.set(&user.dn, "userAccountControl", &[&control]);
    }

    /// Not disabled any more.
    #[track_caller]
    pub fn enable(&self, user: &User) {
        self.set(&user.dn, "userAccountControl", &[&NORMAL_ACCOUNT.to_string()]);
    }

    /// The account expired in 2020: 701.
    #[track_caller]
    pub fn expire_account(&self, user: &User) {
        self.set(&user.dn, "accountExpires", &["132223104000000000"]);
    }

    /// The password is older than the domain allows (42 days): 532.
    #[track_caller]
    pub fn expire_password(&self, user: &User) {
        self.age_password(user, Duration::from_secs(43 * 24 * 60 * 60));
    }

    /// The password was set that long ago. No LDAP server lets anybody write that: it is written into the database.
    #[track_caller]
    pub fn age_password(&self, user: &User, age: Duration) {
        // From 1601 to 1970, in the units of Windows.
        const EPOCH: i128 = 116_444_736_000_000_000;
        let now = SystemClock.now().as_nanosecond() / 100 + EPOCH;
        let then = now - i128::try_from(age.as_nanos() / 100).unwrap();
        let ldif = format!(
            "dn: {}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: {then}\n",
            user.dn
        );
        self.modify_database(&ldif);
    }

    /// The password must be changed at the next sign-in: 773.
    #[track_caller]
    pub fn must_change_password(&self, user: &User) {
        self.set(&user.dn, "pwdLastSet", &["0"]);
    }

    /// There is no hour of the week to sign in: 530.
    #[track_caller]
    pub fn forbid_all_hours(&self, user: &User) {
        let never = HashSet::from([vec![0; 21]]);
        self.modify(&user.dn, vec![Mod::Replace("logonHours".into(), never)]);
    }

    /// There is one computer to sign in at, which is none of ours: 531.
    #[track_caller]
    pub fn forbid_this_workstation(&self, user: &User) {
        self.set(&user.dn, "userWorkstations", &["ELSEWHERE"]);
    }

    /// As many wrong passwords as the domain suffers: 775.
    #[track_caller]
    pub fn lock(&self, user: &User) {
        for _ in 0..LOCKOUT_THRESHOLD {
            let answer = self.bind(&user.dn, "wrong");
            assert_eq!(answer.rc, 49, "{answer}");
        }
    }

    /// Gives another password, which unlocks nobody.
    #[track_caller]
    pub fn set_password(&self, user: &User, password: &str) {
        let quoted = HashSet::from([unicode_pwd(password)]);
        self.modify(&user.dn, vec![Mod::Replace("unicodePwd".into(), quoted)]);
    }

    // ---- changing and ending people ----

    /// Gives the entry another name in its place.
    #[track_caller]
    pub fn rename(&self, user: &mut User, name: &str) {
        let (_, parent) = split_dn(&user.dn);
        let parent = parent.to_owned();
        self.put(user, format!("CN={}", dn_escape(name)), parent);
    }

    /// Moves the entry to another OU.
    #[track_caller]
    pub fn move_to(&self, user: &mut User, ou: &str) {
        let (rdn, _) = split_dn(&user.dn);
        let rdn = rdn.to_owned();
        self.put(user, rdn, ou.to_owned());
    }

    /// Gives another login, both sAMAccountName and userPrincipalName.
    #[track_caller]
    pub fn change_login(&self, user: &mut User, name: &str) {
        user.login = format!("{name}-{}", self.tag);
        self.set(&user.dn, "sAMAccountName", &[&user.login]);
        self.set(&user.dn, "userPrincipalName", &[&user.upn()]);
    }

    /// Deletes a person, a group or an empty OU.
    #[track_caller]
    pub fn delete(&self, dn: &str) {
        let dn = dn.to_owned();
        self.ldap(async move |mut ldap| ldap.delete(&dn).await);
    }

    /// Gives an attribute these values in place of all others; none: takes it away.
    #[track_caller]
    pub fn set(&self, dn: &str, attribute: &str, new: &[&str]) {
        self.modify(dn, vec![Mod::Replace(attribute.into(), values(new))]);
    }

    // ---- what the domain knows ----

    /// An attribute's values that are text.
    #[track_caller]
    pub fn values(&self, dn: &str, attribute: &str) -> Vec<String> {
        let mut entry = self.entry(dn, attribute, Vec::new());
        entry.attrs.remove(attribute).unwrap_or_default()
    }

    /// The DNs of the test's own entries that a filter finds.
    #[track_caller]
    pub fn search(&self, filter: &str) -> Vec<String> {
        let (base, filter) = (self.ou.clone(), filter.to_owned());
        self.run(async move |mut ldap| {
            let found = ldap.search(&base, Scope::Subtree, &filter, ["1.1"]).await?;
            let (entries, _) = found.success()?;
            Ok(entries.into_iter().map(|e| SearchEntry::construct(e).dn).collect())
        })
    }

    /// How many wrong passwords the domain has counted for somebody since they last signed in.
    #[track_caller]
    pub fn failed_binds(&self, user: &User) -> usize {
        self.values(&user.dn, "badPwdCount")[0].parse().unwrap()
    }

    /// The objectGUID as the domain itself writes it.
    #[track_caller]
    pub fn object_guid(&self, user: &User) -> String {
        // LDAP_SERVER_EXTENDED_DN_OID with flag 1: `<GUID=…>;<SID=…>;CN=…`.
        let control = RawControl {
            ctype: "1.2.840.113556.1.4.529".to_owned(),
            crit: true,
            val: Some(vec![0x30, 3, 2, 1, 1]),
        };
        let dn = self.entry(&user.dn, "1.1", vec![control]).dn;
        let (guid, _) = dn.strip_prefix("<GUID=").unwrap().split_once('>').unwrap();
        guid.to_owned()
    }

    /// What the domain answers to a bind over TLS as that name, whatever it is.
    #[track_caller]
    pub fn bind(&self, name: &str, password: &str) -> LdapResult {
        let settings = self.settings();
        let (url, name, password) = (self.ldaps_url(), name.to_owned(), password.to_owned());
        self.run(async move |_| {
            let mut ldap = connect(settings, &url).await?;
            let answer = ldap.simple_bind(&name, &password).await;
            ldap.unbind().await?;
            answer
        })
    }

    // ---- how ----

    fn add_user(&self, user: &User) {
        let password = unicode_pwd(PASSWORD);
        let upn = user.upn();
        let control = NORMAL_ACCOUNT.to_string();
        let mut attributes = attributes(&[
            ("objectClass", "user"),
            ("sAMAccountName", &user.login),
            ("userPrincipalName", &upn),
            ("userAccountControl", &control),
        ]);
        attributes.push(("unicodePwd".into(), HashSet::from([password])));
        self.add_entry(&user.dn, attributes);
    }

    #[track_caller]
    fn add(&self, dn: &str, list: &[(&str, &str)]) {
        self.add_entry(dn, attributes(list));
    }

    #[track_caller]
    fn add_entry(&self, dn: &str, attributes: Vec<(Vec<u8>, HashSet<Vec<u8>>)>) {
        let dn = dn.to_owned();
        self.ldap(async move |mut ldap| ldap.add(&dn, attributes).await);
    }

    #[track_caller]
    fn modify(&self, dn: &str, changes: Vec<Mod<Vec<u8>>>) {
        let dn = dn.to_owned();
        self.ldap(async move |mut ldap| ldap.modify(&dn, changes).await);
    }

    #[track_caller]
    fn put(&self, user: &mut User, rdn: String, parent: String) {
        let (old, new) = (user.dn.clone(), format!("{rdn},{parent}"));
        self.ldap(async move |mut ldap| ldap.modifydn(&old, &rdn, true, Some(&parent)).await);
        user.dn = self.as_written(&new);
    }

    /// A DN with the escapes that the domain itself uses.
    #[track_caller]
    fn as_written(&self, dn: &str) -> String {
        self.entry(dn, "1.1", Vec::new()).dn
    }

    #[track_caller]
    fn entry(&self, dn: &str, attribute: &str, controls: Vec<RawControl>) -> SearchEntry {
        let (dn, attribute) = (dn.to_owned(), attribute.to_owned());
        self.run(async move |mut ldap| {
            ldap.with_controls(controls);
            let found = ldap.search(&dn, Scope::Base, "(objectClass=*)", [attribute]).await?;
            let (mut entries, _) = found.success()?;
            Ok(SearchEntry::construct(entries.remove(0)))
        })
    }

    #[track_caller]
    fn bytes(&self, dn: &str, attribute: &str) -> Vec<u8> {
        let mut entry = self.entry(dn, attribute, Vec::new());
        // The library sorts attributes by whether their bytes happen to be text.
        let text = entry.attrs.remove(attribute).map(|mut v| v.remove(0).into_bytes());
        text.unwrap_or_else(|| entry.bin_attrs.remove(attribute).unwrap().remove(0))
    }

    /// Changes the database beneath the server. It belongs to root, as does the server.
    #[track_caller]
    fn modify_database(&self, ldif: &str) {
        let database = self.folder.join("private/sam.ldb");
        let is_ours = fs::File::open(&database).is_ok();
        let mut command = Command::new(if is_ours { "env" } else { "sudo" });
        if !is_ours {
            command.arg("env");
        }
        command
            // Nothing of the machine's own configuration counts.
            .arg(format!("SMB_CONF_PATH={}", self.folder.join("smb.conf").display()))
            .args(["ldbmodify", "-H"])
            .arg(&database)
            // DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID: take pwdLastSet as it is.
            .arg("--controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "ldbmodify: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// One operation as Administrator, which must succeed.
    #[track_caller]
    fn ldap<F>(&self, operation: impl FnOnce(Ldap) -> F + Send + 'static)
    where
        F: Future<Output = Result<LdapResult, LdapError>> + Send + 'static,
    {
        let answer = self.run(operation);
        assert_eq!(answer.rc, 0, "{answer}");
    }

    #[track_caller]
    fn run<T, F>(&self, operation: impl FnOnce(Ldap) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LdapError>> + Send + 'static,
    {
        static CONNECTION: OnceLock<Administrator> = OnceLock::new();
        let administrator = CONNECTION.get_or_init(|| Administrator::new(self));
        administrator.run(operation(administrator.ldap.clone())).unwrap()
    }

    fn settings(&self) -> LdapConnSettings {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.ca_file()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        LdapConnSettings::new().set_config(Arc::new(config))
    }
}

/// The connection that all tests of this process share.
#[derive(Debug)]
struct Administrator {
    runtime: tokio::runtime::Runtime,
    ldap: Ldap,
}

impl Administrator {
    fn new(ad: &ActiveDirectory) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (settings, url, password) = (ad.settings(), ad.ldaps_url(), read(&ad.folder, "password"));
        let connected = wait(&runtime, async move {
            let mut ldap = connect(settings, &url).await?;
            ldap.simple_bind(ADMINISTRATOR, &password).await?.success()?;
            Ok(ldap)
        });
        let ldap = connected.unwrap_or_else(|e| panic!("the domain of DOORWARD_TEST_AD: {e}"));
        Self { runtime, ldap }
    }

    fn run<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, LdapError>> + Send + 'static,
    ) -> Result<T, LdapError> {
        wait(&self.runtime, operation)
    }
}

/// Blocks on the runtime's thread and not on the caller's, which may be one of another runtime.
fn wait<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    operation: impl Future<Output = Result<T, LdapError>> + Send + 'static,
) -> Result<T, LdapError> {
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        let _ = sender.send(operation.await); // whoever waited may have given up
    });
    receiver
        .recv_timeout(LIMIT)
        .expect("an answer of the domain within a minute")
}

async fn connect(settings: LdapConnSettings, url: &str) -> Result<Ldap, LdapError> {
    let (connection, ldap) = LdapConnAsync::with_settings(settings, url).await?;
    ldap3::drive!(connection);
    Ok(ldap)
}

fn read(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("DOORWARD_TEST_AD: {}: {e}", path.display()));
    text.trim_end().to_owned()
}

fn values(list: &[&str]) -> HashSet<Vec<u8>> {
    list.iter().map(|value| value.as_bytes().to_vec()).collect()
}

fn attributes(list: &[(&str, &str)]) -> Vec<(Vec<u8>, HashSet<Vec<u8>>)> {
    list.iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), values(&[value])))
        .collect()
}

/// In quotes and in UTF-16, as Windows wants it.
fn unicode_pwd(password: &str) -> Vec<u8> {
    format!("\"{password}\"")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The first part of a DN and the rest; a comma may be escaped.
fn split_dn(dn: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let at = dn.find(|c| {
        let ends = c == ',' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let at = at.unwrap();
    (&dn[..at], &dn[at + 1..])
}
