//! `doorward schema`: the GraphQL schema.

use crate::cli::output::Output;
use crate::graphql::Api;

pub(super) fn run() -> anyhow::Result<()> {
    let mut out = Output::new(false);
    out.text(&Api::sdl())?;
    out.finish()
}
