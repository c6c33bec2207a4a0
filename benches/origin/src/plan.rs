//! What a request meets: delay, rate and fault, from the bucket's rules, shaping and faults.

use crate::draw::Draw;
use crate::store::Settings;
use crate::{Effect, Fault};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::DerefMut;
use std::time::Duration;

/// What one request meets.
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    /// Bytes per second.
    pub(crate) rate: Option<u64>,
    pub(crate) fault: Option<Fault>,
    /// How long a stall lasts; `None` is until the client closes.
    pub(crate) stall: Option<Duration>,
    after_bytes: Option<u64>,
    draw: Draw,
}

/// What a bucket remembers of the requests that it saw, as far as faults and rules depend on it. Things are known by
/// their hash.
#[derive(Default)]
pub(crate) struct Seen {
    requests: HashMap<u64, Met>,
    object_faults: HashMap<u64, u32>,
    rule_matches: HashMap<u64, u64>,
}

/// How often a request was seen and how many faults it met.
#[derive(Default)]
struct Met {
    times: u32,
    faults: u32,
}

impl Plan {
    /// A request that meets nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            delay: Duration::ZERO,
            rate: None,
            fault: None,
            stall: None,
            after_bytes: None,
            draw: Draw::new(0, 0),
        }
    }

    /// The plan for a request of a range (first and last byte as asked) of an object.
    pub(crate) fn of_object<S: DerefMut<Target = Seen>>(
        settings: &Settings,
        seen: impl Fn() -> S,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Self {
        let mut plan = Self::drawn(settings, &seen, key, range);
        let offset = range.map_or(0, |(first, _)| first);
        if !settings.rules.is_empty()
            && let Some(effect) = seen().rule(settings, key, offset)
        {
            plan.apply(effect);
        }
        plan
    }

    /// The plan for a page of a list.
    pub(crate) fn of_list<S: DerefMut<Target = Seen>>(
        settings: &Settings,
        seen: impl Fn() -> S,
        query: &str,
    ) -> Self {
        let mut plan = if settings.faults.lists {
            Self::drawn(settings, &seen, query, None)
        } else {
            Self::nothing()
        };
        plan.fault = plan.fault.filter(|fault| fault.suits_lists());
        plan.delay = settings.shaping.list_page.draw(&mut plan.draw);
        plan.rate = settings.shaping.rate;
        plan
    }

    fn drawn<S: DerefMut<Target = Seen>>(
        settings: &Settings,
        seen: &impl Fn() -> S,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Self {
        let (shaping, faults) = (&settings.shaping, &settings.faults);
        let request = hash((key, range));
        let times = if settings.draws() {
            seen().again(request)
        } else {
            0
        };
        let mut draw = Draw::new(faults.seed, (request, times));
        let fault = faults.pick(draw.unit());
        let slow = shaping
            .slow
            .as_ref()
            .filter(|(fraction, _)| draw.unit() < *fraction);
        let delay = slow
            .map_or(&shaping.first_byte, |(_, delay)| delay)
            .draw(&mut draw);
        Self {
            delay,
            rate: shaping.rate,
            fault: fault.filter(|_| seen().may_fail(settings, request, hash(key))),
            stall: faults.stall,
            after_bytes: None,
            draw,
        }
    }

    fn apply(&mut self, effect: &Effect) {
        self.delay = effect.delay.unwrap_or(self.delay);
        self.rate = effect.rate.or(self.rate);
        self.fault = effect.fault.or(self.fault);
        self.after_bytes = effect.after_bytes;
    }

    /// Where in a body of `length` bytes the fault strikes.
    pub(crate) fn fault_position(&mut self, length: u64) -> u64 {
        self.after_bytes
            .unwrap_or_else(|| self.draw.below(length))
            .min(length)
    }
}

impl Settings {
    /// Whether what a request meets depends on how often it was seen.
    fn draws(&self) -> bool {
        !self.faults.is_none() || self.shaping.slow.is_some() || self.shaping.first_byte.is_drawn()
    }
}

impl Seen {
    /// Counts a request and tells how often it was seen before.
    fn again(&mut self, request: u64) -> u32 {
        let met = self.requests.entry(request).or_default();
        met.times += 1;
        met.times - 1
    }

    /// Whether the request may meet one more fault, which it then does.
    fn may_fail(&mut self, settings: &Settings, request: u64, object: u64) -> bool {
        let of_request = &mut self.requests.entry(request).or_default().faults;
        let of_object = self.object_faults.entry(object).or_default();
        if *of_request >= settings.faults.max_per_range || *of_object >= settings.faults.max_per_object {
            return false;
        }
        *of_request += 1;
        *of_object += 1;
        true
    }

    /// The effect of the first rule that is for a request. Every rule counts the requests that match it.
    fn rule<'a>(&mut self, settings: &'a Settings, key: &str, offset: u64) -> Option<&'a Effect> {
        let mut first = None;
        for (number, rule) in settings.rules.iter().enumerate() {
            if !rule.matches(key, offset) {
                continue;
            }
            let count = self.rule_matches.entry(hash((number, key))).or_default();
            *count += 1;
            if rule.requests.contains(count) {
                first = first.or(Some(&rule.effect));
            }
        }
        first
    }
}

fn hash(thing: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
