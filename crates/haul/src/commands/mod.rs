//! One file per command.

pub(crate) mod account;
pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod contain;
pub(crate) mod crawl;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod extract_pdf;
pub(crate) mod get;
pub(crate) mod item;
pub(crate) mod ls;
pub(crate) mod pack;
pub(crate) mod package;
pub(crate) mod pkgindex;
pub(crate) mod replay;
pub(crate) mod ruling;
pub(crate) mod run;
pub(crate) mod scraper;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod source;
mod source_process;
pub(crate) mod up;
