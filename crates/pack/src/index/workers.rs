use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use crate::index::block::Block;
use crate::index::dictionary::Dictionary;
use crate::index::inversion::{InvertedBlock, Inverter};
use crate::index::words::Words;
use crate::{PackError, Tokenizer};

/// Threads that invert blocks. Dropping them stops them.
pub(crate) struct Workers {
    /// Where blocks wait; at most one does, so that memory stays bounded. None when no more are to come.
    blocks: Option<mpsc::SyncSender<Block>>,
    inverted: mpsc::Receiver<InvertedBlock>,
    threads: Vec<JoinHandle<Words>>,
    next_number: usize,
}

/// Where every worker takes its next block.
type Queue = Arc<Mutex<mpsc::Receiver<Block>>>;

impl Workers {
    pub(crate) fn start(count: NonZeroUsize) -> Result<Self, PackError> {
        let (blocks, queue) = mpsc::sync_channel(1);
        let (done, inverted) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut workers = Self {
            blocks: Some(blocks),
            inverted,
            threads: Vec::new(),
            next_number: 0,
        };
        for _ in 0..count.get() {
            let (queue, done, tokenizer) = (Arc::clone(&queue), done.clone(), Tokenizer::new()?);
            let thread = thread::Builder::new().name("pack-index".to_owned());
            workers
                .threads
                .push(thread.spawn(move || work(&queue, &done, tokenizer))?);
        }
        Ok(workers)
    }

    /// Hands over a block; waits while all workers are busy.
    pub(crate) fn invert(&mut self, mut block: Block) -> Result<(), PackError> {
        if block.is_empty() {
            return Ok(());
        }
        block.number = self.next_number;
        self.next_number += 1;
        let sent = self
            .blocks
            .as_ref()
            .is_some_and(|blocks| blocks.send(block).is_ok());
        if sent { Ok(()) } else { Err(PackError::Unfinished) }
    }

    /// Blocks that are done, in no order.
    pub(crate) fn ready(&self) -> impl Iterator<Item = InvertedBlock> {
        self.inverted.try_iter()
    }

    /// Waits for the blocks that are not done yet; these and the words of all.
    pub(crate) fn finish(mut self) -> Result<(Vec<InvertedBlock>, Words), PackError> {
        self.blocks = None;
        let mut words = Words::default();
        for thread in std::mem::take(&mut self.threads) {
            words.merge(thread.join().map_err(|_| PackError::Unfinished)?);
        }
        Ok((self.inverted.try_iter().collect(), words))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.blocks = None;
        for thread in self.threads.drain(..) {
            // Whether it panicked is of no interest any more.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Queue, done: &mpsc::Sender<InvertedBlock>, tokenizer: Tokenizer) -> Words {
    let mut inverter = Inverter::new(Dictionary::new(tokenizer));
    let mut words = Words::default();
    while let Some(block) = next(queue) {
        if done.send(inverter.invert(&block)).is_err() {
            break;
        }
        inverter.dictionary().trim(&mut words);
    }
    inverter.dictionary().clear(&mut words);
    words
}

fn next(queue: &Queue) -> Option<Block> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
