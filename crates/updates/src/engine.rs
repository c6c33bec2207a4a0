use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use crate::port::{
    Assignment, LogError, NewRecord, Partition, Position, Record, Subscription, Topic, Watermarks,
};

/// What the embedded log needs of a place to keep records. Synchronous: [`Embedded`](crate::embedded::Embedded) makes
/// the port of it, with waiting and consumers.
pub(crate) trait Engine: Send + Sync + 'static {
    fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError>;
    fn topics(&self) -> Result<Vec<Topic>, LogError>;
    fn delete_topic(&self, name: &str) -> Result<(), LogError>;
    fn append(&self, topic: &str, records: &[NewRecord], now: Timestamp) -> Result<Vec<Position>, LogError>;
    fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError>;
    fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError>;
    fn clean_up(&self, now: Timestamp) -> Result<u64, LogError>;

    /// A number that differs from an earlier one if anything was written since, by this process or another.
    fn stamp(&self) -> Result<u64, LogError>;

    /// Grows when a topic, or a member of any group, comes or goes: then assignments may have changed.
    fn layout(&self) -> Result<u64, LogError>;

    /// Joins the group or renews the membership, removes members whose time is over, and says what `member` owns.
    fn heartbeat(&self, beat: &Beat<'_>) -> Result<Assignment, LogError>;
    fn leave(&self, group: &str, member: &str) -> Result<(), LogError>;
    fn members(&self, group: &str, now: Timestamp) -> Result<Vec<String>, LogError>;
    fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError>;

    /// Takes the offset if `member` owns the partition.
    fn commit(&self, group: &str, member: &str, partition: &Partition, next: u64) -> Result<(), LogError>;
}

/// One sign of life of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat<'a> {
    pub(crate) group: &'a str,
    pub(crate) member: &'a str,
    pub(crate) subscription: &'a Subscription,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Where the embedded log takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the embedded log treats its members.
#[derive(Clone)]
pub struct LogOptions {
    /// A member that does not poll for so long has left its group: 10 s.
    pub session: Duration,
    /// How often a waiting poll looks for what other processes appended: 50 ms. Appends of this process wake it at
    /// once.
    pub recheck: Duration,
    /// The time; the system's by default.
    pub clock: Clock,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            session: Duration::from_secs(10),
            recheck: Duration::from_millis(50),
            clock: Arc::new(|| Timestamp::from(std::time::SystemTime::now())),
        }
    }
}

impl std::fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogOptions")
            .field("session", &self.session)
            .field("recheck", &self.recheck)
            .finish_non_exhaustive()
    }
}
