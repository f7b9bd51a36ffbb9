//! In and out: a whole store into another, and people from and into files.

mod copy;
mod export;
mod fields;
mod format;
mod import;
mod known;
mod lines;
mod parse;

pub use copy::{CopyError, CopyProgress, CopyStage, KindReport, Tally, copy_store};
pub use export::ExportOptions;
pub use format::FileFormat;
pub use import::{Counts, ImportEvent, ImportOptions, ImportReport};
