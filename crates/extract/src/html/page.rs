use html5gum::State;

use super::attributes::{Attribute, Attributes};
use super::boilerplate::is_boilerplate;
use super::facts::Facts;
use super::open::{Open, OpenElements, Role};
use super::tag::Tag;
use crate::text::{Gap, MarkId, Region, Text};

/// A heading longer than this, in bytes, is text with a forgotten end tag.
const MAX_HEADING_BYTES: usize = 1000;

/// The most bytes of the title element that are kept.
const MAX_TITLE_BYTES: usize = 4096;

/// Follows the tags of a page and keeps its visible text.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) facts: Facts,
    pub(super) text: Text,
    pub(super) title: Vec<u8>,
    /// How many articles stand in no other.
    pub(super) articles: usize,
    open: OpenElements,
    /// The element that the tokenizer reads to its end tag, where there is one.
    raw: Option<Raw>,
    has_title: bool,
    start_tags: usize,
    /// Start tags that look like boilerplate but are not.
    content: Vec<usize>,
    syntax: Syntax,
    starts_preformatted: bool,
}

/// How the page is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Html,
    /// `<a/>` has no content, and there are CDATA sections.
    Xhtml,
}

impl Syntax {
    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html",
            Self::Xhtml => "application/xhtml+xml",
        }
    }
}

/// What happens to the text of an element in which there are no tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raw {
    Dropped,
    Title,
    Kept,
}

impl Page {
    /// A page of `html_bytes` bytes, in which the start tags `content` (counted from one) are content whatever they
    /// look like.
    pub(super) fn new(html_bytes: usize, syntax: Syntax, content: Vec<usize>) -> Self {
        Self {
            facts: Facts::default(),
            text: Text::with_capacity(html_bytes),
            title: Vec::new(),
            articles: 0,
            open: OpenElements::default(),
            raw: None,
            has_title: false,
            start_tags: 0,
            content,
            syntax,
            starts_preformatted: false,
        }
    }

    /// Whether the nesting was deeper than what is followed.
    pub(super) fn is_too_deep(&self) -> bool {
        self.open.too_deep
    }

    /// Boilerplate that had no end although the page has: it may have swallowed the content.
    pub(super) fn unclosed_boilerplate(&self) -> Vec<usize> {
        self.open.open_boilerplate().collect()
    }

    /// Whether `<![CDATA[` means something here.
    pub(super) fn allows_cdata(&self) -> bool {
        self.syntax == Syntax::Xhtml || self.open.has(Role::Svg)
    }

    /// Takes a start tag and says how the tokenizer must read on.
    pub(super) fn start(
        &mut self,
        tag: Tag,
        attributes: &Attributes,
        is_self_closing: bool,
    ) -> Option<State> {
        self.start_tags += 1;
        self.facts.learn(tag, attributes);
        let is_foreign = self.open.has(Role::Svg) || matches!(tag, Tag::Svg | Tag::Math);
        let is_empty = is_self_closing && (is_foreign || self.syntax == Syntax::Xhtml);
        let may_be_raw = !is_foreign && !is_empty;
        if let Some((raw, state)) = may_be_raw.then(|| self.raw_element(tag)).flatten() {
            self.raw = Some(raw);
            self.separate_around_raw(raw);
            return Some(state);
        }
        self.close_implied(tag);
        if tag.is_void() {
            self.void(tag, attributes);
        } else if !is_empty {
            self.open_element(tag, attributes);
        } else if !self.skips() {
            self.mark_inline(tag, attributes);
        }
        None
    }

    /// The elements that contain no tags (WHATWG 13.1.2), with what their text is worth.
    fn raw_element(&mut self, tag: Tag) -> Option<(Raw, State)> {
        Some(match tag {
            Tag::Script => (Raw::Dropped, State::ScriptData),
            Tag::NoText(_) | Tag::Iframe => (Raw::Dropped, State::RawText),
            Tag::Textarea => (Raw::Dropped, State::RcData),
            Tag::Title if self.has_title => (Raw::Dropped, State::RcData),
            Tag::Title => {
                self.has_title = true;
                (Raw::Title, State::RcData)
            }
            Tag::Xmp => (Raw::Kept, State::RawText),
            Tag::Plaintext => (Raw::Kept, State::PlainText),
            _ => return None,
        })
    }

    fn separate_around_raw(&mut self, raw: Raw) {
        if raw == Raw::Kept {
            self.text.separate(Gap::Line);
        }
    }

    fn void(&mut self, tag: Tag, attributes: &Attributes) {
        if self.skips() {
            return;
        }
        match tag {
            Tag::Br => self.line_break(),
            Tag::Hr => self.text.separate(Gap::Line),
            Tag::Img => self.alternative(attributes.get(Attribute::Alt).unwrap_or_default()),
            _ => {}
        }
    }

    /// The text that stands for a picture, set apart as the picture is.
    fn alternative(&mut self, text: &[u8]) {
        if !text.trim_ascii().is_empty() {
            self.text.separate(Gap::Space);
            self.words(text);
            self.text.separate(Gap::Space);
        }
    }

    fn line_break(&mut self) {
        if self.open.has(Role::Preformatted) {
            self.text.push_preformatted(b"\n");
        } else {
            self.text.separate(Gap::Line);
        }
    }

    /// Ends the elements whose end tags may be left out before `tag`, or were forgotten.
    fn close_implied(&mut self, tag: Tag) {
        if tag.is_inline() {
            return;
        }
        if tag.ends_heading() && !self.skips() {
            self.close_heading();
        }
        if tag.ends_paragraph() {
            self.close(Tag::Paragraph);
        }
        match tag {
            Tag::ListItem | Tag::Definition => self.close(tag),
            Tag::Cell => self.close(Tag::Cell),
            Tag::Row => self.close(Tag::Row),
            Tag::TableBody => {
                self.close(Tag::Row);
                self.close(Tag::TableBody);
            }
            _ => {}
        }
    }

    fn close_heading(&mut self) {
        let depth = self
            .open
            .has(Role::Heading)
            .then(|| self.open.depth_of_heading())
            .flatten();
        if let Some(depth) = depth {
            self.close_to(depth);
        }
    }

    fn close(&mut self, tag: Tag) {
        if let Some(depth) = self.open.depth_of(tag) {
            self.close_to(depth);
        }
    }

    fn open_element(&mut self, tag: Tag, attributes: &Attributes) {
        let skipped_before = self.skips();
        let role = self.role_of(tag, attributes, skipped_before);
        // Inside boilerplate every tag counts, so that its own end tag is found; elsewhere only those that matter.
        if tag.is_inline() && role == Role::Plain && !skipped_before {
            self.mark_inline(tag, attributes);
            return;
        }
        let is_visible = !skipped_before && !matches!(role, Role::Boilerplate | Role::Svg);
        let before = self.text.mark_here().filter(|_| role == Role::Heading);
        let id = attributes.get(Attribute::Id).filter(|_| is_visible);
        let mark = id.and_then(|id| match tag {
            // What is worth a passage of its own begins with a term or a part, not with a paragraph inside of it.
            Tag::Paragraph => self.text.mark(id),
            _ => self.text.mark_block(id),
        });
        let is_open = self.open.push(Open {
            tag,
            role,
            ordinal: self.start_tags,
            mark,
        });
        if is_open && is_visible {
            self.enter(tag, role, mark.or(before));
        }
    }

    fn role_of(&self, tag: Tag, attributes: &Attributes, skips: bool) -> Role {
        if tag == Tag::Svg && !self.content.contains(&self.start_tags) {
            return Role::Svg;
        }
        if skips {
            return Role::Plain;
        }
        if is_boilerplate(tag, attributes, self.open.in_section()) && !self.content.contains(&self.start_tags)
        {
            return Role::Boilerplate;
        }
        match tag {
            Tag::Heading => Role::Heading,
            Tag::Main => Role::Main,
            _ if attributes.is(Attribute::Role, "main") => Role::Main,
            Tag::Article => Role::Article,
            Tag::Section => Role::Section,
            Tag::Pre => Role::Preformatted,
            _ => Role::Plain,
        }
    }

    /// Begins what an element begins in visible text.
    fn enter(&mut self, tag: Tag, role: Role, mark: Option<MarkId>) {
        match role {
            Role::Heading => {
                let anchor = mark.or_else(|| self.open.nearest_mark());
                self.text.begin_section(self.region(), anchor);
            }
            Role::Article => {
                self.articles += usize::from(self.region() == Region::Article && self.is_outermost_article());
                self.cut();
            }
            Role::Main => self.cut(),
            Role::Preformatted => self.starts_preformatted = true,
            _ => {}
        }
        self.separate_around(tag);
    }

    fn is_outermost_article(&self) -> bool {
        self.open.count(Role::Article) == 1
    }

    fn separate_around(&mut self, tag: Tag) {
        match tag {
            Tag::Cell => self.text.separate(Gap::Cell),
            Tag::Heading => {}
            _ if tag.is_inline() => {}
            _ => self.text.separate(Gap::Line),
        }
    }

    /// Marks the `id` of an inline element, or the `name` of an `a`. At the beginning of a heading it leads there.
    fn mark_inline(&mut self, tag: Tag, attributes: &Attributes) {
        let name = attributes.get(Attribute::Name).filter(|_| tag == Tag::A);
        let Some(mark) = attributes
            .get(Attribute::Id)
            .or(name)
            .and_then(|id| self.text.mark(id))
        else {
            return;
        };
        if self.open.has(Role::Heading) && (self.text.section_len() == 0 || !self.text.has_anchor()) {
            self.text.set_anchor(mark);
        }
    }

    /// Begins a section without a heading, because the region changed.
    fn cut(&mut self) {
        self.text.begin_section(self.region(), None);
    }

    fn region(&self) -> Region {
        if self.open.has(Role::Main) {
            Region::Main
        } else if self.open.has(Role::Article) {
            Region::Article
        } else {
            Region::Outside
        }
    }

    /// Takes an end tag.
    pub(super) fn end(&mut self, tag: Tag) {
        if let Some(raw) = self.raw.take() {
            self.separate_around_raw(raw);
            return;
        }
        if matches!(tag, Tag::Html | Tag::Body) {
            return;
        }
        if tag == Tag::Br && !self.skips() {
            self.line_break();
        }
        if !tag.is_inline() && !tag.is_void() && self.open.pop_beyond() {
            return;
        }
        match self.open.depth_of(tag) {
            Some(depth) => self.close_to(depth),
            None if tag == Tag::Paragraph && !self.skips() => self.text.separate(Gap::Line),
            None => {}
        }
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(closed) = self.open.pop() else { return };
            if !self.skips() {
                self.leave(&closed);
            }
        }
    }

    /// Ends what an element began in visible text.
    fn leave(&mut self, closed: &Open) {
        match closed.role {
            Role::Heading => self.text.end_heading(),
            Role::Main | Role::Article => self.cut(),
            Role::Preformatted => self.text.trim_end(),
            _ => {}
        }
        self.separate_around(closed.tag);
    }

    /// Takes text.
    pub(super) fn text(&mut self, text: &[u8]) {
        match self.raw {
            Some(Raw::Dropped) => {}
            Some(Raw::Title) => {
                if self.title.len() < MAX_TITLE_BYTES {
                    self.title.extend_from_slice(text);
                }
            }
            Some(Raw::Kept) | None => self.visible(text),
        }
    }

    fn visible(&mut self, text: &[u8]) {
        if self.skips() {
            return;
        }
        if self.open.has(Role::Preformatted) && !self.open.has(Role::Heading) {
            self.preformatted(text);
        } else {
            self.words(text);
        }
    }

    fn words(&mut self, text: &[u8]) {
        if self.open.has(Role::Heading)
            && self.text.section_len() + text.trim_ascii().len() > MAX_HEADING_BYTES
        {
            self.close_heading();
        }
        self.text.push_folded(text);
    }

    /// The first line feed behind `<pre>` is not part of the text (WHATWG 13.1.2.5).
    fn preformatted(&mut self, text: &[u8]) {
        let is_first = std::mem::take(&mut self.starts_preformatted);
        let text = if is_first {
            text.strip_prefix(b"\n").unwrap_or(text)
        } else {
            text
        };
        if !text.is_empty() {
            self.text.push_preformatted(text);
        }
    }

    fn skips(&self) -> bool {
        self.open.has(Role::Boilerplate) || self.open.has(Role::Svg)
    }
}
