use std::borrow::Cow;

/// The attributes that are looked at; the values of others are not even copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Alt,
    AriaHidden,
    Class,
    Content,
    Datetime,
    Hidden,
    Href,
    HttpEquiv,
    Id,
    Itemprop,
    Lang,
    Name,
    Property,
    Pubdate,
    Rel,
    Role,
    Src,
}

impl Attribute {
    /// The attribute of a lower-case name.
    fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"class" => Self::Class,
            b"href" => Self::Href,
            b"id" => Self::Id,
            b"alt" => Self::Alt,
            b"aria-hidden" => Self::AriaHidden,
            b"content" => Self::Content,
            b"datetime" => Self::Datetime,
            b"hidden" => Self::Hidden,
            b"http-equiv" => Self::HttpEquiv,
            b"itemprop" => Self::Itemprop,
            b"lang" | b"xml:lang" => Self::Lang,
            b"name" => Self::Name,
            b"property" => Self::Property,
            b"pubdate" => Self::Pubdate,
            b"rel" => Self::Rel,
            b"role" => Self::Role,
            b"src" => Self::Src,
            _ => return None,
        })
    }
}

/// The attributes of the tag that is being read. One buffer serves all tags of a page.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    values: Vec<u8>,
    /// Each with where its value begins; it ends where the next one begins.
    starts: Vec<(Attribute, usize)>,
}

impl Attributes {
    /// Forgets the tag before.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.starts.clear();
    }

    /// Begins the attribute `name` and says whether its value is of interest.
    pub(super) fn begin(&mut self, name: &[u8]) -> bool {
        let attribute = Attribute::from_name(name);
        self.starts
            .extend(attribute.map(|attribute| (attribute, self.values.len())));
        attribute.is_some()
    }

    /// Adds to the value of the attribute begun last.
    pub(super) fn push(&mut self, value: &[u8]) {
        self.values.extend_from_slice(value);
    }

    /// The value of an attribute: empty where it has none, nothing where the attribute is missing. Of several, the first.
    pub(super) fn get(&self, wanted: Attribute) -> Option<&[u8]> {
        let at = self
            .starts
            .iter()
            .position(|(attribute, _)| *attribute == wanted)?;
        let (_, start) = *self.starts.get(at)?;
        let end = self
            .starts
            .get(at + 1)
            .map_or(self.values.len(), |(_, next)| *next);
        self.values.get(start..end)
    }

    /// The value as text, without white space around it.
    pub(super) fn text(&self, wanted: Attribute) -> Option<Cow<'_, str>> {
        self.get(wanted)
            .map(|value| String::from_utf8_lossy(value.trim_ascii()))
    }

    /// Whether the value, without regard to case, is `word`.
    pub(super) fn is(&self, wanted: Attribute, word: &str) -> bool {
        self.get(wanted)
            .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The words of a value that is a list, such as `class` and `rel`.
    pub(super) fn words(&self, wanted: Attribute) -> impl Iterator<Item = &[u8]> {
        let value = self.get(wanted).unwrap_or_default();
        value
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
    }

    /// Whether the tag has none of interest.
    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}
