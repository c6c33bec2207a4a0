use crate::testkit::random::Random;

/// Something to try, with a name that says what a server does wrong that fails it.
pub(super) struct Case {
    pub(super) name: String,
    /// On a connection each, one after the other.
    pub(super) talks: Vec<Talk>,
}

/// What is said on one connection.
pub(super) struct Talk {
    pub(super) bytes: Vec<u8>,
    pub(super) segments: Segments,
    pub(super) ending: Ending,
}

/// How bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segments {
    /// Not at all.
    Whole,
    /// Line by line, each when the one before is answered.
    Lines,
    /// Byte by byte.
    Bytes,
    /// Anywhere.
    Anywhere,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client says that nothing more comes, and reads to the end.
    EndOfStream,
    /// The client goes away.
    Gone,
}

impl Segments {
    pub(super) fn cut(self, bytes: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut left = bytes;
        while !left.is_empty() {
            let length = match self {
                Self::Whole | Self::Lines => left.len(),
                Self::Bytes => 1,
                Self::Anywhere => 1 + random.below(40),
            };
            let (piece, rest) = left.split_at(length.min(left.len()));
            pieces.push(piece.to_vec());
            left = rest;
        }
        pieces
    }
}

fn talk(bytes: impl Into<Vec<u8>>) -> Talk {
    Talk {
        bytes: bytes.into(),
        segments: Segments::Lines,
        ending: Ending::EndOfStream,
    }
}

/// A case of one connection and one line at a time; the lines stand with blanks between them.
fn lines(name: &str, lines: &str) -> Case {
    let lines: String = lines.split_whitespace().map(|line| format!("{line}\n")).collect();
    case(name, [talk(lines)])
}

fn case(name: &str, talks: impl Into<Vec<Talk>>) -> Case {
    Case {
        name: name.to_owned(),
        talks: talks.into(),
    }
}

/// Cases written by hand; no two use the same package.
pub(super) fn directed(max_line_bytes: usize) -> Vec<Case> {
    let mut cases = commands();
    cases.extend(names());
    cases.push(malformed());
    cases.extend(streams());
    cases.push(long_lines(max_line_bytes));
    cases
}

fn commands() -> Vec<Case> {
    vec![
        lines(
            "a dependency must be indexed",
            "INDEX|d1|d2 QUERY|d1| INDEX|d2| INDEX|d1|d2 QUERY|d1| INDEX|d3|d1,d4,d2 QUERY|d3|",
        ),
        lines(
            "what is depended on stays",
            "INDEX|e1| INDEX|e2|e1 REMOVE|e1| QUERY|e1| REMOVE|e2| REMOVE|e1| QUERY|e1|",
        ),
        lines(
            "every dependency has its reverse edge",
            "INDEX|f1| INDEX|f2| INDEX|f3| INDEX|f4|f1,f2,f3 REMOVE|f1| REMOVE|f2| REMOVE|f3| REMOVE|f4| \
             REMOVE|f3| REMOVE|f2| REMOVE|f1| QUERY|f1| QUERY|f2| QUERY|f3|",
        ),
        lines(
            "every dependent counts",
            "INDEX|g1| INDEX|g2|g1 INDEX|g3|g1 INDEX|g4|g1 REMOVE|g3| REMOVE|g1| REMOVE|g2| REMOVE|g1| \
             REMOVE|g4| REMOVE|g1|",
        ),
        lines(
            "INDEX of an indexed package replaces its list",
            "INDEX|h1| INDEX|h2| INDEX|h3|h1 INDEX|h3|h2 REMOVE|h1| REMOVE|h2| INDEX|h3| REMOVE|h2|",
        ),
        lines(
            "INDEX that fails leaves the list as it was",
            "INDEX|i1| INDEX|i2| INDEX|i3|i1 INDEX|i3|i2,nowhere REMOVE|i2| REMOVE|i1| QUERY|i3| REMOVE|i3| REMOVE|i1|",
        ),
        lines(
            "INDEX that keeps a part of its list",
            "INDEX|j1| INDEX|j2| INDEX|j3| INDEX|j4|j1,j2 INDEX|j4|j2,j3 REMOVE|j1| REMOVE|j2| REMOVE|j3| \
             INDEX|j4|j2,j3 INDEX|j4|j3 REMOVE|j2| REMOVE|j3|",
        ),
        lines(
            "what is not indexed can be removed",
            "REMOVE|k1| REMOVE|k1| INDEX|k1| REMOVE|k1| REMOVE|k1| QUERY|k1|",
        ),
        lines(
            "a dependency named twice is one edge",
            "INDEX|l1| INDEX|l2|l1,l1,l1 REMOVE|l1| INDEX|l2| REMOVE|l1| INDEX|l1| INDEX|l2|l1,l1 REMOVE|l2| REMOVE|l1|",
        ),
        lines(
            "a new package cannot depend on itself",
            "INDEX|m1|m1 QUERY|m1| INDEX|m2| INDEX|m1|m2,m1 QUERY|m1|",
        ),
        lines(
            "a package that is indexed depends on itself",
            "INDEX|n1| INDEX|n1|n1 QUERY|n1| REMOVE|n1| QUERY|n1| INDEX|n1|n1",
        ),
        lines(
            "a circle",
            "INDEX|o1| INDEX|o2|o1 INDEX|o3|o2 INDEX|o1|o3 REMOVE|o1| REMOVE|o2| REMOVE|o3| INDEX|o1| REMOVE|o3| \
             REMOVE|o2| REMOVE|o1|",
        ),
        lines(
            "dependencies of REMOVE and QUERY mean nothing",
            "INDEX|p1| QUERY|p1|nowhere QUERY|p2|p1 INDEX|p2| REMOVE|p1|p2,nowhere QUERY|p1| INDEX|p3|p2 REMOVE|p2|p3",
        ),
        lines(
            "a package that comes again has no old edges",
            "INDEX|q1| INDEX|q2|q1 REMOVE|q2| INDEX|q2| REMOVE|q1| QUERY|q2| INDEX|q1|q2 REMOVE|q2| QUERY|q1|",
        ),
    ]
}

fn names() -> Vec<Case> {
    let long = "n".repeat(254);
    vec![
        lines(
            "names differ by case",
            "INDEX|Case| QUERY|case| INDEX|upper|case INDEX|CASE| REMOVE|case| QUERY|Case| QUERY|CASE|",
        ),
        lines(
            "a name may have one letter",
            "INDEX|a| QUERY|a| INDEX|b|a QUERY|b| REMOVE|a| INDEX|0|a,b QUERY|0| REMOVE|b|",
        ),
        lines(
            "every letter and mark in names",
            "INDEX|gtk+| INDEX|libsigc++|gtk+ INDEX|python@3.12| INDEX|@scope/name|python@3.12 INDEX|a_b-c.d:e/f@g+h| \
             INDEX|zZ09| QUERY|gtk| QUERY|gtk++| QUERY|libsigc++| REMOVE|gtk+| QUERY|@scope/name| QUERY|scope/name|",
        ),
        lines(
            "names are no paths",
            "INDEX|..| INDEX|.| INDEX|/| INDEX|../r1| QUERY|r1| QUERY|../../r1| QUERY|./../r1| INDEX|r2/../r3| QUERY|r3| \
             QUERY|r2| INDEX|r4/| QUERY|r4| QUERY|r4//| INDEX|r5|..,.,/ REMOVE|..| REMOVE|.| REMOVE|/| INDEX|/etc/passwd| \
             QUERY|etc/passwd| INDEX|....//....//r6| QUERY|../../r6| INDEX|r7%2Fs| INDEX|r7/s| QUERY|r7/s|",
        ),
        lines(
            "a long name is a name to its last letter",
            &format!(
                "INDEX|{long}x| QUERY|{long}y| QUERY|{long}| QUERY|{long}x| INDEX|long|{long}x REMOVE|{long}x| \
                      INDEX|{long}xx| INDEX|long|{long}xx QUERY|{long}xx|"
            ),
        ),
    ]
}

fn malformed() -> Case {
    let wrong: [&[u8]; 48] = [
        b"",
        b"|",
        b"||",
        b"|||",
        b"INDEX",
        b"INDEX|",
        b"INDEX|s1",
        b"INDEX||",
        b"REMOVE||",
        b"QUERY||",
        b"INDEX|s1||",
        b"INDEX|s1|s2|",
        b"INDEX|s1|s2|s3",
        b"QUERY|s1",
        b"QUERY|s1||",
        b"REMOVE|s1",
        b"index|s1|",
        b"Index|s1|",
        b"query|s1|",
        b"FOO|s1|",
        b"INDEXX|s1|",
        b"INDE|s1|",
        b" INDEX|s1|",
        b"INDEX |s1|",
        b"INDEX| s1|",
        b"INDEX|s1 |",
        b"INDEX|s1| ",
        b"INDEX|s 1|",
        b"INDEX|s1|s2, s3",
        b"INDEX|s1|,",
        b"INDEX|s1|,s2",
        b"INDEX|s1|s2,",
        b"INDEX|s1|s2,,s3",
        b"INDEX|s1,s2|",
        b"INDEX|s1|\t",
        b"INDEX|s\t1|",
        b"INDEX|s1\0|",
        b"\0INDEX|s1|",
        b"INDEX|s1|\x7f",
        b"INDEX|s\x011|",
        b"INDEX|s1|\r",
        b"INDEX|\rs1|",
        b"INDEX|s\xC3\xBC|",
        b"INDEX|s\xFF|",
        b"INDEX|s1|s\xE2\x82",
        b"INDEX|s1=2|",
        b"INDEX|s1;s2|",
        b"BLINDEX|s1|",
    ];
    let mut bytes = b"QUERY|s1|\n".to_vec();
    for line in wrong {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\nQUERY|s1|\n");
    }
    bytes.extend_from_slice(b"INDEX|s1|\nQUERY|s1|\nQUERY|s1|,\nREMOVE|s1|s2,\nREMOVE|s1| \nQUERY|s1|\n");
    let mut at_once = talk(bytes.clone());
    at_once.segments = Segments::Whole;
    case(
        "what is no command is answered ERROR and changes nothing",
        [talk(bytes), at_once],
    )
}

fn streams() -> Vec<Case> {
    let many: String = (0..1000)
        .map(|at| format!("INDEX|t{at}|{}\nQUERY|t{at}|\nx\n", before(at)))
        .collect();
    let few: String = (0..20)
        .map(|at| format!("INDEX|u{at}|\nQUERY|v{at}|\n\nREMOVE|u{at}|\n"))
        .collect();
    let cut = |bytes: &str, segments| Talk {
        segments,
        ..talk(bytes)
    };
    let gone = |bytes: &str| Talk {
        ending: Ending::Gone,
        segments: Segments::Whole,
        ..talk(bytes)
    };
    vec![
        case("many lines in one segment", [cut(&many, Segments::Whole)]),
        case("one byte in each segment", [cut(&few, Segments::Bytes)]),
        case(
            "lines cut anywhere",
            [
                cut(&few, Segments::Anywhere),
                cut(&many.replace('t', "w"), Segments::Anywhere),
            ],
        ),
        case(
            "a line without its newline is nothing",
            [
                talk("INDEX|libx|\nINDEX|libxfoo|\nREMOVE|libx"),
                talk("QUERY|libx|\nREMOVE|libx|"),
                talk("QUERY|libx|\nINDEX|liby|"),
                gone("QUERY|liby|\nREMOVE|libx|"),
                gone("INDEX|liby|"),
                talk("QUERY|libx|\nQUERY|libxfoo|\nQUERY|liby|\n"),
            ],
        ),
        case(
            "the index outlives connections",
            [
                talk("INDEX|stays|\n"),
                gone("QUERY|stays|\n"),
                talk("QUERY|stays|\n"),
            ],
        ),
        case(
            "a connection that says nothing",
            [gone(""), talk(""), talk("QUERY|nobody|\n")],
        ),
    ]
}

fn before(at: usize) -> String {
    at.checked_sub(1)
        .map_or(String::new(), |before| format!("t{before}"))
}

/// The same line is tried twice: too long, and then as long as it may be for those behind it.
fn long_lines(max_line_bytes: usize) -> Case {
    let mut bytes = b"INDEX|x1|\n".to_vec();
    for filler in ["INDEX|x2|", "QUERY|x1|", "y", "|", "\0"] {
        bytes.extend_from_slice(filler.as_bytes());
        let pair: &[u8] = if filler.ends_with('|') {
            b"x1,"
        } else {
            filler.as_bytes()
        };
        let filled = pair.iter().cycle().take(max_line_bytes + max_line_bytes / 2);
        bytes.extend(filled);
        bytes.extend_from_slice(b"x1\nQUERY|x1|\nQUERY|x2|\n");
    }
    let mut whole = talk(bytes);
    whole.segments = Segments::Whole;
    case("a line that is too long is one ERROR", [whole])
}

/// A sequence over few packages, on three connections.
pub(super) fn made_up(round: usize, random: &mut Random) -> Case {
    let packages = ["a", "A", "..", "gtk+", "b/../c", "c"].map(|name| format!("made-up:{round}/{name}"));
    let mut talks = Vec::new();
    for _ in 0..3 {
        let bytes: Vec<u8> = (0..60).flat_map(|_| made_up_line(&packages, random)).collect();
        let ways = [Segments::Whole, Segments::Lines, Segments::Anywhere];
        let segments = random.pick(&ways).copied().unwrap_or(Segments::Whole);
        talks.push(Talk {
            segments,
            ..talk(bytes)
        });
    }
    case(&format!("made-up sequence {round}"), talks)
}

/// Mostly a command, sometimes one with a byte changed.
fn made_up_line(packages: &[String], random: &mut Random) -> Vec<u8> {
    let mut line = random.line(packages).into_bytes();
    if random.chance(10) {
        let at = random.below(line.len());
        line[at] = random.number().to_le_bytes()[0];
    }
    line.push(b'\n');
    line
}
