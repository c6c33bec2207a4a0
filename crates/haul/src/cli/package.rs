//! What can be said about what is published.

use clap::Subcommand;

/// Packs and collections under their names.
#[derive(Debug, Subcommand)]
pub(crate) enum Package {
    /// List what is published, with what it needs
    List,
    /// Show one package
    Show {
        /// pack/HOST or collection/NAME
        name: String,
    },
    /// Make a collection, or change one: its packs are kept while it is there
    Collect {
        /// The collection's name: a-z, 0-9, '-' and '.'
        name: String,
        /// The hosts whose packs belong to it
        #[arg(required = true, value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Remove a collection, or withdraw a pack; refused while something needs it
    Rm {
        /// pack/HOST or collection/NAME
        name: String,
    },
}
