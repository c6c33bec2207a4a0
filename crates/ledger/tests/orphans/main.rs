//! What a complete crawl missed: every way in which something could be deleted that is there, and that what is gone goes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes a test of each story on every engine. A story is told to a world that knows nothing yet.
macro_rules! on_every_engine {
    ($($story:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $story() { super::$story(crate::world::World::on(crate::world::Engine::Memory).await).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $story() { super::$story(crate::world::World::on(crate::world::Engine::Sqlite).await).await; })*
        }
        mod lagging {
            $(#[tokio::test] async fn $story() { super::$story(crate::world::World::on(crate::world::Engine::Lagging).await).await; })*
        }
    };
}

mod capabilities;
mod deaths;
mod deletion;
mod errors;
mod faults;
mod guard;
mod lagging;
mod later;
mod races;
mod volume;
mod world;
