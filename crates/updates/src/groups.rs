//! Who of a group reads what: plain functions from the living members and the topics that exist.

use std::collections::BTreeMap;

use model::Checksum;

use crate::port::{Partition, Subscription, Topic};

/// The living members of a group by id, with what they subscribed to.
pub(crate) type Members = BTreeMap<String, Subscription>;

/// What `member` owns: each topic's partitions are dealt in ranges to the members that want it, in the order of
/// their ids, the first ones getting one more where it does not come out even (Kafka's range assignor).
pub(crate) fn partitions_of(member: &str, members: &Members, topics: &[Topic]) -> Vec<Partition> {
    topics
        .iter()
        .flat_map(|topic| range_of(member, members, topic))
        .collect()
}

fn range_of(member: &str, members: &Members, topic: &Topic) -> Vec<Partition> {
    let wanting: Vec<&String> = members
        .iter()
        .filter(|(_, wants)| wants.includes(&topic.name))
        .map(|(id, _)| id)
        .collect();
    let Some(at) = wanting.iter().position(|id| *id == member) else {
        return Vec::new();
    };
    let (at, count) = (at as u32, wanting.len() as u32);
    let (each, more) = (topic.partitions / count, topic.partitions % count);
    let first = at * each + at.min(more);
    let end = first + each + u32::from(at < more);
    (first..end)
        .map(|number| Partition {
            topic: topic.name.clone(),
            number,
        })
        .collect()
}

/// A digest of everything that the assignment follows from: where it differs, the group has a new generation.
pub(crate) fn fingerprint(members: &Members, topics: &[Topic]) -> String {
    let wanted = |topic: &&Topic| members.values().any(|wants| wants.includes(&topic.name));
    let topics: Vec<(&str, u32)> = topics
        .iter()
        .filter(wanted)
        .map(|topic| (topic.name.as_str(), topic.partitions))
        .collect();
    Checksum::of(format!("{members:?} {topics:?}").as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::port::Cleanup;

    fn topic(name: &str, partitions: u32) -> Topic {
        Topic {
            name: name.into(),
            partitions,
            cleanup: Cleanup::Delete {
                retention: Duration::ZERO,
            },
        }
    }

    fn numbers(member: &str, members: &Members, topics: &[Topic]) -> Vec<u32> {
        partitions_of(member, members, topics)
            .into_iter()
            .map(|partition| partition.number)
            .collect()
    }

    #[test]
    fn partitions_are_dealt_in_ranges() {
        let all = Subscription::Suffixes(vec![".crawl".into()]);
        let members: Members = ["a", "b", "c"].map(|id| (id.to_owned(), all.clone())).into();
        let topics = [topic("docs.crawl", 7), topic("docs.live", 3)];
        assert_eq!(numbers("a", &members, &topics), [0, 1, 2]);
        assert_eq!(numbers("b", &members, &topics), [3, 4]);
        assert_eq!(numbers("c", &members, &topics), [5, 6]);
        assert_eq!(numbers("stranger", &members, &topics), [0; 0]);
    }

    #[test]
    fn members_beyond_the_partitions_own_nothing() {
        let one = Subscription::Topics(vec!["control".into()]);
        let members: Members = ["a", "b"].map(|id| (id.to_owned(), one.clone())).into();
        assert_eq!(numbers("a", &members, &[topic("control", 1)]), [0]);
        assert_eq!(numbers("b", &members, &[topic("control", 1)]), [0; 0]);
    }
}
