//! Two processes of the binary over one store, MongoDB's or a file: what is taken away at one is refused by the other, and
//! what is counted is counted by both together.

use std::time::{Duration, Instant};

use doorward::domain::clock::{Clock, SystemClock};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::gateway::{Backend, PASSWORD, on_both_stores};
use crate::support::mongod::{TestDatabase, fresh_database};
use crate::support::process::{Doorward, Serving};
use crate::support::socket::Socket;

on_both_stores!(
    alone;
    a_revoked_session_is_refused_by_the_other,
    a_disabled_users_session_is_refused_by_the_other,
    a_frozen_account_is_refused_by_the_other,
    a_revoked_token_is_refused_by_the_other,
    a_renamed_role_shows_at_the_other,
    last_sign_ins_are_the_same_at_both_however_they_come,
    a_sign_in_at_one_reaches_a_subscriber_at_the_other,
    wrong_passwords_spread_over_both_lock_and_one_unlocks_both,
    guesses_sent_at_once_over_both_pass_no_lock,
    the_limit_for_a_login_is_shared,
    the_limit_for_an_address_is_shared,
    one_login_is_taken_once,
);

/// How long the other process may take to notice.
const NOTICED: Duration = Duration::from_secs(2);
/// The default policy's.
const THRESHOLD: usize = 10;

/// Two processes and what they share. In `acme` are the master `owner`, and `ann` and `bob`.
#[derive(Debug)]
struct Pair {
    here: Process,
    there: Process,
    // In the order in which they end.
    _servings: [Serving; 2],
    _doorward: Doorward,
    _database: Option<TestDatabase>,
}

impl Pair {
    /// Both with these variables, and without limits on sign-ins unless they say otherwise.
    fn start(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let database = (backend == Backend::Mongo).then(fresh_database);
        let doorward = database.as_ref().map_or_else(Doorward::new, |d| Doorward::over(&d.url));
        doorward.run(&["account", "create", "acme"]).succeeds();
        for (login, master) in [
            ("root@system", true),
            ("owner@acme", true),
            ("ann@acme", false),
            ("bob@acme", false),
        ] {
            let mut args = vec!["user", "create", login, "--password-stdin"];
            args.extend(master.then_some("--master"));
            doorward.run_with_input(&args, PASSWORD).succeeds();
        }
        let serve = || {
            let with = doorward.with_no_limits();
            let with = variables
                .iter()
                .fold(with, |with, (name, value)| with.with(name, value));
            with.serve(&["serve"])
        };
        let servings = [serve(), serve()];
        Self {
            here: Process::of(&servings[0]),
            there: Process::of(&servings[1]),
            _servings: servings,
            _doorward: doorward,
            _database: database,
        }
    }

    fn both(&self) -> [&Process; 2] {
        [&self.here, &self.there]
    }

    /// The one, then the other, and so on.
    fn in_turn(&self, n: usize) -> &Process {
        self.both()[n % 2]
    }
}

/// One of the processes, as a client sees it.
#[derive(Debug)]
struct Process {
    url: String,
    client: reqwest::Client,
}

impl Process {
    fn of(serving: &Serving) -> Self {
        Self {
            url: format!("http://{}", serving.address),
            client: reqwest::Client::new(),
        }
    }

    /// The status and the whole answer.
    async fn post(&self, token: Option<&str>, query: &str, variables: Value) -> (u16, Value) {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.client.post(format!("{}/graphql", self.url)).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The data of an answer without errors.
    async fn data(&self, token: &str, query: &str) -> Value {
        let (_, answer) = self.post(Some(token), query, json!({})).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    /// The payload of a mutation, whatever it says.
    async fn mutate(&self, token: &str, name: &str, input: Value, fields: &str) -> Value {
        let kind = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let query =
            format!("mutation($i: {kind}Input!) {{ {name}(input: $i) {{ {fields} userErrors {{ code path }} }} }}");
        let (_, answer) = self.post(Some(token), &query, json!({ "i": input })).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"][name].clone()
    }

    /// The payload of a mutation that must succeed; and when it had.
    async fn change(&self, token: &str, name: &str, input: Value, fields: &str) -> (Value, Instant) {
        let payload = self.mutate(token, name, input, fields).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        (payload, Instant::now())
    }

    /// The token of a sign-in that must succeed.
    async fn sign_in(&self, login: &str) -> String {
        let (token, answer) = self.try_sign_in(login, PASSWORD).await;
        token.unwrap_or_else(|| panic!("{login} does not get in: {answer}"))
    }

    /// `SIGNED_IN`, or the code of the refusal.
    async fn answer(&self, login: &str, password: &str) -> String {
        self.try_sign_in(login, password).await.1
    }

    async fn try_sign_in(&self, login: &str, password: &str) -> (Option<String>, String) {
        let query = "mutation($i: SignInInput!) { signIn(input: $i) { token userErrors { code } } }";
        let input = json!({ "login": login, "password": password });
        let (_, answer) = self.post(None, query, json!({ "i": input })).await;
        let payload = &answer["data"]["signIn"];
        let word = |value: &Value| value.as_str().map(str::to_owned);
        match word(&payload["token"]) {
            Some(token) => (Some(token), "SIGNED_IN".to_owned()),
            None => {
                let code = word(&payload["userErrors"][0]["code"]);
                (None, code.unwrap_or_else(|| panic!("{answer:#}")))
            }
        }
    }

    /// A socket that follows the sign-ins.
    async fn follow(&self, token: &str) -> Socket {
        let mut socket = Socket::open(&self.url, Some(token)).await;
        let query = "subscription { loginEvents { attemptedLogin outcome } }";
        socket.subscribe("a", query, json!({})).await;
        socket
    }

    /// Waits until the token opens nothing here: in time, counted from then on.
    async fn refuses(&self, token: &str, since: Instant) {
        loop {
            let (status, answer) = self.post(Some(token), "{ viewer { isMaster } }", json!({})).await;
            if status == 401 {
                assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
                assert!(answer.get("data").is_none_or(Value::is_null), "{answer:#}");
                return;
            }
            assert!(since.elapsed() < NOTICED, "still {status}: {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The socket is closed as one that may not be here: in time, counted from then on.
async fn closes(socket: &mut Socket, since: Instant) {
    let code = socket.end().await;
    assert!(since.elapsed() < NOTICED, "{:?}", since.elapsed());
    assert_eq!(code, 4403);
}

async fn id(process: &Process, token: &str, login: &str) -> Value {
    let query = format!("{{ user(login: \"{login}\") {{ id }} }}");
    process.data(token, &query).await["user"]["id"].clone()
}

/// What a list says of ann's roles.
async fn roles_of_ann(process: &Process, token: &str) -> Value {
    let query = "{ users(filter: {login: \"ann\"}) { nodes { roles { name } } } }";
    process.data(token, query).await["users"]["nodes"][0]["roles"].clone()
}

/// Whoever renames sees it at once, though roles are remembered; the other in time, and never anything older again.
async fn a_renamed_role_shows_at_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let token = pair.here.sign_in("owner@acme").await;
    let input = json!({ "name": "role 0", "permissions": ["users:read"] });
    let (made, _) = pair.here.change(&token, "createRole", input, "role { id }").await;
    let (role, ann) = (&made["role"]["id"], id(&pair.here, &token, "ann@acme").await);
    let input = json!({ "id": ann, "roles": [role] });
    pair.here.change(&token, "updateUser", input, "user { id }").await;
    for n in 1..=6 {
        let (one, other) = (pair.in_turn(n), pair.in_turn(n + 1));
        // Both remember what it was called.
        for process in pair.both() {
            roles_of_ann(process, &token).await;
        }
        let new = json!([{ "name": format!("role {n}") }]);
        let input = json!({ "id": role, "name": format!("role {n}") });
        let (_, since) = one.change(&token, "updateRole", input, "role { id }").await;
        assert_eq!(roles_of_ann(one, &token).await, new);
        while roles_of_ann(other, &token).await != new {
            assert!(since.elapsed() < NOTICED);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(roles_of_ann(other, &token).await, new);
    }
}

/// They stand beside the user, and come from both processes at once.
async fn last_sign_ins_are_the_same_at_both_however_they_come(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let token = pair.here.sign_in("owner@acme").await;
    let signing_in = (0..24).map(|n| pair.in_turn(n).sign_in("ann@acme"));
    join_all(signing_in).await;
    let beside =
        "users(filter: {login: \"ann\"}) { nodes { lastLogin { id } loginHistory(first: 9) { nodes { id at } } } }";
    let history = format!(
        "loginHistory(first: 9, filter: {{user: {}}}) {{ nodes {{ id at }} }}",
        id(&pair.here, &token, "ann@acme").await
    );
    let query = format!("{{ {beside} {history} }}");
    let (here, there) = (
        pair.here.data(&token, &query).await,
        pair.there.data(&token, &query).await,
    );
    assert_eq!(here, there);
    let ann = &here["users"]["nodes"][0];
    assert_eq!(ann["loginHistory"], here["loginHistory"]);
    assert_eq!(ann["lastLogin"]["id"], here["loginHistory"]["nodes"][0]["id"]);
    assert_eq!(ann["loginHistory"]["nodes"].as_array().map(Vec::len), Some(9));
}

async fn a_revoked_session_is_refused_by_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let (here, there) = (&pair.here, &pair.there);
    let (owner, ann, stays) = (
        here.sign_in("owner@acme").await,
        there.sign_in("ann@acme").await,
        there.sign_in("ann@acme").await,
    );
    let own = there.data(&ann, "{ viewer { session { id } } }").await;
    let mut socket = there.follow(&ann).await;
    let input = json!({ "id": own["viewer"]["session"]["id"] });
    let (_, since) = here.change(&owner, "revokeSession", input, "session { id }").await;
    there.refuses(&ann, since).await;
    closes(&mut socket, since).await;
    there.data(&stays, "{ viewer { isMaster } }").await;
}

async fn a_disabled_users_session_is_refused_by_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let (here, there) = (&pair.here, &pair.there);
    let (owner, ann, bob) = (
        here.sign_in("owner@acme").await,
        there.sign_in("ann@acme").await,
        there.sign_in("bob@acme").await,
    );
    let mut socket = there.follow(&ann).await;
    let input = json!({ "id": id(here, &owner, "ann@acme").await });
    let (_, since) = here.change(&owner, "disableUser", input, "user { status }").await;
    there.refuses(&ann, since).await;
    closes(&mut socket, since).await;
    assert_eq!(there.answer("ann@acme", PASSWORD).await, "DISABLED");
    there.data(&bob, "{ viewer { isMaster } }").await;
}

async fn a_frozen_account_is_refused_by_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let (here, there) = (&pair.here, &pair.there);
    let (root, owner, ann) = (
        here.sign_in("root@system").await,
        there.sign_in("owner@acme").await,
        there.sign_in("ann@acme").await,
    );
    let input = json!({ "name": "reports", "roles": [] });
    let (made, _) = there.change(&owner, "createApiToken", input, "secret").await;
    let secret = made["secret"].as_str().unwrap();
    let own = there.data(secret, "{ viewer { account { id } } }").await;
    let (mut of_ann, mut of_token) = (there.follow(&ann).await, there.follow(secret).await);

    let input = json!({ "id": own["viewer"]["account"]["id"] });
    let (_, since) = here.change(&root, "freezeAccount", input, "account { status }").await;
    for token in [&ann, &owner, secret] {
        there.refuses(token, since).await;
    }
    for socket in [&mut of_ann, &mut of_token] {
        closes(socket, since).await;
    }
    assert_eq!(there.answer("ann@acme", PASSWORD).await, "ACCOUNT_FROZEN");
}

async fn a_revoked_token_is_refused_by_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let (here, there) = (&pair.here, &pair.there);
    let owner = here.sign_in("owner@acme").await;
    let input = json!({ "name": "reports", "roles": [] });
    let fields = "secret apiToken { id }";
    let (made, _) = here.change(&owner, "createApiToken", input, fields).await;
    let secret = made["secret"].as_str().unwrap();
    there.data(secret, "{ viewer { apiToken { id } } }").await;
    let mut socket = there.follow(secret).await;
    let input = json!({ "id": made["apiToken"]["id"] });
    let (_, since) = here.change(&owner, "revokeApiToken", input, "apiToken { id }").await;
    there.refuses(secret, since).await;
    closes(&mut socket, since).await;
}

async fn a_sign_in_at_one_reaches_a_subscriber_at_the_other(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    let (here, there) = (&pair.here, &pair.there);
    let owner = here.sign_in("owner@acme").await;
    let mut socket = there.follow(&owner).await;
    here.sign_in("ann@acme").await;
    here.answer("ann@acme", "wrong").await;
    here.answer("ghost@acme", "wrong").await;
    for (login, outcome) in [
        ("ann@acme", "SUCCESS"),
        ("ann@acme", "WRONG_PASSWORD"),
        ("ghost@acme", "UNKNOWN_USER"),
    ] {
        let event = socket.event("a").await["loginEvents"].clone();
        assert_eq!(event, json!({ "attemptedLogin": login, "outcome": outcome }));
    }
}

async fn wrong_passwords_spread_over_both_lock_and_one_unlocks_both(backend: Backend) {
    let pair = Pair::start(backend, &[]);
    for n in 0..THRESHOLD {
        for login in ["ann@acme", "ghost@acme"] {
            let answer = pair.in_turn(n).answer(login, "wrong").await;
            assert_eq!(answer, "WRONG_CREDENTIALS", "{n} {login}");
        }
    }
    for at in pair.both() {
        for login in ["ann@acme", "ghost@acme"] {
            assert_eq!(at.answer(login, PASSWORD).await, "LOCKED", "{login}");
        }
    }
    let owner = pair.here.sign_in("owner@acme").await;
    let input = json!({ "id": id(&pair.here, &owner, "ann@acme").await });
    pair.here
        .change(&owner, "unlockUser", input, "user { lockedUntil }")
        .await;
    pair.there.sign_in("ann@acme").await;
}

async fn guesses_sent_at_once_over_both_pass_no_lock(backend: Backend) {
    // Hashes that take their time, so that several guesses are being tried at any moment.
    let slow = [
        ("DOORWARD_PASSWORD__MEMORY_KIB", "19456"),
        ("DOORWARD_PASSWORD__ITERATIONS", "2"),
    ];
    let pair = Pair::start(backend, &slow);
    for login in ["ann@acme", "bob@acme", "ghost@acme"] {
        let guesses = (0..4 * THRESHOLD).map(|n| pair.in_turn(n).answer(login, "wrong"));
        let answers = join_all(guesses).await;
        let those = |code: &str| answers.iter().filter(|answer| *answer == code).count();
        let (tried, locked) = (those("WRONG_CREDENTIALS"), those("LOCKED"));
        assert_eq!(tried + locked, answers.len(), "{login}: {answers:?}");
        assert!(tried <= THRESHOLD, "{login}: {tried} guesses were tried");
        for at in pair.both() {
            assert_eq!(at.answer(login, PASSWORD).await, "LOCKED", "{login}");
        }
    }
}

/// Runs it within one minute, by which attempts are counted: one of which too little is left, or in which something was counted
/// already, is waited out.
async fn within_a_minute<T>(mut run: impl AsyncFnMut() -> T) -> T {
    let second = || SystemClock.now().as_second();
    let next_minute = async || tokio::time::sleep(Duration::from_secs((60 - second() % 60).unsigned_abs())).await;
    if second() % 60 > 40 {
        next_minute().await;
    }
    loop {
        let begun = second() / 60;
        let result = run().await;
        if second() / 60 == begun {
            return result;
        }
        next_minute().await;
    }
}

async fn the_limit_for_a_login_is_shared(backend: Backend) {
    let pair = Pair::start(backend, &[("DOORWARD_LIMITS__SIGN_IN_PER_LOGIN", "6")]);
    let (answers, other) = within_a_minute(async || {
        let mut answers = Vec::new();
        for n in 0..8 {
            answers.push(pair.in_turn(n).answer("ann@acme", PASSWORD).await);
        }
        (answers, pair.there.answer("bob@acme", PASSWORD).await)
    })
    .await;
    assert_eq!(answers[..6], ["SIGNED_IN"; 6]);
    assert_eq!(answers[6..], ["RATE_LIMITED"; 2], "one at each");
    assert_eq!(other, "SIGNED_IN");
}

async fn the_limit_for_an_address_is_shared(backend: Backend) {
    let pair = Pair::start(backend, &[("DOORWARD_LIMITS__SIGN_IN_PER_ADDRESS", "6")]);
    let answers = within_a_minute(async || {
        let mut answers = Vec::new();
        for (n, login) in ["owner@acme", "ann@acme", "bob@acme", "root@system"]
            .into_iter()
            .cycle()
            .take(8)
            .enumerate()
        {
            answers.push(pair.in_turn(n).answer(login, PASSWORD).await);
        }
        answers
    })
    .await;
    assert_eq!(answers[..6], ["SIGNED_IN"; 6]);
    assert_eq!(answers[6..], ["RATE_LIMITED"; 2], "one at each");
}

async fn one_login_is_taken_once(backend: Backend) {
    const MANY: usize = 200;
    let pair = Pair::start(backend, &[]);
    let owner = pair.here.sign_in("owner@acme").await;
    let input = json!({ "login": "one" });
    let attempts = (0..MANY).map(|n| {
        pair.in_turn(n)
            .mutate(&owner, "createUser", input.clone(), "user { id }")
    });
    let payloads = join_all(attempts).await;
    let made: Vec<&Value> = payloads.iter().filter(|p| !p["user"].is_null()).collect();
    let taken = json!([{ "code": "TAKEN", "path": ["login"] }]);
    let refused = payloads.iter().filter(|p| p["userErrors"] == taken).count();
    assert_eq!((made.len(), refused), (1, MANY - 1));
    for at in pair.both() {
        assert_eq!(id(at, &owner, "one@acme").await, made[0]["user"]["id"]);
        let query = "{ auditLog(filter: {action: \"createUser\"}) { nodes { targetName } } }";
        let log = at.data(&owner, query).await;
        let entries = log["auditLog"]["nodes"].as_array().unwrap();
        let of_one = entries.iter().filter(|e| e["targetName"] == "one@acme").count();
        assert_eq!(of_one, 1, "{log:#}");
    }
}
