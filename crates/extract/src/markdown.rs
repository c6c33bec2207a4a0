use model::PageUrl;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use rustc_hash::FxHashMap;

use crate::links::References;
use crate::passages::{Passages, fold, shorten};
use crate::text::{Gap, Region, Text};
use crate::{Extract, Extracted, MAX_TITLE_BYTES, dates, html, language};

/// Reads a Markdown page: CommonMark with tables, footnotes, strikethrough, heading ids and front matter.
pub(crate) fn extract(markdown: &str, url: &PageUrl) -> Extracted {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = Reader::new(markdown.len());
    for event in Parser::new_ext(markdown, options) {
        reader.take(event, url);
    }
    reader.finish(url)
}

#[derive(Debug)]
struct Reader {
    text: Text,
    references: References,
    front_matter: String,
    /// The raw HTML since the block of it began.
    html: String,
    /// The text of the open heading, for its slug.
    heading: String,
    /// The `{#id}` of the open heading.
    heading_id: Option<String>,
    slugs: FxHashMap<String, usize>,
    place: Place,
}

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Prose,
    Heading,
    Code,
    Html,
    FrontMatter,
}

impl Reader {
    fn new(markdown_bytes: usize) -> Self {
        Self {
            text: Text::with_capacity(markdown_bytes),
            references: References::default(),
            front_matter: String::new(),
            html: String::new(),
            heading: String::new(),
            heading_id: None,
            slugs: FxHashMap::default(),
            place: Place::Prose,
        }
    }

    fn take(&mut self, event: Event<'_>, url: &PageUrl) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag, url),
            Event::Text(text) | Event::Code(text) | Event::Html(text) => self.text(&text),
            Event::SoftBreak => self.text.separate(Gap::Space),
            Event::HardBreak | Event::Rule => self.text.separate(Gap::Line),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { id, .. } => {
                self.place = Place::Heading;
                self.heading.clear();
                self.heading_id = id.map(|id| id.to_string());
                self.text.begin_section(Region::Outside, None);
            }
            Tag::CodeBlock(_) => {
                self.place = Place::Code;
                self.text.separate(Gap::Line);
            }
            Tag::HtmlBlock => self.place = Place::Html,
            Tag::MetadataBlock(_) => self.place = Place::FrontMatter,
            Tag::Link { dest_url, .. } => self.references.add(dest_url.as_bytes(), false),
            Tag::TableCell => self.text.separate(Gap::Cell),
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Image { .. } => {}
            _ => self.text.separate(Gap::Line),
        }
    }

    fn end(&mut self, tag: TagEnd, url: &PageUrl) {
        match tag {
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::CodeBlock => {
                self.text.trim_end();
                self.text.separate(Gap::Line);
            }
            TagEnd::HtmlBlock => self.end_html(url),
            TagEnd::MetadataBlock(_) => {}
            _ => return,
        }
        self.place = Place::Prose;
    }

    fn end_heading(&mut self) {
        let slug = slug(&self.heading);
        let uses = self.slugs.entry(slug.clone()).or_default();
        let unique = if *uses == 0 {
            slug
        } else {
            format!("{slug}-{uses}")
        };
        *uses += 1;
        let anchor = self.heading_id.take().unwrap_or(unique);
        if let Some(mark) = self.text.mark(anchor.as_bytes()) {
            self.text.set_anchor(mark);
        }
        self.text.end_heading();
    }

    /// Reads a block of HTML as a small page of its own.
    fn end_html(&mut self, url: &PageUrl) {
        let inner = html::extract(&std::mem::take(&mut self.html), html::Syntax::Html, url);
        for link in inner.links {
            self.references.add(link.url.as_str().as_bytes(), link.nofollow);
        }
        for passage in inner.extract.passages {
            if !passage.heading.is_empty() {
                let mark = passage
                    .anchor
                    .and_then(|anchor| self.text.mark(anchor.as_bytes()));
                self.text.begin_section(Region::Outside, mark);
                self.text.push_folded(passage.heading.as_bytes());
                self.text.end_heading();
            }
            self.text.separate(Gap::Line);
            self.text.push_preformatted(passage.text.as_bytes());
            self.text.separate(Gap::Line);
        }
    }

    fn text(&mut self, text: &str) {
        match self.place {
            Place::Prose => self.text.push_folded(text.as_bytes()),
            Place::Heading => {
                self.heading.push_str(text);
                self.text.push_folded(text.as_bytes());
            }
            Place::Code => self.text.push_preformatted(text.as_bytes()),
            Place::Html => self.html.push_str(text),
            Place::FrontMatter => self.front_matter.push_str(text),
        }
    }

    fn finish(self, url: &PageUrl) -> Extracted {
        let mut passages = Passages::default();
        for section in self.text.sections(None) {
            passages.add(&section);
        }
        let (passages, cut_off) = passages.finish();
        let mut extract = Extract {
            content_type: "text/markdown".to_owned(),
            truncated: cut_off || self.references.truncated,
            passages,
            ..Extract::default()
        };
        read_front_matter(&self.front_matter, &mut extract);
        complete(&mut extract);
        let links = self.references.resolve(url, url);
        Extracted {
            extract,
            links,
            ..Extracted::default()
        }
    }
}

/// Front matter as static site generators have it: of YAML and TOML, only top-level `name: value` or `name = value`.
fn read_front_matter(front_matter: &str, extract: &mut Extract) {
    for line in front_matter.lines() {
        let Some((name, value)) = line.split_once([':', '=']) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match name.trim_end() {
            "title" => extract.title = shorten(&fold(value), MAX_TITLE_BYTES).to_owned(),
            "description" => {
                extract.description = shorten(&fold(value), crate::MAX_DESCRIPTION_BYTES).to_owned();
            }
            "date" => extract.published_at = dates::parse(value),
            "lastmod" | "last_modified_at" | "updated" => extract.modified_at = dates::parse(value),
            "lang" | "language" => extract.language = language::declared(value),
            _ => {}
        }
    }
}

/// Finds in the text what the page does not say of itself.
fn complete(extract: &mut Extract) {
    if extract.title.is_empty() {
        let first_heading = extract
            .passages
            .iter()
            .map(|passage| &passage.heading)
            .find(|text| !text.is_empty());
        let title = first_heading.map_or("", |heading| shorten(heading, MAX_TITLE_BYTES));
        extract.title = title.to_owned();
    }
    if extract.language.is_none() {
        extract.language = language::detect(&extract.passages);
    }
}

/// The fragment that GitHub gives a heading: lower-case, white space as hyphens, punctuation dropped.
fn slug(heading: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    let letters = heading
        .trim()
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|letter| kept(*letter));
    letters
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}
