//! Buckets: their objects, and how they behave.

use crate::locks::{lock, read, write};
use crate::plan::{Plan, Seen};
use crate::{Faults, Object, Rule, Shaping};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Instant;

/// So many earlier versions of an object are remembered.
const MAX_HISTORY: usize = 64;

/// How a bucket behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) shaping: Shaping,
    pub(crate) faults: Faults,
    pub(crate) rules: Vec<Rule>,
}

/// All buckets.
pub(crate) struct Store {
    buckets: RwLock<HashMap<String, Arc<Bucket>>>,
    defaults: Settings,
}

impl Store {
    pub(crate) fn new(defaults: Settings) -> Self {
        Self {
            buckets: RwLock::default(),
            defaults,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Bucket>> {
        read(&self.buckets).get(name).cloned()
    }

    pub(crate) fn find_or_create(&self, name: &str) -> Arc<Bucket> {
        if let Some(bucket) = self.find(name) {
            return bucket;
        }
        let create = || Arc::new(Bucket::new(self.defaults.clone()));
        write(&self.buckets)
            .entry(name.to_owned())
            .or_insert_with(create)
            .clone()
    }

    pub(crate) fn remove(&self, name: &str) {
        write(&self.buckets).remove(name);
    }
}

/// The objects of a bucket by key, in the order of their bytes.
pub(crate) type Objects = BTreeMap<Box<str>, Entry>;

/// An object and what stood in its place before, oldest first.
pub(crate) struct Entry {
    pub(crate) object: Object,
    history: Vec<Object>,
}

/// One bucket.
pub(crate) struct Bucket {
    objects: RwLock<Objects>,
    settings: RwLock<Arc<Settings>>,
    seen: Mutex<Seen>,
    scheduled: Mutex<Vec<Scheduled>>,
    has_scheduled: AtomicBool,
}

/// An overwrite to come.
struct Scheduled {
    key: String,
    object: Object,
    due: Due,
}

/// When an overwrite is due.
pub(crate) enum Due {
    /// When so many more requests for the object were read.
    Requests(u64),
    /// At a time.
    At(Instant),
}

impl Bucket {
    fn new(settings: Settings) -> Self {
        Self {
            objects: RwLock::default(),
            settings: RwLock::new(Arc::new(settings)),
            seen: Mutex::default(),
            scheduled: Mutex::default(),
            has_scheduled: AtomicBool::new(false),
        }
    }

    pub(crate) fn put(&self, key: &str, object: Object) {
        let mut objects = write(&self.objects);
        match objects.get_mut(key) {
            Some(entry) => entry.overwrite(object),
            None => _ = objects.insert(key.into(), Entry::new(object)),
        }
    }

    pub(crate) fn put_many(&self, many: impl Iterator<Item = (String, Object)>) {
        let mut objects = write(&self.objects);
        for (key, object) in many {
            objects.insert(key.into_boxed_str(), Entry::new(object));
        }
    }

    pub(crate) fn remove(&self, key: &str) -> Option<Object> {
        write(&self.objects).remove(key).map(|entry| entry.object)
    }

    pub(crate) fn object(&self, key: &str) -> Option<Object> {
        read(&self.objects).get(key).map(|entry| entry.object.clone())
    }

    pub(crate) fn versions(&self, key: &str) -> Vec<Object> {
        let objects = read(&self.objects);
        let Some(entry) = objects.get(key) else {
            return Vec::new();
        };
        entry.history.iter().chain([&entry.object]).cloned().collect()
    }

    pub(crate) fn objects(&self) -> RwLockReadGuard<'_, Objects> {
        read(&self.objects)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        read(&self.settings).clone()
    }

    /// Changes how the bucket behaves; what was counted for faults and rules begins anew.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = write(&self.settings);
        change(Arc::make_mut(&mut settings));
        *lock(&self.seen) = Seen::default();
    }

    pub(crate) fn plan(&self, key: &str, range: Option<(u64, u64)>) -> Plan {
        Plan::of_object(&self.settings(), || lock(&self.seen), key, range)
    }

    pub(crate) fn plan_list(&self, query: &str) -> Plan {
        Plan::of_list(&self.settings(), || lock(&self.seen), query)
    }

    pub(crate) fn schedule(&self, key: &str, object: Object, due: Due) {
        lock(&self.scheduled).push(Scheduled {
            key: key.to_owned(),
            object,
            due,
        });
        self.has_scheduled.store(true, Ordering::Release);
    }

    /// Does the overwrites that are due at `now`, when a request for `key` (if for one) was read.
    pub(crate) fn catch_up(&self, now: Instant, key: Option<&str>) {
        if !self.has_scheduled.load(Ordering::Acquire) {
            return;
        }
        let mut scheduled = lock(&self.scheduled);
        for overwrite in scheduled.extract_if(.., |scheduled| scheduled.is_due(now, key)) {
            self.put(&overwrite.key, overwrite.object);
        }
        self.has_scheduled.store(!scheduled.is_empty(), Ordering::Release);
    }
}

impl Scheduled {
    /// Whether it is time, counting a request for `key`.
    fn is_due(&mut self, now: Instant, key: Option<&str>) -> bool {
        match &mut self.due {
            Due::At(time) => *time <= now,
            Due::Requests(0) => true,
            Due::Requests(left) => {
                *left -= u64::from(key == Some(self.key.as_str()));
                false
            }
        }
    }
}

impl Entry {
    fn new(object: Object) -> Self {
        Self {
            object,
            history: Vec::new(),
        }
    }

    fn overwrite(&mut self, object: Object) {
        if self.history.len() == MAX_HISTORY {
            self.history.remove(0);
        }
        self.history.push(std::mem::replace(&mut self.object, object));
    }
}
