/// The elements that mean something for text, structure or links; all others are [`Tag::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    A,
    Annotation,
    Area,
    Article,
    Aside,
    Base,
    /// A block that only separates what is in it from what is around it.
    Block(BlockName),
    Body,
    Br,
    Button,
    Caption,
    Cell,
    Datalist,
    DefinitionList,
    /// `dt` and `dd`, which end each other.
    Definition,
    Footer,
    Frame,
    Header,
    /// `h1` to `h6`: any of their end tags ends any of them.
    Heading,
    Hr,
    Html,
    Iframe,
    Img,
    /// An inline element of which only the place is of interest.
    Inline(InlineName),
    Link,
    List,
    ListItem,
    Main,
    Math,
    Meta,
    Nav,
    /// Its content is markup for other programs than browsers of today.
    NoText(RawName),
    Paragraph,
    Plaintext,
    Pre,
    Row,
    Script,
    Search,
    Section,
    Select,
    Svg,
    Table,
    TableBody,
    Template,
    Textarea,
    Time,
    Title,
    Unknown,
    /// A void element without a meaning of its own here.
    Void,
    Xmp,
}

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($text:literal => $name:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $kind {
            $($name),+
        }

        impl $kind {
            fn from_bytes(name: &[u8]) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// Which block: an end tag ends only its own kind.
    BlockName {
        b"div" => Div, b"address" => Address, b"blockquote" => Blockquote, b"center" => Center, b"details" => Details,
        b"dialog" => Dialog, b"dir" => Dir, b"fieldset" => Fieldset, b"figcaption" => Figcaption, b"figure" => Figure,
        b"form" => Form, b"hgroup" => Hgroup, b"legend" => Legend, b"menu" => Menu, b"optgroup" => Optgroup,
        b"option" => Option, b"summary" => Summary,
    }
}

names! {
    /// Which inline element: an end tag ends only its own kind.
    InlineName {
        b"span" => Span, b"code" => Code, b"em" => Em, b"strong" => Strong, b"b" => B, b"i" => I, b"tt" => Tt,
        b"abbr" => Abbr, b"acronym" => Acronym, b"bdi" => Bdi, b"bdo" => Bdo, b"big" => Big, b"cite" => Cite,
        b"data" => Data, b"del" => Del, b"dfn" => Dfn, b"font" => Font, b"ins" => Ins, b"kbd" => Kbd,
        b"label" => Label, b"mark" => Mark, b"q" => Q, b"s" => S, b"samp" => Samp, b"small" => Small,
        b"strike" => Strike, b"sub" => Sub, b"sup" => Sup, b"u" => U, b"var" => Var,
    }
}

names! {
    /// Which element without text: the tokenizer knows its end tag by name.
    RawName {
        b"style" => Style, b"noscript" => Noscript, b"noframes" => Noframes, b"noembed" => Noembed,
    }
}

impl Tag {
    /// The element of a lower-case name.
    pub(super) fn from_name(name: &[u8]) -> Self {
        if let Some(inline) = InlineName::from_bytes(name) {
            return Self::Inline(inline);
        }
        match name {
            b"a" => Self::A,
            b"p" => Self::Paragraph,
            b"li" => Self::ListItem,
            b"td" | b"th" => Self::Cell,
            b"tr" => Self::Row,
            b"dt" | b"dd" => Self::Definition,
            b"ul" | b"ol" => Self::List,
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => Self::Heading,
            b"br" => Self::Br,
            b"pre" | b"listing" => Self::Pre,
            b"img" => Self::Img,
            b"dl" => Self::DefinitionList,
            b"table" => Self::Table,
            b"tbody" | b"thead" | b"tfoot" => Self::TableBody,
            b"section" => Self::Section,
            b"article" => Self::Article,
            b"main" => Self::Main,
            b"nav" => Self::Nav,
            b"aside" => Self::Aside,
            b"header" => Self::Header,
            b"footer" => Self::Footer,
            b"search" => Self::Search,
            _ => Self::from_rare_name(name),
        }
    }

    fn from_rare_name(name: &[u8]) -> Self {
        match name {
            b"annotation" | b"annotation-xml" => Self::Annotation,
            b"area" => Self::Area,
            b"base" => Self::Base,
            b"body" => Self::Body,
            b"button" => Self::Button,
            b"caption" => Self::Caption,
            b"datalist" => Self::Datalist,
            b"frame" => Self::Frame,
            b"hr" => Self::Hr,
            b"html" => Self::Html,
            b"iframe" => Self::Iframe,
            b"link" => Self::Link,
            b"math" => Self::Math,
            b"meta" => Self::Meta,
            b"plaintext" => Self::Plaintext,
            b"script" => Self::Script,
            b"select" => Self::Select,
            b"svg" => Self::Svg,
            b"template" => Self::Template,
            b"textarea" => Self::Textarea,
            b"time" => Self::Time,
            b"title" => Self::Title,
            b"xmp" => Self::Xmp,
            b"col" | b"embed" | b"input" | b"param" | b"source" | b"track" | b"wbr" | b"keygen"
            | b"bgsound" => Self::Void,
            _ => BlockName::from_bytes(name)
                .map(Self::Block)
                .or_else(|| RawName::from_bytes(name).map(Self::NoText))
                .unwrap_or(Self::Unknown),
        }
    }

    /// Whether it stands within a line, as far as its name tells.
    pub(super) fn is_inline(self) -> bool {
        self.is_inline_container() || matches!(self, Self::A | Self::Inline(_) | Self::Time | Self::Unknown)
    }

    /// Whether it stands within a line but has blocks or a language of its own inside.
    fn is_inline_container(self) -> bool {
        matches!(
            self,
            Self::Annotation | Self::Button | Self::Datalist | Self::Math | Self::Select | Self::Svg
        )
    }

    /// Whether it has neither content nor an end tag.
    pub(super) fn is_void(self) -> bool {
        matches!(
            self,
            Self::Area
                | Self::Base
                | Self::Br
                | Self::Frame
                | Self::Hr
                | Self::Img
                | Self::Link
                | Self::Meta
                | Self::Void
        )
    }

    /// Whether its start ends a paragraph (WHATWG 13.2.6.4.7, "in body").
    pub(super) fn ends_paragraph(self) -> bool {
        let is_part = matches!(self, Self::Cell | Self::Row | Self::TableBody | Self::Caption);
        let is_block = !self.is_inline() && !self.is_void() && !is_part;
        self == Self::Hr || (is_block && !matches!(self, Self::Html | Self::Body | Self::Template))
    }

    /// Whether its start means that the end tag of a heading was forgotten. Some pages have a `div` in a heading.
    pub(super) fn ends_heading(self) -> bool {
        matches!(
            self,
            Self::Heading
                | Self::Paragraph
                | Self::List
                | Self::DefinitionList
                | Self::Table
                | Self::Pre
                | Self::Section
                | Self::Article
                | Self::Main
                | Self::Nav
                | Self::Aside
                | Self::Footer
                | Self::Block(BlockName::Form | BlockName::Blockquote)
        )
    }

    /// Whether an end tag of `self` cannot end anything outside an open `other` (WHATWG 13.2.4.2, "in scope").
    pub(super) fn is_stopped_by(self, other: Self) -> bool {
        match self {
            Self::Table | Self::TableBody | Self::Row | Self::Cell | Self::Caption => {
                matches!(other, Self::Table | Self::Template)
            }
            Self::Paragraph => !other.is_inline() || other.is_inline_container(),
            Self::ListItem => matches!(other, Self::List) || other.holds_tables_apart(),
            Self::Definition => matches!(other, Self::DefinitionList) || other.holds_tables_apart(),
            _ if self.is_inline_container() => other.holds_tables_apart(),
            _ if self.is_inline() => !other.is_inline(),
            _ => other.holds_tables_apart(),
        }
    }

    fn holds_tables_apart(self) -> bool {
        matches!(self, Self::Table | Self::Cell | Self::Caption | Self::Template)
    }
}
