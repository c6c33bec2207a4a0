use super::attributes::{Attribute, Attributes};
use super::tag::Tag;

/// Whether an element holds what is on every page of a site, or nothing that is read.
///
/// A `header` or `footer` is of the page where it stands in no `article`, `main` or `section`; else it belongs to that
/// part. `hidden=until-found` is text that browsers find. Footnotes are marked up as `aside` by docutils.
pub(super) fn is_boilerplate(tag: Tag, attributes: &Attributes, in_section: bool) -> bool {
    if matches!(tag, Tag::Html | Tag::Body) {
        return false;
    }
    let by_name = match tag {
        Tag::Header | Tag::Footer => !in_section,
        Tag::Aside => !has_class(attributes, is_footnote_class),
        Tag::Nav | Tag::Search | Tag::Template | Tag::Svg | Tag::Annotation => true,
        Tag::Button | Tag::Select | Tag::Datalist => true,
        _ => false,
    };
    by_name || (!attributes.is_empty() && is_marked(attributes))
}

fn is_marked(attributes: &Attributes) -> bool {
    let is_hidden =
        attributes.get(Attribute::Hidden).is_some() && !attributes.is(Attribute::Hidden, "until-found");
    is_hidden
        || attributes.is(Attribute::AriaHidden, "true")
        || attributes.words(Attribute::Role).any(is_boilerplate_role)
        || has_class(attributes, is_boilerplate_class)
}

fn has_class(attributes: &Attributes, is_wanted: fn(&[u8]) -> bool) -> bool {
    attributes.words(Attribute::Class).any(is_wanted)
}

/// Landmark roles (WAI-ARIA 1.2) of what stands around the content.
fn is_boilerplate_role(role: &[u8]) -> bool {
    matches!(
        role,
        b"navigation" | b"banner" | b"contentinfo" | b"search" | b"complementary"
    )
}

/// Class names by which well-known generators mark navigation; too few rather than too many.
fn is_boilerplate_class(class: &[u8]) -> bool {
    match class {
        // Sphinx: the side bar, the bar above and below the page, the pilcrow behind a heading.
        b"sphinxsidebar" | b"related" | b"headerlink" => true,
        // DocBook XSL, and Publican on top of it.
        b"navheader" | b"navfooter" | b"docnav" => true,
        // Docusaurus, VuePress and AnchorJS: the link behind a heading.
        b"hash-link" | b"header-anchor" | b"anchorjs-link" => true,
        // MediaWiki: "edit" behind a heading, "jump to" above the page.
        b"mw-editsection" | b"mw-jump-link" => true,
        // Bootstrap and many others.
        b"breadcrumb" | b"breadcrumbs" | b"skip-link" | b"skiplink" => true,
        // Fossil and SQLite: what their own search leaves out.
        b"nosearch" => true,
        _ => false,
    }
}

fn is_footnote_class(class: &[u8]) -> bool {
    matches!(class, b"footnote" | b"footnote-list" | b"footnotes")
}
