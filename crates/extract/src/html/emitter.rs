use std::convert::Infallible;

use html5gum::{Emitter, Error, State};

use super::attributes::Attributes;
use super::page::Page;
use super::tag::Tag;

/// Hands tags and text from the tokenizer to the page, in buffers that all tags share.
#[derive(Debug)]
pub(super) struct PageEmitter<'a> {
    page: &'a mut Page,
    attributes: Attributes,
    tag_name: Vec<u8>,
    is_end_tag: bool,
    is_self_closing: bool,
    attribute_name: Vec<u8>,
    /// Whether the name is complete only when something else than a name comes.
    in_attribute_name: bool,
    /// Whether the value is of interest.
    keeps_value: bool,
    /// The element whose end tag ends the text that is not markup.
    raw_element: Vec<u8>,
}

impl<'a> PageEmitter<'a> {
    pub(super) fn new(page: &'a mut Page) -> Self {
        Self {
            page,
            attributes: Attributes::default(),
            tag_name: Vec::new(),
            is_end_tag: false,
            is_self_closing: false,
            attribute_name: Vec::new(),
            in_attribute_name: false,
            keeps_value: false,
            raw_element: Vec::new(),
        }
    }

    fn init_tag(&mut self) {
        self.tag_name.clear();
        self.attributes.clear();
        self.is_self_closing = false;
        self.in_attribute_name = false;
        self.keeps_value = false;
    }

    fn end_attribute_name(&mut self) {
        if self.in_attribute_name {
            self.in_attribute_name = false;
            self.keeps_value = self.attributes.begin(&self.attribute_name);
        }
    }
}

impl Emitter for PageEmitter<'_> {
    type Token = Infallible;

    fn pop_token(&mut self) -> Option<Infallible> {
        None
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn emit_error(&mut self, _: Error) {}

    fn emit_string(&mut self, text: &[u8]) {
        self.page.text(text);
    }

    fn init_start_tag(&mut self) {
        self.init_tag();
        self.is_end_tag = false;
    }

    fn init_end_tag(&mut self) {
        self.init_tag();
        self.is_end_tag = true;
    }

    fn push_tag_name(&mut self, name: &[u8]) {
        self.tag_name.extend_from_slice(name);
    }

    fn set_self_closing(&mut self) {
        self.is_self_closing = true;
    }

    fn init_attribute(&mut self) {
        self.end_attribute_name();
        self.attribute_name.clear();
        self.in_attribute_name = true;
        self.keeps_value = false;
    }

    fn push_attribute_name(&mut self, name: &[u8]) {
        self.attribute_name.extend_from_slice(name);
    }

    fn push_attribute_value(&mut self, value: &[u8]) {
        self.end_attribute_name();
        if self.keeps_value {
            self.attributes.push(value);
        }
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        self.end_attribute_name();
        let tag = Tag::from_name(&self.tag_name);
        if self.is_end_tag {
            self.page.end(tag);
            return None;
        }
        let state = self.page.start(tag, &self.attributes, self.is_self_closing);
        if state.is_some() {
            self.raw_element.clone_from(&self.tag_name);
        }
        state
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        self.is_end_tag && self.tag_name == self.raw_element
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.page.allows_cdata()
    }

    fn set_last_start_tag(&mut self, _: Option<&[u8]>) {}
    fn emit_eof(&mut self) {}
    fn init_comment(&mut self) {}
    fn emit_current_comment(&mut self) {}
    fn push_comment(&mut self, _: &[u8]) {}
    fn init_doctype(&mut self) {}
    fn emit_current_doctype(&mut self) {}
    fn set_force_quirks(&mut self) {}
    fn push_doctype_name(&mut self, _: &[u8]) {}
    fn set_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn set_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}
}
