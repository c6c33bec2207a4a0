//! What can be said about objects in buckets, on the web and on disks.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ValueHint;
use clap::{Args, ValueEnum};

use crate::quantity::{self, ByteRange};

const GET_EXAMPLES: &str = "\
Examples:
  haul get s3://bucket/photos/ photos             everything below photos/
  haul get 's3://bucket/logs/2025-*/*.gz' logs    what fits the pattern
  haul get https://host/file.iso .                one file from the web
  haul get --anonymous s3://public/data/ data     a public bucket
  haul get --endpoint http://nas:9000 s3://b/ b   MinIO and its like
  haul get --manifest list.txt out                one address a line
  haul get s3://bucket/a.tar - | tar x            to stdout

Exit codes: 0 all files are there, 1 a file failed (stderr names it), 2 wrong usage, 3 nothing was chosen,
130 interrupted (the same command goes on).";

const CAT_EXAMPLES: &str = "\
Examples:
  haul cat s3://bucket/a.gz | zcat | head
  haul cat --range 0-99 https://host/file
  haul cat 's3://bucket/part-*' > whole

Nothing follows a file that fails, so stdout is always a beginning of what was asked for; the exit code is 1 then.";

const LS_EXAMPLES: &str = "\
Examples:
  haul ls s3://bucket/                  objects and folders, with what the folders hold
  haul ls -r s3://bucket/photos/        every object
  haul ls --total 's3://bucket/*.gz'    how many, how large
  haul ls -r --json s3://bucket/ | jq -r .location

Exit codes: 0 listed, 1 failed, 2 wrong usage, 3 nothing is there.";

/// How buckets are reached.
#[derive(Debug, Args, Clone, Default)]
#[command(next_help_heading = "Buckets")]
pub(crate) struct Reach {
    /// Ask without credentials, as public buckets want it
    #[arg(long, conflicts_with = "profile")]
    pub(crate) anonymous: bool,
    /// The server of the buckets, where it is not the provider's own: http://host:9000
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) endpoint: Option<String>,
    /// The region of the bucket [default: AWS_REGION, the profile's, us-east-1]
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// The profile of ~/.aws/credentials and ~/.aws/config [default: AWS_PROFILE, default]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// How much at a time.
#[derive(Debug, Args, Clone, Default)]
#[command(next_help_heading = "Speed and patience")]
pub(crate) struct Effort {
    /// Requests at a time at most [default: 256; how many it takes is measured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: Option<u16>,
    /// Bytes on their way or waiting at most, such as 64MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = quantity::some_bytes)]
    pub(crate) memory: Option<u64>,
    /// Bytes of one request [default: fits the file]
    #[arg(long, value_name = "SIZE", value_parser = quantity::some_bytes)]
    pub(crate) chunk: Option<u64>,
    /// Bytes per second at most, such as 60MB/s
    #[arg(long, value_name = "SIZE[/s]", value_parser = quantity::rate)]
    pub(crate) limit_rate: Option<u64>,
    /// Attempts without a new byte [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) attempts: Option<u32>,
    /// No byte for so long is a failed attempt [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = quantity::seconds)]
    pub(crate) stall: Option<Duration>,
    /// What to do when an object is overwritten meanwhile
    #[arg(long, value_enum, default_value_t = OnChange::Fail)]
    pub(crate) on_change: OnChange,
    /// Do not compare checksums
    #[arg(long)]
    pub(crate) no_verify: bool,
}

/// Which of the objects.
#[derive(Debug, Args, Clone, Default)]
#[command(next_help_heading = "Which files")]
pub(crate) struct Choice {
    /// Only names that fit; without '/' the last part counts. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// No names that fit, whatever --include says. May be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
}

/// What to do when an object is overwritten while it is retrieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnChange {
    /// The file fails
    #[default]
    Fail,
    /// The file begins anew
    Restart,
}

/// The order of files on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// As they were asked for
    #[default]
    Request,
    /// As they are ready
    Completion,
}

#[derive(Debug, Args)]
#[command(
    after_help = GET_EXAMPLES,
    override_usage = "haul get [OPTIONS] <ADDRESS>... <DEST>\n       haul get [OPTIONS] --manifest <FILE> [ADDRESS]... <DEST>"
)]
pub(crate) struct Get {
    /// s3://, gs://, az://, https:// or file:// addresses: an object, a folder, a glob. The last word, DEST, is a folder, a
    /// file (for one object), or - for stdout
    #[arg(required = true, value_name = "ADDRESS|DEST")]
    pub(crate) words: Vec<String>,
    /// Fetch what this file names: an address a line, or address, tab, name, or JSON; - is stdin
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: Option<PathBuf>,
    /// Leave files alone that are there with the object's size and time
    #[arg(long)]
    pub(crate) cache: bool,
    /// Begin every file anew, whatever an earlier run left
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// Save what .gz, .tgz and .zst files hold
    #[arg(long)]
    pub(crate) decompress: bool,
    /// Write checksums for sha256sum -c
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sha256: Option<PathBuf>,
    /// Write what happens, as JSON lines
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) events: Option<PathBuf>,
    /// Ask a command about every file before it gets its name, as exec:'unzip -tq {}'. May be repeated
    #[arg(long = "hook", value_name = "exec:CMD")]
    pub(crate) hooks: Vec<String>,
    /// On stdout: in which order
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: Order,
    /// Only say what would be fetched
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) effort: Effort,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct Cat {
    /// Objects, folders or globs
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<String>,
    /// Only these bytes of each object: 0-99, 100-
    #[arg(long, value_name = "A-B", value_parser = quantity::byte_range)]
    pub(crate) range: Option<ByteRange>,
    /// In which order files come
    #[arg(long, value_enum, default_value_t)]
    pub(crate) order: Order,
    /// Write what .gz, .tgz and .zst files hold
    #[arg(long)]
    pub(crate) decompress: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) effort: Effort,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct Ls {
    /// Buckets, folders, objects or globs
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<String>,
    /// Every object, not the folders that hold them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Only how many objects there are and how large they are
    #[arg(long)]
    pub(crate) total: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::cli::{Action, Cli, command};

    fn parse(words: &str) -> Result<Action, clap::Error> {
        let matches = command().try_get_matches_from(words.split(' '))?;
        Ok(Cli::from_arg_matches(&matches)?.command)
    }

    #[test]
    fn the_last_word_is_the_destination_and_flags_may_be_anywhere() {
        let line = "haul get s3://b/k --limit-rate 60MB/s --memory 64MiB s3://b/l out --include *.jpg --include *.png";
        let Ok(Action::Get(get)) = parse(line) else {
            panic!("it is a get");
        };
        assert_eq!(get.words, ["s3://b/k", "s3://b/l", "out"]);
        assert_eq!(get.effort.limit_rate, Some(60_000_000));
        assert_eq!(get.effort.memory, Some(64 << 20));
        assert_eq!(get.choice.include, ["*.jpg", "*.png"]);
        assert_eq!(
            (get.order, get.effort.on_change),
            (Order::Request, OnChange::Fail)
        );
    }

    #[test]
    fn stdout_is_a_word() {
        assert!(matches!(parse("haul get s3://b/k -"), Ok(Action::Get(get)) if get.words[1] == "-"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "haul get",
            "haul cat",
            "haul get --connections 0 s3://b/k out",
            "haul get --memory 64M s3://b/k out",
            "haul get --anonymous --profile work s3://b/k out",
            "haul get --on-change maybe s3://b/k out",
            "haul cat --range 9-3 s3://b/k",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
