use super::tag::Tag;
use crate::text::MarkId;

/// The deepest nesting that is followed; what is deeper counts as part of the element at this depth.
const MAX_DEPTH: usize = 512;

/// What an open element does to what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    Boilerplate,
    Main,
    Article,
    Section,
    Preformatted,
    Heading,
    Svg,
}

const ROLES: usize = Role::Svg as usize + 1;

/// An element whose end has not come yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) tag: Tag,
    pub(super) role: Role,
    /// The number of its start tag in the page, which names it in a second reading.
    pub(super) ordinal: usize,
    /// Its `id`.
    pub(super) mark: Option<MarkId>,
}

/// The open elements, outermost first, and how many there are of each role.
#[derive(Debug, Default)]
pub(super) struct OpenElements {
    stack: Vec<Open>,
    roles: [usize; ROLES],
    /// How many blocks are open beyond [`MAX_DEPTH`].
    beyond: usize,
    /// Whether there were ever more than [`MAX_DEPTH`].
    pub(super) too_deep: bool,
}

impl OpenElements {
    /// Opens an element and says whether it was not too deep for that.
    pub(super) fn push(&mut self, open: Open) -> bool {
        if self.stack.len() >= MAX_DEPTH {
            self.beyond += usize::from(!open.tag.is_inline());
            self.too_deep = true;
            return false;
        }
        self.roles[open.role as usize] += 1;
        self.stack.push(open);
        true
    }

    /// Closes the innermost element.
    pub(super) fn pop(&mut self) -> Option<Open> {
        let open = self.stack.pop()?;
        self.roles[open.role as usize] -= 1;
        Some(open)
    }

    /// Takes back one element that was too deep, where there is one.
    pub(super) fn pop_beyond(&mut self) -> bool {
        let was_beyond = self.beyond > 0;
        self.beyond = self.beyond.saturating_sub(1);
        was_beyond
    }

    /// Whether an element of the role is open.
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles[role as usize] > 0
    }

    /// How many elements of the role are open.
    pub(super) fn count(&self, role: Role) -> usize {
        self.roles[role as usize]
    }

    /// Whether a part of the page is open that has a header and footer of its own.
    pub(super) fn in_section(&self) -> bool {
        self.has(Role::Main) || self.has(Role::Article) || self.has(Role::Section)
    }

    pub(super) fn len(&self) -> usize {
        self.stack.len()
    }

    /// How many elements stay open when an end tag of `tag` comes; nothing where there is no element for it to end.
    pub(super) fn depth_of(&self, tag: Tag) -> Option<usize> {
        for (depth, open) in self.stack.iter().enumerate().rev() {
            if open.tag == tag {
                return Some(depth);
            }
            if tag.is_stopped_by(open.tag) {
                return None;
            }
        }
        None
    }

    /// How many elements stay open when the open heading ends.
    pub(super) fn depth_of_heading(&self) -> Option<usize> {
        self.stack.iter().rposition(|open| open.role == Role::Heading)
    }

    /// The `id` of the innermost element that has one.
    pub(super) fn nearest_mark(&self) -> Option<MarkId> {
        self.stack.iter().rev().find_map(|open| open.mark)
    }

    /// The boilerplate that is open still, by ordinal.
    pub(super) fn open_boilerplate(&self) -> impl Iterator<Item = usize> {
        self.stack
            .iter()
            .filter(|open| matches!(open.role, Role::Boilerplate | Role::Svg))
            .map(|open| open.ordinal)
    }
}
