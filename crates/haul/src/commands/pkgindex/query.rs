use std::num::NonZero;

use anyhow::Result;
use pkgindex::query::{Cycles, Direction, Order, Orphans, Package, Page, Paged, Questions, Reach, Why};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::place::Place;
use crate::cli::pkgindex::{self as cli, QueryPage, Question};
use crate::exit::Exit;
use crate::output::{self, Lines, Output};

/// Asks a server or a store, and writes the answer.
pub(crate) async fn run(output: Output, query: &cli::Query) -> Result<Exit> {
    let place = Place::open(&query.place)?;
    let asking = Asking { place, output };
    match &query.question {
        Question::Package { name, page } => asking.package(name, page).await,
        Question::Dependencies(reach) => asking.reach(reach, Direction::Dependencies).await,
        Question::Dependents(reach) => asking.reach(reach, Direction::Dependents).await,
        Question::Why { from, to } => asking.why(from, to).await,
        Question::InstallOrder { names, page } => asking.order(names, Direction::Dependencies, page).await,
        Question::RemovalOrder { names, page } => asking.order(names, Direction::Dependents, page).await,
        Question::Cycles { page } => asking.cycles(page).await,
        Question::Orphans { page } => asking.orphans(page).await,
    }
}

/// Who is asked, and how the answer is wanted.
struct Asking {
    place: Place,
    output: Output,
}

type Parameters<'p> = Vec<(&'p str, String)>;

impl Asking {
    /// The answer of the server's `path`, or of `here` to a snapshot of the store.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &Parameters<'_>,
        here: impl FnOnce(Questions) -> Result<T, pkgindex::query::QueryError>,
    ) -> Result<T> {
        match &self.place {
            Place::Server(server) => server.ask(path, parameters).await,
            Place::Here(index) => {
                let snapshot = index.snapshot().await?;
                Ok(here(Questions::new(&snapshot))?)
            }
        }
    }

    /// Writes an answer as JSON, or as `lines` of text.
    fn write<T: Serialize>(&self, answer: &T, lines: impl Iterator<Item = String>) -> Result<Exit> {
        if self.output.json {
            self.output.json(answer)?;
            return Ok(Exit::Done);
        }
        let mut out = Lines::to_stdout();
        let mut is_empty = true;
        for line in lines {
            is_empty = false;
            if !out.write(&line)? {
                return Ok(Exit::Done);
            }
        }
        out.flush()?;
        Ok(if is_empty { Exit::Nothing } else { Exit::Done })
    }

    async fn package(&self, name: &str, page: &QueryPage) -> Result<Exit> {
        let limit = page.limit;
        let parameters = vec![("name", name.to_owned()), ("limit", limit.to_string())];
        let package: Package = self
            .ask("/v1/package", &parameters, |questions| {
                questions.package(name, limit)
            })
            .await?;
        let needs = package
            .dependencies
            .items
            .iter()
            .map(|name| format!("needs {name}"));
        let needed = package
            .dependents
            .items
            .iter()
            .map(|name| format!("needed by {name}"));
        let heading = format!(
            "{}: needs {}, needed by {}",
            package.package, package.dependencies.total, package.dependents.total
        );
        self.write(&package, std::iter::once(heading).chain(needs).chain(needed))
    }

    async fn reach(&self, reach: &cli::Reach, direction: Direction) -> Result<Exit> {
        let path = match direction {
            Direction::Dependencies => "/v1/dependencies",
            Direction::Dependents => "/v1/dependents",
        };
        let depth = if reach.transitive {
            reach.depth
        } else {
            Some(NonZero::<u32>::MIN)
        };
        let mut parameters = with_page(&reach.page);
        parameters.push(("name", reach.name.clone()));
        parameters.push(("transitive", reach.transitive.to_string()));
        parameters.extend(reach.depth.map(|depth| ("depth", depth.to_string())));
        let answer: Reach = self
            .ask(path, &parameters, |questions| {
                questions.reach(&reach.name, direction, depth, &page(&reach.page))
            })
            .await?;
        say_more(&answer.found);
        let lines = answer.found.items.iter().map(|found| match reach.transitive {
            true => format!("{} {}", found.depth, found.package),
            false => found.package.clone(),
        });
        self.write(&answer, lines)
    }

    async fn why(&self, from: &str, to: &str) -> Result<Exit> {
        let parameters = vec![("from", from.to_owned()), ("to", to.to_owned())];
        let why: Why = self
            .ask("/v1/why", &parameters, |questions| {
                questions.why_depends(from, to)
            })
            .await?;
        if why.path.is_none() {
            output::say(&format!("{from} does not need {to}"));
        }
        let lines: Vec<String> = why.path.iter().map(|path| path.join(" -> ")).collect();
        self.write(&why, lines.into_iter())
    }

    async fn order(&self, names: &[String], direction: Direction, asked: &QueryPage) -> Result<Exit> {
        let mut parameters = with_page(asked);
        parameters.extend(names.iter().map(|name| ("name", name.clone())));
        let page = page(asked);
        let order: Order = match direction {
            Direction::Dependencies => {
                self.ask("/v1/install-order", &parameters, |questions| {
                    questions.install_order(names, &page)
                })
                .await?
            }
            Direction::Dependents => {
                self.ask("/v1/removal-order", &parameters, |questions| {
                    questions.removal_order(names, &page)
                })
                .await?
            }
        };
        say_more(&order.steps);
        let lines = order.steps.items.iter();
        self.write(
            &order,
            lines.map(|step| format!("{} {}", step.level, step.packages.join(" "))),
        )
    }

    async fn cycles(&self, asked: &QueryPage) -> Result<Exit> {
        let cycles: Cycles = self
            .ask("/v1/cycles", &with_page(asked), |questions| {
                questions.cycles(&page(asked))
            })
            .await?;
        say_more(&cycles.knots);
        let lines = cycles.knots.items.iter();
        self.write(
            &cycles,
            lines.map(|knot| format!("{} {}", knot.packages.len(), knot.example.join(" -> "))),
        )
    }

    async fn orphans(&self, asked: &QueryPage) -> Result<Exit> {
        let orphans: Orphans = self
            .ask("/v1/orphans", &with_page(asked), |questions| {
                Ok(questions.orphans(&page(asked)))
            })
            .await?;
        say_more(&orphans.packages);
        self.write(&orphans, orphans.packages.items.iter().cloned())
    }
}

fn page(page: &QueryPage) -> Page {
    Page {
        after: page.after.clone(),
        limit: page.limit,
    }
}

fn with_page(page: &QueryPage) -> Parameters<'static> {
    let mut parameters = vec![("limit", page.limit.to_string())];
    parameters.extend(page.after.as_ref().map(|after| ("after", after.clone())));
    parameters
}

fn say_more<T>(list: &Paged<T>) {
    if let Some(next) = &list.next {
        output::say(&format!(
            "{} of {}; go on with --after {next}",
            list.items.len(),
            list.total
        ));
    }
}
