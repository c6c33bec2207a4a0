use model::Timestamp;

/// A query is cut to this many bytes.
pub const MAX_QUERY_BYTES: usize = 1_000;

/// Words, phrases, prefixes and filters beyond this number are ignored.
pub const MAX_CLAUSES: usize = 32;

/// What somebody asks for. [`Query::parse`] makes one of any text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Query {
    /// A page must match all of the groups. A group is matched by any of its clauses; it has at least one.
    pub groups: Vec<Vec<Clause>>,
    /// A page must match none of these.
    pub excluded: Vec<Clause>,
    /// A page must pass one filter of every kind that occurs here.
    pub filters: Vec<Filter>,
    /// A page must pass none of these.
    pub excluded_filters: Vec<Filter>,
    /// Whether a limit cut something off: [`MAX_QUERY_BYTES`], [`MAX_CLAUSES`].
    pub cut: bool,
}

/// Something that a text contains or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Clause {
    /// `word`: in any of its forms. What the index sees as several words (`os.path`) is a phrase.
    Word(String),
    /// `"several words"`: side by side in this order.
    Phrase(String),
    /// `begin*`: a word that begins so.
    Prefix(String),
}

/// What a page is, whatever its text says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// `site:example.gov`: of this host or one below it. With a port, only of exactly this host. Lower-case.
    Site(String),
    /// `path:/news/`: the path of the URL begins so; without the slash, contains it.
    Path(String),
    /// `type:pdf`: `html`, `pdf`, `text`, `markdown`, or a media type or its beginning (`application/`). Lower-case.
    Type(String),
    /// `lang:es`: primary language subtag. Lower-case.
    Language(String),
    /// `after:2024-05`: dated in this year, month or day or later. The date of a page is its own (changed, else published),
    /// else that of the fetch.
    After(Timestamp),
    /// `before:2024-05`: dated before this year, month or day.
    Before(Timestamp),
}

impl Query {
    /// Whether there is nothing to look for: no word and no filter.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.filters.is_empty() && self.excluded_filters.is_empty()
    }

    /// The clauses that a page may match, which is what is worth highlighting.
    pub fn wanted(&self) -> impl Iterator<Item = &Clause> {
        self.groups.iter().flatten()
    }
}

impl Clause {
    /// The words, as they were written.
    pub fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Phrase(text) | Self::Prefix(text) => text,
        }
    }
}

impl Filter {
    /// Whether both ask for the same property, so that a page may have the one or the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
