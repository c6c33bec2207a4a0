//! Many pages of a listing at once, in key order.

mod folder;
mod manifest;
mod pages;
mod parallel;
mod pattern;
mod ruler;
pub(crate) mod s3;
mod split;
#[cfg(test)]
mod tests;

pub(crate) use folder::Folder;
pub(crate) use manifest::Manifest;
pub(crate) use pages::{Listed, Page, Pages};
pub(crate) use parallel::Listing;
pub(crate) use pattern::Pattern;
pub(crate) use split::Bounds;
