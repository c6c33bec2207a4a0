use std::time::Duration;

use futures::{Stream, stream};
use model::RunId;
use registry::{Phase, Run};
use runlog::{Follow, Line};
use runner::{Runner, RunnerError};

/// Between two looks at a run that says nothing here: it waits, or another worker has it.
const LOOK: Duration = Duration::from_millis(500);

/// What a run says next.
pub(super) enum Step {
    /// One line at least.
    Lines(Vec<Line>),
    /// Everything was said.
    End(Box<Run>),
}

/// What the run says after line number `after`, from the queue to its end, also when its worker was lost and another one goes on.
pub(super) fn watch(
    runner: Runner,
    run: RunId,
    after: u64,
) -> impl Stream<Item = Result<Step, RunnerError>> + Send {
    let watch = Watch {
        runner,
        run,
        after,
        follow: None,
    };
    stream::unfold(Some(watch), async |watch| {
        let mut watch = watch?;
        let step = watch.next().await;
        let goes_on = matches!(step, Ok(Step::Lines(_)));
        Some((step, goes_on.then_some(watch)))
    })
}

struct Watch {
    runner: Runner,
    run: RunId,
    after: u64,
    follow: Option<Follow>,
}

impl Watch {
    async fn next(&mut self) -> Result<Step, RunnerError> {
        loop {
            if let Some(lines) = self.followed().await? {
                return Ok(Step::Lines(lines));
            }
            // The run before its log: what is over by then writes nothing more.
            let run = self.runner.registry().run(self.run).await?;
            let log = self.runner.log(self.run).await?;
            if let Some(log) = log.filter(|log| log.is_live() || log.lines() > self.after) {
                self.follow = Some(log.follow(self.after));
            } else if run.phase == Phase::Finished {
                return Ok(Step::End(Box::new(run)));
            } else {
                // Its end wakes us; that it begins does not.
                let _ = tokio::time::timeout(LOOK, self.runner.ended(self.run)).await;
            }
        }
    }

    /// The next lines of the log that is followed; none where it is over, or there is none.
    async fn followed(&mut self) -> Result<Option<Vec<Line>>, RunnerError> {
        let Some(follow) = &mut self.follow else {
            return Ok(None);
        };
        let lines = follow.next().await?;
        match lines.as_deref().and_then(<[Line]>::last) {
            Some(line) => self.after = line.number,
            None => self.follow = None,
        }
        Ok(lines)
    }
}
