//! What the rows share: servers and data that are made when the first row asks for them, and how turns are taken.

use std::cell::OnceCell;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::data;
use crate::load::{Ask, Client, Sample};
use crate::options::Options;
use crate::site::{Site, Size};
use crate::support::mongod::PrivateMongod;

/// Enough for all of the data: reading from the disk is not what is measured.
const CACHE_GB: f64 = 1.0;
/// Turns of each side.
const ROUNDS: usize = 3;
/// The usual number of connections.
pub const CONNECTIONS: usize = 16;

/// See the module. Fields end in this order: who uses a server before the server.
#[derive(Debug)]
pub struct Bench {
    mongo: OnceCell<Site>,
    sqlite: OnceCell<Site>,
    mongod: OnceCell<PrivateMongod>,
    peers: OnceCell<String>,
    peers_sign_ins: OnceCell<()>,
    /// For what is no load.
    pub runtime: Runtime,
    pub options: Options,
}

impl Bench {
    /// Nothing is started yet.
    pub fn new(options: Options) -> Self {
        Self {
            mongo: OnceCell::new(),
            sqlite: OnceCell::new(),
            mongod: OnceCell::new(),
            peers: OnceCell::new(),
            peers_sign_ins: OnceCell::new(),
            runtime: Runtime::new().unwrap(),
            options,
        }
    }

    /// How much is made up on both sides.
    pub fn size(&self) -> Size {
        Size {
            accounts: 10,
            users: if self.options.quick { 10_000 } else { 100_000 },
            sign_ins: 10,
        }
    }

    /// How long a turn is.
    pub fn turn(&self) -> Duration {
        Duration::from_secs(if self.options.quick { 2 } else { 8 })
    }

    /// The gateway over MongoDB.
    pub fn mongo(&self) -> &Site {
        self.mongo
            .get_or_init(|| Site::new(Some(&self.database("doorward")), self.size()))
    }

    /// The gateway over the embedded store.
    pub fn sqlite(&self) -> &Site {
        self.sqlite.get_or_init(|| Site::new(None, self.size()))
    }

    /// The URL of the peers' database, with everything in it but the collection of sign-ins.
    pub fn peers(&self) -> &str {
        self.peers.get_or_init(|| {
            eprintln!("    the same for the peers");
            let url = self.database("peers");
            self.runtime.block_on(data::load(&url, self.size()));
            url
        })
    }

    /// The same with the sign-ins.
    pub fn peers_with_sign_ins(&self) -> &str {
        let url = self.peers();
        self.peers_sign_ins
            .get_or_init(|| self.runtime.block_on(data::load_sign_ins(url, self.size())));
        url
    }

    /// The URL of a database on a server of the suite's own.
    fn database(&self, name: &str) -> String {
        let mongod = self
            .mongod
            .get_or_init(|| self.runtime.block_on(PrivateMongod::start_with_cache(true, CACHE_GB)));
        mongod.url().replace("/?", &format!("/{name}?"))
    }

    /// A closed loop of one turn.
    pub fn closed_loop(&self, ask: &Ask, connections: usize) -> Sample {
        Client::new(ask.clone(), connections).closed_loop(self.turn()).whole()
    }

    /// Lets each side have its turn, again and again; answers each side's median. What comes first is not counted:
    /// connections, caches, compilers.
    pub fn rotate(&self, mut sides: Vec<Side<'_>>) -> Vec<f64> {
        let mut figures = vec![Vec::with_capacity(ROUNDS); sides.len()];
        for round in 0..=ROUNDS {
            for ((name, turn), figures) in sides.iter_mut().zip(&mut figures) {
                let found = turn();
                let counted = if round == 0 { "(warming up)" } else { "" };
                eprintln!("    {round} {name:16} {found:10.2} {counted}");
                if round > 0 {
                    figures.push(found);
                }
            }
        }
        figures.into_iter().map(median).collect()
    }

    /// The same with a closed loop on the usual connections as each side's turn, of which one figure counts.
    pub fn rotate_loops(&self, sides: Vec<(&str, Ask)>, figure: fn(&Sample) -> f64) -> Vec<f64> {
        let turn = |ask: Ask| move || figure(&self.closed_loop(&ask, CONNECTIONS));
        let sides = sides.into_iter().map(|(name, ask)| side(name, turn(ask)));
        self.rotate(sides.collect())
    }
}

/// One of those that are compared: its name, and its turn, which comes to a figure.
pub type Side<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

/// See [`Side`].
pub fn side<'a>(name: &'a str, turn: impl FnMut() -> f64 + 'a) -> Side<'a> {
    (name, Box::new(turn))
}

/// The middle one of several; of an even number the lower of the two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[(figures.len() - 1) / 2]
}
