//! Sign-ins through a directory.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ldap3::{LdapConnAsync, LdapConnSettings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;

use crate::bench::{Bench, side};
use crate::site::{self, PASSWORD};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};
use crate::table::{Row, Target};

/// Sign-ins under way at once, each of somebody else.
const AT_ONCE: usize = 8;

/// Sign-ins over LDAPS, against the least that one must do: connect, TLS, bind, unbind.
pub fn sign_ins(bench: &Bench) -> Vec<Row> {
    let slapd = Slapd::start(SlapdOptions {
        extra_ldif: (0..AT_ONCE).map(|n| slapd::person(&dn(n), &login(n), "")).collect(),
        ..SlapdOptions::default()
    });
    let doorward = site::doorward(None);
    let section = format!(
        "[directories.corp]\nservers = [\"{}\"]\nca_file = \"{}\"\nbind_dn = \"{READER}\"\n\
         bind_password = \"{READER_PASSWORD}\"\nbase = [\"{PEOPLE}\"]\n",
        slapd.ldaps_url(),
        slapd.ca_file().display(),
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    let create = |args: &[&str]| doorward.run_with_input(args, PASSWORD).succeeds();
    create(&["account", "create", "corp", "--directory", "corp"]);
    for n in 0..AT_ONCE {
        create(&["user", "create", &format!("{}@corp", login(n)), "--ldap"]);
    }
    let serving = doorward.serve(&["serve"]);
    let bodies: Vec<String> = (0..AT_ONCE)
        .map(|n| site::sign_in_with(&format!("{}@corp", login(n)), slapd::PASSWORD))
        .collect();
    let ask = site::sign_ins(serving.address, &bodies);
    let ours = || bench.closed_loop(&ask, AT_ONCE).rate();
    let bare = || bench.runtime.block_on(binds(&slapd, bench.turn()));
    let rates = bench.rotate(vec![side("sign-ins", ours), side("bare binds", bare)]);
    let target = Target::RatioAtLeast(0.7);
    vec![Row::against("ldap", "/s", rates[0], ("bare ldap3", rates[1]), target)]
}

fn login(n: usize) -> String {
    format!("bench{n}")
}

fn dn(n: usize) -> String {
    format!("uid={},{PEOPLE}", login(n))
}

/// Binds a second.
async fn binds(slapd: &Slapd, time: Duration) -> f64 {
    let tls = Arc::new(tls(slapd));
    let url = slapd.ldaps_url();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..AT_ONCE {
        let (tls, url) = (Arc::clone(&tls), url.clone());
        tasks.spawn(async move {
            let mut count = 0;
            while begun.elapsed() < time {
                let settings = LdapConnSettings::new().set_config(Arc::clone(&tls));
                let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &url).await.unwrap();
                ldap3::drive!(connection);
                let bound = ldap.simple_bind(&dn(n), slapd::PASSWORD).await;
                bound.unwrap().success().unwrap();
                ldap.unbind().await.unwrap();
                count += 1;
            }
            count
        });
    }
    let count: usize = tasks.join_all().await.into_iter().sum();
    count as f64 / begun.elapsed().as_secs_f64()
}

/// As the gateway has it: ring, the private authority, sessions that are taken up again.
fn tls(slapd: &Slapd) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(slapd.ca_file()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
