//! What requests are refused with, as the description of the API says it: each kind once, for every path that may answer so.

use std::collections::BTreeMap;

use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Each of these is a kind of refusal, with its statuses and what they mean.
macro_rules! refusals {
    ($($(#[$about:meta])* $name:ident { $($status:literal: $means:literal,)+ })+) => {
        $(
            $(#[$about])*
            pub(crate) struct $name;

            impl utoipa::IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    BTreeMap::from([$(($status.to_owned(), refusal($means))),+])
                }
            }
        )+
    };
}

refusals! {
    /// The request is wrong.
    Wrong { "400": "The request is wrong; the problem says how to make it right", }
    /// Not everybody may do it.
    Guarded {
        "401": "Nobody said who asks, or the key is none",
        "403": "Whoever asks may not do this",
    }
    /// Code that was sent along is for who sent it.
    SentAlong {
        "401": "Nobody said who asks, and this is code that was sent along",
        "403": "Code that was sent along is for who sent it",
    }
    /// It is for those who may read the data.
    Withheld { "401": "A key that may read data is needed", }
    /// It is not there.
    Missing { "404": "There is no such thing", }
    /// Somebody else was there first.
    Taken { "409": "It is there already, or the name is taken", }
    /// What was sent is too large.
    TooLarge { "413": "What was sent is larger than it may be", }
    /// The server has only so many seats for questions.
    Limited {
        "429": "Whoever asks asks too much; `Retry-After` says when to come again",
        "503": "Too much is asked at the moment; `Retry-After` says when to come again",
    }
    /// Files are taken in, and streams are open, so many at a time.
    Full { "503": "Too many do so at the moment; `Retry-After` says when to come again", }
}

fn refusal(means: &str) -> RefOr<Response> {
    let response = ResponseBuilder::new().description(means);
    RefOr::T(response.content("application/problem+json", problem()).build())
}

fn problem() -> Content {
    let schema = Ref::from_schema_name("Problem");
    ContentBuilder::new().schema(Some(schema)).build()
}
