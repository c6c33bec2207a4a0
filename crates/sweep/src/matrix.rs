//! Configurations, and the matrix that they come from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One way to retrieve; a run measures it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Bytes of one ranged request; chosen by the library where none.
    pub chunk_bytes: Option<u64>,
    /// Requests in flight, kept as they are; chosen and changed by the library where none.
    pub connections: Option<usize>,
    /// Objects; all that the addresses name where none.
    pub files: Option<usize>,
    /// Where the bytes go.
    pub sink: Sink,
    /// The byte budget.
    pub memory_bytes: u64,
}

/// Where the bytes of a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// They are handed out in order and dropped.
    Null,
    /// They are saved as files.
    File,
    /// They are handed out in order and kept in memory until the end.
    Memory,
}

/// The values that each part of a configuration takes in turn; see [`Configuration`].
#[derive(Clone, Debug)]
pub struct Axes {
    /// Bytes of one ranged request.
    pub chunks: Vec<Option<u64>>,
    /// Requests in flight.
    pub connections: Vec<Option<usize>>,
    /// Objects.
    pub files: Vec<Option<usize>>,
    /// Where the bytes go.
    pub sinks: Vec<Sink>,
    /// Byte budgets.
    pub memories: Vec<u64>,
}

impl Axes {
    /// Every combination, the last axis fastest; a value that stands twice counts once.
    pub fn configurations(&self) -> Vec<Configuration> {
        let mut all: Vec<Configuration> = Vec::new();
        for &chunk_bytes in &self.chunks {
            for &connections in &self.connections {
                for &files in &self.files {
                    for &memory_bytes in &self.memories {
                        all.extend(self.sinks.iter().map(|&sink| Configuration {
                            chunk_bytes,
                            connections,
                            files,
                            sink,
                            memory_bytes,
                        }));
                    }
                }
            }
        }
        let mut once = Vec::new();
        for configuration in all {
            if !once.contains(&configuration) {
                once.push(configuration);
            }
        }
        once
    }
}

impl Configuration {
    /// What it says, part by part: the name of the axis and the value.
    pub fn parts(&self) -> [(&'static str, String); 5] {
        let auto = || "auto".to_owned();
        [
            ("chunk", self.chunk_bytes.map_or_else(auto, shown)),
            (
                "connections",
                self.connections.map_or_else(auto, |count| count.to_string()),
            ),
            (
                "files",
                self.files
                    .map_or_else(|| "all".to_owned(), |count| count.to_string()),
            ),
            ("sink", self.sink.to_string()),
            ("memory", shown(self.memory_bytes)),
        ]
    }
}

/// Names for configurations, made of the parts that differ between them; all parts where there is only one.
pub(crate) fn labels(configurations: &[Configuration]) -> Vec<String> {
    let differing = differing(configurations);
    let label = |configuration: &Configuration| {
        let parts = configuration.parts();
        let told = parts.iter().zip(differing).filter(|(_, differs)| *differs);
        let words: Vec<_> = told.map(|((axis, value), _)| format!("{axis} {value}")).collect();
        words.join(", ")
    };
    configurations.iter().map(label).collect()
}

/// What all configurations have in common, as words.
pub(crate) fn shared(configurations: &[Configuration]) -> Vec<String> {
    let Some(first) = configurations.first().filter(|_| configurations.len() > 1) else {
        return Vec::new();
    };
    let parts = first.parts().into_iter().zip(differing(configurations));
    let same = parts.filter(|(_, differs)| !differs);
    same.map(|((axis, value), _)| format!("{axis} {value}")).collect()
}

fn differing(configurations: &[Configuration]) -> [bool; 5] {
    let [first, rest @ ..] = configurations else {
        return [true; 5];
    };
    if rest.is_empty() {
        return [true; 5];
    }
    let parts = first.parts();
    std::array::from_fn(|axis| rest.iter().any(|other| other.parts()[axis] != parts[axis]))
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::File => "file",
            Self::Memory => "memory",
        })
    }
}

/// Bytes in the largest unit that leaves no fraction.
fn shown(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = units
        .iter()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    fits.map_or_else(
        || format!("{bytes} B"),
        |(unit, factor)| format!("{} {unit}", bytes / factor),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn axes(
        chunks: &[Option<u64>],
        connections: &[Option<usize>],
        files: &[Option<usize>],
        sinks: &[Sink],
    ) -> Axes {
        Axes {
            chunks: chunks.to_vec(),
            connections: connections.to_vec(),
            files: files.to_vec(),
            sinks: sinks.to_vec(),
            memories: vec![64 * MIB],
        }
    }

    #[test]
    fn a_matrix_is_every_combination_once() {
        let chunks = [Some(4 * MIB), Some(1_500), None, Some(1_500)];
        let axes = axes(
            &chunks,
            &[None, Some(8)],
            &[Some(1), None],
            &[Sink::Null, Sink::File],
        );
        let configurations = axes.configurations();
        assert_eq!(configurations.len(), 3 * 2 * 2 * 2);
        let labels = labels(&configurations);
        assert_eq!(labels[0], "chunk 4 MiB, connections auto, files 1, sink null");
        assert_eq!(labels[9], "chunk 1500 B, connections auto, files 1, sink file");
        assert_eq!(labels[23], "chunk auto, connections 8, files all, sink file");
        assert_eq!(shared(&configurations), ["memory 64 MiB"]);
    }

    #[test]
    fn one_configuration_is_named_in_full() {
        let configurations = axes(&[None], &[Some(8)], &[None], &[Sink::Memory]).configurations();
        let labels = labels(&configurations);
        assert_eq!(
            labels,
            ["chunk auto, connections 8, files all, sink memory, memory 64 MiB"]
        );
        assert!(shared(&configurations).is_empty());
    }

    #[test]
    fn an_axis_without_values_leaves_nothing() {
        assert!(
            axes(&[], &[None], &[None], &[Sink::Null])
                .configurations()
                .is_empty()
        );
    }
}
