use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::{Answer, Numbers, Request, Site};

/// The host that the site is known by.
pub const HOST: &str = "garden.example";

/// A site that changes from day to day as a seed says: pages come, change, go, move, fail for a day, answer slowly, or are
/// named by nobody any more. It knows what a search of it must find after each crawl.
///
/// Its pages are a tree: each is named by one other.
pub struct ChangingSite {
    site: Site,
    garden: Arc<Mutex<Garden>>,
    numbers: Numbers,
}

/// What a day brings at most.
const ADDED: u64 = 8;
const CHANGED: u64 = 12;
const REMOVED: u64 = 4;
const UNNAMED: u64 = 2;
const MOVED: u64 = 2;
const FAILING: u64 = 4;
const SLOW: u64 = 5;

#[derive(Default)]
struct Garden {
    plants: Vec<Plant>,
}

/// One page.
#[derive(Clone, Debug)]
struct Plant {
    parent: usize,
    edition: u32,
    fate: Fate,
    /// Whether its parent names it.
    is_named: bool,
    fails: bool,
    slowness: Duration,
    /// The edition that a search finds.
    found: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Here,
    Gone(u16),
    MovedTo(usize),
}

impl ChangingSite {
    /// Serves the site as it is before the first day, with this many pages.
    pub fn serve(seed: u64, pages: usize) -> Result<Self> {
        let mut numbers = Numbers(seed);
        let mut garden = Garden::default();
        for _ in 0..pages {
            garden.grow(&mut numbers);
        }
        let garden = Arc::new(Mutex::new(garden));
        let served = Arc::clone(&garden);
        let site = Site::serve(move |request| lock(&served).answer(request))?;
        Ok(Self {
            site,
            garden,
            numbers,
        })
    }

    /// Where it is served.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The address to begin at.
    pub fn start(&self) -> String {
        self.site.url(HOST, "/p/0")
    }

    /// A new day.
    pub fn next_day(&mut self) {
        lock(&self.garden).change(&mut self.numbers);
    }

    /// A day on which nothing fails.
    pub fn quiet_day(&mut self) {
        let mut garden = lock(&self.garden);
        garden.change(&mut self.numbers);
        garden.plants.iter_mut().for_each(|plant| plant.fails = false);
    }

    /// Titles by path that a search must find after a complete crawl of this day.
    pub fn expected(&self) -> BTreeMap<String, String> {
        let mut garden = lock(&self.garden);
        garden.be_crawled();
        let found = |(number, plant): (usize, &Plant)| Some((path(number), title(number, plant.found?)));
        garden.plants.iter().enumerate().filter_map(found).collect()
    }
}

fn lock(garden: &Mutex<Garden>) -> MutexGuard<'_, Garden> {
    garden.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(number: usize) -> String {
    format!("/p/{number}")
}

fn title(number: usize, edition: u32) -> String {
    format!("Plant {number} edition {edition}")
}

impl Garden {
    fn grow(&mut self, numbers: &mut Numbers) -> usize {
        let number = self.plants.len();
        let parents: Vec<usize> = (0..number).filter(|parent| self.is_rooted(*parent)).collect();
        let parent = match parents.as_slice() {
            [] => 0,
            parents => parents[numbers.below(parents.len() as u64) as usize],
        };
        self.plants.push(Plant {
            parent,
            edition: 1,
            fate: Fate::Here,
            is_named: true,
            fails: false,
            slowness: Duration::ZERO,
            found: None,
        });
        number
    }

    /// Whether it is here and named, and so is every page above it.
    fn is_rooted(&self, number: usize) -> bool {
        let plant = &self.plants[number];
        let is_itself = plant.fate == Fate::Here && plant.is_named;
        is_itself && (number == 0 || self.is_rooted(plant.parent))
    }

    /// Some pages for which it holds, never the first one.
    fn some(&self, numbers: &mut Numbers, most: u64, holds: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let mut fit: Vec<usize> = (1..self.plants.len())
            .filter(|number| holds(self, *number))
            .collect();
        let count = numbers.below(most + 1).min(fit.len() as u64);
        (0..count)
            .map(|_| fit.swap_remove(numbers.below(fit.len() as u64) as usize))
            .collect()
    }

    fn is_leaf(&self, number: usize) -> bool {
        self.is_rooted(number) && !self.plants.iter().skip(1).any(|plant| plant.parent == number)
    }

    fn change(&mut self, numbers: &mut Numbers) {
        for plant in &mut self.plants {
            plant.fails = false;
            plant.slowness = Duration::ZERO;
        }
        for number in self.some(numbers, REMOVED, Self::is_leaf) {
            let status = if numbers.below(2) == 0 { 404 } else { 410 };
            self.plants[number].fate = Fate::Gone(status);
            self.plants[number].is_named = numbers.below(2) == 0;
        }
        for number in self.some(numbers, UNNAMED, Self::is_leaf) {
            self.plants[number].is_named = false;
        }
        for number in self.some(numbers, MOVED, Self::is_leaf) {
            let target = self.grow(numbers);
            self.plants[target].parent = self.plants[number].parent;
            self.plants[number].fate = Fate::MovedTo(target);
        }
        for _ in 0..numbers.below(ADDED + 1) {
            self.grow(numbers);
        }
        for number in self.some(numbers, CHANGED, Self::is_rooted) {
            self.plants[number].edition += 1;
        }
        for number in self.some(numbers, FAILING, Self::is_rooted) {
            self.plants[number].fails = true;
        }
        for number in self.some(numbers, SLOW, Self::is_rooted) {
            self.plants[number].slowness = Duration::from_millis(numbers.below(300));
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let number = request
            .path
            .strip_prefix("/p/")
            .and_then(|number| number.parse().ok());
        let Some((number, plant)) = number.and_then(|number: usize| Some((number, self.plants.get(number)?)))
        else {
            return Answer::status(404);
        };
        match plant.fate {
            _ if plant.fails => Answer::status(503),
            Fate::Gone(status) => Answer::status(status),
            Fate::MovedTo(target) => Answer::status(301).header("location", path(target)),
            Fate::Here => {
                let is_child = |(other, child): &(usize, &Plant)| {
                    *other != 0 && child.parent == number && child.is_named && !self.is_target(*other)
                };
                let children = self.plants.iter().enumerate().filter(is_child);
                let links: Vec<String> = children.map(|(child, _)| path(child)).collect();
                let words = format!("Leaf and root of plant{number} in its edition{}.", plant.edition);
                Answer::page(&title(number, plant.edition), &words, &links)
            }
        }
        .after(plant.slowness)
    }

    /// What moved is named by its old address alone.
    fn is_target(&self, number: usize) -> bool {
        self.plants
            .iter()
            .any(|plant| plant.fate == Fate::MovedTo(number))
    }

    /// What a crawl of today makes of what is found.
    fn be_crawled(&mut self) {
        let seen: Vec<bool> = (0..self.plants.len())
            .map(|number| self.is_seen(number))
            .collect();
        let hidden: Vec<bool> = (0..self.plants.len())
            .map(|number| self.is_hidden(number))
            .collect();
        for (number, plant) in self.plants.iter_mut().enumerate() {
            match plant.fate {
                _ if plant.fails => {}
                Fate::Here if seen[number] => plant.found = Some(plant.edition),
                Fate::Here => {}
                // Below an error nothing is taken for gone, unless it was asked for.
                Fate::Gone(_) | Fate::MovedTo(_) if hidden[number] && !seen[number] => {}
                Fate::Gone(_) | Fate::MovedTo(_) => plant.found = None,
            }
        }
    }

    /// Whether the crawl asks for it: what leads to it answers today.
    fn is_seen(&self, number: usize) -> bool {
        if number == 0 {
            return true;
        }
        if let Some(from) = self
            .plants
            .iter()
            .position(|plant| plant.fate == Fate::MovedTo(number))
        {
            return !self.plants[from].fails && self.is_seen(from);
        }
        let plant = &self.plants[number];
        plant.is_named && self.answers(plant.parent) && self.is_seen(plant.parent)
    }

    fn answers(&self, number: usize) -> bool {
        let plant = &self.plants[number];
        plant.fate == Fate::Here && !plant.fails
    }

    /// Whether a page above it fails today.
    fn is_hidden(&self, number: usize) -> bool {
        let parent = self.plants[number].parent;
        number != 0 && (self.plants[parent].fails || self.is_hidden(parent))
    }
}
