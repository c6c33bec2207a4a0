use std::borrow::Cow;

use model::{PageUrl, Timestamp};

use super::attributes::{Attribute, Attributes};
use super::tag::Tag;
use crate::links::References;
use crate::{dates, language};

/// What the page says of itself in its head, and where it links to.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) references: References,
    pub(super) og_title: String,
    pub(super) og_description: String,
    pub(super) description: String,
    pub(super) noindex: bool,
    pub(super) nofollow: bool,
    pub(super) published_at: Option<Timestamp>,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) language: Option<String>,
    base: Option<String>,
    canonical: Option<String>,
}

impl Facts {
    /// Learns from a start tag.
    pub(super) fn learn(&mut self, tag: Tag, attributes: &Attributes) {
        if attributes.is_empty() {
            return;
        }
        match tag {
            Tag::A | Tag::Area => self.link(attributes, Attribute::Href),
            Tag::Frame | Tag::Iframe => self.link(attributes, Attribute::Src),
            Tag::Base => keep_first(&mut self.base, attributes.text(Attribute::Href)),
            Tag::Link
                if attributes
                    .words(Attribute::Rel)
                    .any(|rel| rel.eq_ignore_ascii_case(b"canonical")) =>
            {
                keep_first(&mut self.canonical, attributes.text(Attribute::Href));
            }
            Tag::Html => self.declare_language(attributes.text(Attribute::Lang)),
            Tag::Meta => self.meta(attributes),
            Tag::Time => self.time(attributes),
            _ => {}
        }
    }

    /// What relative references are relative to.
    pub(super) fn base(&self, page: &PageUrl) -> PageUrl {
        self.base
            .as_deref()
            .and_then(|base| page.join(base).ok())
            .unwrap_or_else(|| page.clone())
    }

    /// The address that the page says is its own.
    pub(super) fn canonical(&self, base: &PageUrl) -> Option<PageUrl> {
        self.canonical
            .as_deref()
            .filter(|reference| !reference.is_empty())
            .and_then(|reference| base.join(reference).ok())
    }

    fn link(&mut self, attributes: &Attributes, attribute: Attribute) {
        if let Some(reference) = attributes.get(attribute) {
            let nofollow = attributes
                .words(Attribute::Rel)
                .any(|rel| rel.eq_ignore_ascii_case(b"nofollow"));
            self.references.add(reference, nofollow);
        }
    }

    fn declare_language(&mut self, tag: Option<Cow<'_, str>>) {
        if self.language.is_none() {
            self.language = tag.and_then(|tag| language::declared(&tag));
        }
    }

    fn meta(&mut self, attributes: &Attributes) {
        let Some(content) = attributes.text(Attribute::Content) else {
            return;
        };
        if let Some(header) = attributes.text(Attribute::HttpEquiv) {
            self.meta_header(&header.to_ascii_lowercase(), &content);
        }
        for attribute in [Attribute::Name, Attribute::Property, Attribute::Itemprop] {
            if let Some(name) = attributes.text(attribute) {
                self.meta_name(&name.to_ascii_lowercase(), &content);
            }
        }
    }

    /// `meta http-equiv`: stands for a response header.
    fn meta_header(&mut self, header: &str, content: &str) {
        match header {
            "content-language" => self.declare_language(Some(content.into())),
            "refresh" => self.refresh(content),
            "last-modified" => keep_first_date(&mut self.modified_at, content),
            _ => {}
        }
    }

    /// `5; url=/there` (WHATWG 4.2.5.3).
    fn refresh(&mut self, content: &str) {
        let after_delay = content
            .split_once([';', ','])
            .map_or("", |(_, target)| target.trim_start());
        let names_url = after_delay
            .get(..3)
            .is_some_and(|word| word.eq_ignore_ascii_case("url"));
        let Some(target) = after_delay.get(3..).filter(|_| names_url) else {
            return;
        };
        if let Some(target) = target.trim_start().strip_prefix('=') {
            self.references
                .add(target.trim().trim_matches(['"', '\'']).as_bytes(), false);
        }
    }

    fn meta_name(&mut self, name: &str, content: &str) {
        match name {
            "description" => keep_first_text(&mut self.description, content),
            "og:description" => keep_first_text(&mut self.og_description, content),
            "og:title" => keep_first_text(&mut self.og_title, content),
            "robots" | "haul" => self.robots(content),
            "article:published_time"
            | "date"
            | "datepublished"
            | "dc.date"
            | "dc.date.issued"
            | "dcterms.created"
            | "dcterms.date"
            | "dcterms.issued" => keep_first_date(&mut self.published_at, content),
            "article:modified_time"
            | "og:updated_time"
            | "last-modified"
            | "datemodified"
            | "dc.date.modified"
            | "dcterms.modified" => keep_first_date(&mut self.modified_at, content),
            _ => {}
        }
    }

    fn robots(&mut self, content: &str) {
        for rule in content
            .split([',', ' '])
            .map(|rule| rule.trim().to_ascii_lowercase())
        {
            self.noindex |= matches!(rule.as_str(), "noindex" | "none");
            self.nofollow |= matches!(rule.as_str(), "nofollow" | "none");
        }
    }

    fn time(&mut self, attributes: &Attributes) {
        let Some(datetime) = attributes.text(Attribute::Datetime) else {
            return;
        };
        if attributes.get(Attribute::Pubdate).is_some() || attributes.is(Attribute::Itemprop, "datePublished")
        {
            keep_first_date(&mut self.published_at, &datetime);
        } else if attributes.is(Attribute::Itemprop, "dateModified") {
            keep_first_date(&mut self.modified_at, &datetime);
        }
    }
}

fn keep_first(kept: &mut Option<String>, found: Option<Cow<'_, str>>) {
    if kept.is_none() {
        *kept = found.map(Cow::into_owned);
    }
}

fn keep_first_text(kept: &mut String, found: &str) {
    if kept.is_empty() {
        found.clone_into(kept);
    }
}

fn keep_first_date(kept: &mut Option<Timestamp>, found: &str) {
    *kept = kept.or_else(|| dates::parse(found));
}
