mod bucket;
mod cuts;
mod folder;
mod manifest;
mod pattern;
mod s3;
mod speed;

use crate::list::Page;
