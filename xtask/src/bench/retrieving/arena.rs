//! Where programs meet: one server, one scratch folder, the same credentials for all.

use super::origin::Origin;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The same made-up credentials for everybody; without them some would ask the cloud's metadata service.
const CREDENTIALS: [(&str, &str); 5] = [
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("RCLONE_CONFIG", "/dev/null"),
];

/// One scenario's server and everybody's programs.
pub(super) struct Arena {
    pub(super) origin: Origin,
    pub(super) haul: PathBuf,
    pub(super) examples: PathBuf,
    pub(super) peers: PathBuf,
    pub(super) script: PathBuf,
}

impl Arena {
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", self.origin.url());
        command
    }

    pub(super) fn haul(&self, words: &[&str]) -> Command {
        let mut command = self.command(&self.haul);
        command.args(words);
        command
    }

    pub(super) fn example(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.command(self.examples.join(name));
        command.args(words);
        command
    }

    pub(super) fn floor(&self, path: &str) -> Command {
        let mut command = self.command(self.examples.join("floor"));
        let address = self.origin.url().trim_start_matches("http://");
        command.args([address, path, "1", "1"]);
        command
    }

    pub(super) fn python(&self, peer: &str, scenario: &str, words: &[&str]) -> Command {
        let mut command = self.command(self.peers.join("python"));
        command
            .arg(&self.script)
            .args([peer, scenario, self.origin.url()])
            .args(words);
        command
    }

    pub(super) fn s5cmd(&self, words: &[&str]) -> Command {
        let mut command = self.command(self.peers.join("s5cmd"));
        command.args(["--endpoint-url", self.origin.url()]).args(words);
        command
    }

    /// `--ignore-checksum`, because the origin's tags look like MD5 sums and are none.
    pub(super) fn rclone(&self, options: &[&str], address: &str, to: &Path) -> Command {
        let mut command = self.command(self.peers.join("rclone"));
        command
            .args(["copy", "--ignore-checksum"])
            .args(options)
            .arg(self.remote(address))
            .arg(to);
        command
    }

    pub(super) fn rclone_list(&self, address: &str) -> Command {
        let mut command = self.command(self.peers.join("rclone"));
        command
            .args(["lsf", "--recursive", "--files-only"])
            .arg(self.remote(address));
        command
    }

    fn remote(&self, address: &str) -> String {
        let endpoint = self.origin.url();
        format!(
            ":s3,provider=Other,env_auth=false,access_key_id=key,secret_access_key=secret,force_path_style=true,\
             list_version=2,endpoint='{endpoint}':{address}"
        )
    }

    pub(super) fn aria2(&self, address: &str, to: &Path) -> Command {
        let mut command = self.command(self.peers.join("aria2c"));
        command
            .args(["--quiet", "-x16", "-s16", "-k8M", "--file-allocation=none", "-d"])
            .arg(to);
        command.arg(format!("{}/{address}", self.origin.url()));
        command
    }
}
