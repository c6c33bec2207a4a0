//! The fields of forms, each with its label and, where it needs one, a sentence of help.

use std::fmt::Display;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::pages::problem::sentence;
use crate::problem::Problem;

/// What is wrong with what somebody entered, and where.
#[derive(Default)]
pub(crate) struct Remark {
    /// The name of the field; empty where it is about the whole form.
    field: &'static str,
    text: String,
    status: StatusCode,
}

impl Remark {
    /// What to say of `field`.
    ///
    /// # Errors
    ///
    /// The problem itself, where other words in the field would not help.
    pub(crate) fn of(field: &'static str, problem: Problem) -> Result<Self, Problem> {
        let status = problem.status();
        if !status.is_client_error() || status == StatusCode::UNAUTHORIZED {
            return Err(problem);
        }
        let text = problem.detail().to_owned();
        Ok(Self { field, text, status })
    }

    /// What to say beside the field `name`.
    pub(crate) fn at(&self, name: &str) -> &str {
        if self.field == name { &self.text } else { "" }
    }

    /// What to say above the form.
    pub(crate) fn above(&self) -> Markup {
        html! { @if !self.at("").is_empty() { div.notice.bad role="alert" { p { (sentence(&self.text)) } } } }
    }

    /// The page on which this is said.
    pub(crate) fn answer(&self, page: Markup) -> Response {
        (self.status, page).into_response()
    }
}

/// A field, before it is known of what kind it is.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    /// Empty where the label says it all.
    pub(crate) help: &'a str,
    /// Why what was entered is not taken; empty where nothing is wrong.
    pub(crate) wrong: &'a str,
}

/// A field; `help` may be empty.
pub(crate) fn field<'a>(name: &'a str, label: &'a str, help: &'a str) -> Field<'a> {
    Field {
        name,
        label,
        help,
        wrong: "",
    }
}

impl<'a> Field<'a> {
    /// The same, with why what was entered is not taken.
    pub(crate) fn wrong(self, wrong: &'a str) -> Self {
        Self { wrong, ..self }
    }
}

impl Field<'_> {
    fn around(&self, input: &Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                (input)
                (self.remarks())
            }
        }
    }

    fn remarks(&self) -> Markup {
        html! {
            @if !self.wrong.is_empty() { p.wrong id={ (self.name) "-wrong" } role="alert" { (sentence(self.wrong)) } }
            @if !self.help.is_empty() { p.soft id={ (self.name) "-help" } { (self.help) } }
        }
    }

    fn described_by(&self) -> Option<String> {
        let remarks = [(self.wrong, "wrong"), (self.help, "help")];
        let ids: Vec<String> = remarks
            .iter()
            .filter(|(text, _)| !text.is_empty())
            .map(|(_, kind)| format!("{}-{kind}", self.name))
            .collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    fn invalid(&self) -> Option<&'static str> {
        (!self.wrong.is_empty()).then_some("true")
    }

    /// A name that must not be empty; browsers fill it in as `autocomplete` says.
    pub(crate) fn name(&self, value: &str, autocomplete: &str) -> Markup {
        self.around(&html! {
            input id=(self.name) type="text" name=(self.name) value=(value) maxlength="100" required autocomplete=(autocomplete)
                autocapitalize="none" spellcheck="false" aria-invalid=[self.invalid()] aria-describedby=[self.described_by()];
        })
    }

    /// A password; `autocomplete` says whether it is the one that is there or a new one.
    pub(crate) fn password(&self, autocomplete: &str) -> Markup {
        let least = (autocomplete == "new-password").then_some("12");
        self.around(&html! {
            input id=(self.name) type="password" name=(self.name) required minlength=[least] maxlength="1024" autocomplete=(autocomplete)
                aria-invalid=[self.invalid()] aria-describedby=[self.described_by()];
        })
    }

    /// An address for mail, which may be left out.
    pub(crate) fn mail(&self, value: &str) -> Markup {
        self.around(&html! {
            input id=(self.name) type="email" name=(self.name) value=(value) maxlength="320" autocomplete="email"
                aria-invalid=[self.invalid()] aria-describedby=[self.described_by()];
        })
    }

    /// A day, which may be left out.
    pub(crate) fn day(&self) -> Markup {
        self.around(&html! {
            input.short id=(self.name) type="date" name=(self.name) aria-invalid=[self.invalid()] aria-describedby=[self.described_by()];
        })
    }

    /// A line of text.
    pub(crate) fn text(&self, value: &str, max: usize) -> Markup {
        self.around(&html! {
            input id=(self.name) type="text" name=(self.name) value=(value) maxlength=(max) aria-describedby=[self.described_by()];
        })
    }

    /// A line of text that must not be empty.
    pub(crate) fn needed_text(&self, value: &str, max: usize) -> Markup {
        self.around(&html! {
            input id=(self.name) type="text" name=(self.name) value=(value) maxlength=(max) required aria-invalid=[self.invalid()] aria-describedby=[self.described_by()];
        })
    }

    /// An address that must not be empty.
    pub(crate) fn address(&self, placeholder: &str) -> Markup {
        self.around(&html! {
            input id=(self.name) type="url" name=(self.name) required placeholder=(placeholder) autocomplete="url" aria-describedby=[self.described_by()];
        })
    }

    /// An address that may be left out.
    pub(crate) fn optional_address(&self, placeholder: &str) -> Markup {
        self.around(&html! {
            input id=(self.name) type="url" name=(self.name) placeholder=(placeholder) aria-describedby=[self.described_by()];
        })
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&self, value: impl Display, least: u64) -> Markup {
        self.around(&html! {
            input.short id=(self.name) type="number" name=(self.name) value=(value.to_string()) min=(least) required aria-describedby=[self.described_by()];
        })
    }

    /// A number, of which parts count.
    pub(crate) fn decimal(&self, value: f64, least: f64, most: f64) -> Markup {
        self.around(&html! {
            input.short id=(self.name) type="number" name=(self.name) value=(value.to_string()) min=(least.to_string()) max=(most.to_string()) step="any" required aria-describedby=[self.described_by()];
        })
    }

    /// Texts, one a line.
    pub(crate) fn lines(&self, values: &[String]) -> Markup {
        self.around(&html! {
            textarea id=(self.name) name=(self.name) rows=(values.len().clamp(2, 12)) aria-describedby=[self.described_by()] { (values.join("\n")) }
        })
    }

    /// One of some values, which are shown as texts.
    pub(crate) fn choice(&self, options: &[(&str, &str)], chosen: &str) -> Markup {
        self.around(&html! {
            select id=(self.name) name=(self.name) aria-describedby=[self.described_by()] {
                @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } }
            }
        })
    }

    /// Something that is so, or is not.
    pub(crate) fn tick(&self, is_ticked: bool) -> Markup {
        html! {
            div.field {
                label.choice {
                    input type="checkbox" name=(self.name) value="yes" checked[is_ticked] aria-describedby=[self.described_by()];
                    (self.label)
                }
                (self.remarks())
            }
        }
    }
}

/// Who decides, and why: both are kept.
pub(crate) fn signature() -> Markup {
    html! {
        (field("reason", "Reason", "Kept with the decision.").needed_text("", 500))
        (field("by", "Your name", "").needed_text("", 200))
    }
}
