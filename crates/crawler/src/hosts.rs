//! Which hosts of a crawl are done, so that packers need not wait for its end.

use std::collections::HashMap;

use crawldb::{Scope, ScopeCount};
use model::{CrawlId, Host};
use updates::{LogError, UpdateLog};

use crate::announce;

/// Items of the hosts that were quiet when last looked at, and of those that were announced as done.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    quiet: HashMap<Scope, u64>,
    announced: HashMap<Scope, u64>,
}

impl Hosts {
    /// The hosts that have been quiet twice in a row; one that gets more work later is done again later.
    pub(crate) fn look(&mut self, scopes: &[ScopeCount]) -> Vec<ScopeCount> {
        let quiet: Vec<&ScopeCount> = scopes.iter().filter(|scope| scope.open == 0).collect();
        let was_quiet = |scope: &&&ScopeCount| self.quiet.get(&scope.scope) == Some(&scope.items);
        let done = quiet.iter().filter(was_quiet).map(|scope| (**scope).clone());
        let done = done.collect();
        self.quiet = quiet
            .into_iter()
            .map(|scope| (scope.scope.clone(), scope.items))
            .collect();
        done
    }

    /// Tells of each host once, and again when it had more.
    pub(crate) async fn announce(
        &mut self,
        log: &UpdateLog,
        crawl: &CrawlId,
        done: &[ScopeCount],
    ) -> Result<(), LogError> {
        for scope in done {
            let Ok(host) = Host::new(&scope.scope) else {
                continue;
            };
            if self.announced.get(&scope.scope) != Some(&scope.items) {
                announce::host_done(log, crawl, &host, scope.items).await?;
                self.announced.insert(scope.scope.clone(), scope.items);
            }
        }
        Ok(())
    }
}
