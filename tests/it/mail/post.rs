//! A gateway whose mails go to a real server, which wants STARTTLS and a user.

use std::cell::Cell;
use std::time::{Duration, Instant};

use doorward::config::Config;
use doorward::domain::account::{Account, Language};
use doorward::domain::mail::{MailFilter, MailState};
use doorward::domain::user::User;
use doorward::graphql::node_id;
use doorward::service::NewUser;
use mail_parser::Addr;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway};
use crate::support::smtp::{MailServer, MailServerOptions, PASSWORD, Received, USER};

/// Long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who reads English, and somebody who reads Russian: login, names, language.
pub const READERS: [(&str, [&str; 2], Language); 2] = [
    ("ann", ["Ann", "Archer"], Language::En),
    ("ivan", ["Иван", "Петров"], Language::Ru),
];

/// A gateway and its mail server.
pub struct Post {
    pub gateway: Gateway,
    pub server: MailServer,
    taken: Cell<usize>,
}

impl Post {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| {}).await
    }

    pub async fn start_with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let server = tokio::task::block_in_place(|| MailServer::start(MailServerOptions::default()));
        let gateway = Gateway::start_with(backend, |config| {
            into(config, &server);
            change(config);
        })
        .await;
        Self {
            gateway,
            server,
            taken: Cell::new(0),
        }
    }

    /// Waits until nothing waits to be sent, and gives what arrived since this was last asked, by address.
    ///
    /// What causes a mail queues it: nothing that was answered before can come later.
    pub async fn take(&self) -> Vec<Received> {
        self.settled().await;
        let mut new = self.server.messages();
        let all = new.len();
        new.drain(..self.taken.replace(all));
        new.sort_by(|a, b| a.envelope.to.cmp(&b.envelope.to));
        new
    }

    /// Waits until nothing waits to be sent.
    pub async fn settled(&self) {
        let waiting = [MailState::Queued, MailState::Sending].map(|state| MailFilter {
            state: Some(state),
            to: None,
        });
        let deadline = Instant::now() + LIMIT;
        loop {
            let counts = self.gateway.services.store.count_mails(&waiting).await.unwrap();
            if counts == [0, 0] {
                return;
            }
            assert!(Instant::now() < deadline, "mails wait: {counts:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The only mail that arrived since the last look.
    #[track_caller]
    pub fn only(&self) -> impl Future<Output = Received> + '_ {
        let place = std::panic::Location::caller();
        async move {
            let mut mails = self.take().await;
            let subjects: Vec<&str> = mails.iter().map(Received::subject).collect();
            assert_eq!(subjects.len(), 1, "{place}: {subjects:?}");
            mails.remove(0)
        }
    }

    /// Nothing arrived since the last look, and nothing will.
    #[track_caller]
    pub fn none(&self) -> impl Future<Output = ()> + '_ {
        let place = std::panic::Location::caller();
        async move {
            let mails = self.take().await;
            let subjects: Vec<&str> = mails.iter().map(Received::subject).collect();
            assert!(subjects.is_empty(), "{place}: {subjects:?}");
        }
    }

    /// A user with the password that every policy takes, and the address `LOGIN@example.org`.
    pub async fn reader(&self, account: &Account, login: &str) -> User {
        self.reader_with(account, login, |_| {}).await
    }

    /// The same, not quite the usual one.
    pub async fn reader_with(&self, account: &Account, login: &str, change: impl FnOnce(&mut NewUser)) -> User {
        let known = READERS.iter().find(|(name, ..)| *name == login);
        let create = self.gateway.user_with(account, login, |new| {
            new.email = Some(format!("{login}@example.org"));
            if let Some((_, [first, last], language)) = known {
                (new.first_name, new.last_name) = ((*first).to_owned(), (*last).to_owned());
                new.language = Some(*language);
            }
            change(new);
        });
        create.await
    }
}

/// Has a gateway send to that server.
pub fn into(config: &mut Config, server: &MailServer) {
    config.http.public_url = "http://id.example.org".parse().unwrap();
    config.mail.server = Some(doorward::config::MailServer::parse(&server.url()).unwrap());
    config.mail.password = Some(PASSWORD.into());
    config.mail.ca_file = Some(server.ca_file());
}

pub fn id(user: &User) -> String {
    node_id::encode(user.id).to_string()
}

/// Sets a password by a link, with everything that is told about it.
pub async fn redeem(gateway: &Gateway, token: &str, password: &str) -> Value {
    let input = json!({ "token": token, "newPassword": password });
    let fields = "token user { login mustChangePassword lastLogin { method outcome } } session { isCurrent }";
    gateway.nobody().mutate("resetPassword", input, fields).await
}

/// Changes one's own password.
pub async fn change_password(asker: &Asker<'_>, current: &str, new: &str) -> Value {
    let input = json!({ "currentPassword": current, "newPassword": new });
    asker.mutate("changePassword", input, "user { login }").await
}

/// The secret of the link in a mail, which is the same in text and HTML.
#[track_caller]
pub fn secret(mail: &Received) -> String {
    let start = "http://id.example.org/set-password?token=";
    let of = |body: &str| -> String {
        let (_, rest) = body.split_once(start).unwrap_or_else(|| panic!("no link: {body}"));
        let token = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c));
        token.collect()
    };
    let found = of(mail.text());
    assert_eq!(found, of(&html(mail)));
    assert!(found.starts_with("dwl_") && found.len() > 40, "{found}");
    found
}

/// What every mail has, whatever it says: how it came, from whom, for whom, when, and in which language.
#[track_caller]
pub fn is_well_formed(mail: &Received, post: &Post, to: (&str, &str), language: Language) {
    let (name, address) = to;
    let envelope = &mail.envelope;
    assert!(envelope.tls);
    assert_eq!(envelope.user.as_deref(), Some(USER));
    assert_eq!(
        (envelope.from.as_str(), envelope.to.as_slice()),
        ("no-reply@example.org", &[address.to_owned()][..])
    );
    let single = |address: Option<&mail_parser::Address<'static>>| -> (String, String) {
        let list: Vec<&Addr<'static>> = address.unwrap().iter().collect();
        assert_eq!(list.len(), 1, "{list:?}");
        (
            list[0].name().unwrap_or_default().to_owned(),
            list[0].address().unwrap().to_owned(),
        )
    };
    let message = &mail.message;
    assert_eq!(
        single(message.from()),
        ("Doorward".to_owned(), "no-reply@example.org".to_owned())
    );
    assert_eq!(single(message.to()), (name.to_owned(), address.to_owned()));
    let now = post.gateway.now().as_second();
    let sent = message.date().unwrap().to_timestamp();
    assert!((now - 60..=now).contains(&sent), "{sent}, not {now}");
    let id = mail.header("Message-ID").unwrap();
    let id = id.strip_prefix('<').and_then(|id| id.strip_suffix("@id.example.org>"));
    assert!(id.is_some_and(|id| uuid::Uuid::parse_str(id).is_ok()), "{id:?}");
    let header = |name| mail.header(name);
    assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
    let code = match language {
        Language::En => "en",
        Language::Ru => "ru",
    };
    assert_eq!(header("Content-Language").as_deref(), Some(code));
    assert!(
        mail.html().contains(&format!("<html lang=\"{code}\">")),
        "{}",
        mail.html()
    );
    for name in ["Bcc", "Cc", "Reply-To"] {
        assert_eq!(header(name), None);
    }
    // Lines end as RFC 5322 §2.1 has it and are no longer than it allows, and nothing needs 8 bits on the way.
    let raw = std::str::from_utf8(mail.raw()).unwrap();
    assert!(raw.is_ascii());
    for line in raw.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line:?}");
    }
}

/// The plain text, with line ends of one kind.
pub fn text(mail: &Received) -> String {
    mail.text().replace("\r\n", "\n")
}

/// The HTML, with its slashes as they are read.
pub fn html(mail: &Received) -> String {
    mail.html().replace("&#x2f;", "/")
}

/// What a mail says.
#[track_caller]
pub fn says(mail: &Received, subject: &str, in_text: &[&str], in_html: &[&str]) {
    assert_eq!(mail.subject(), subject);
    for (body, parts) in [(text(mail), in_text), (html(mail), in_html)] {
        for part in parts {
            assert!(body.contains(part), "{part:?} is not in\n{body}");
        }
        assert!(!body.contains("{{") && !body.contains("{%"), "{body}");
    }
}
