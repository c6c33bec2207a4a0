//! What is found, in which order, and how it is shown.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of it")]
mod site;

use std::collections::BTreeSet;

use extract::Passage;
use model::{Checksum, Timestamp};
use pack::Page;
use proptest::prelude::*;
use search::{Library, Request, SearchError};
use site::{Site, ask, found, host, library_of, page};

fn in_language(language: &str, mut page: Page) -> Page {
    page.extract.language = Some(language.to_owned());
    page
}

fn sea() -> Vec<Page> {
    vec![
        page(
            "http://sea.gov/tides",
            "Tides - Sea",
            &["High tide comes twice a day.", "The moon pulls the water."],
        ),
        page(
            "http://sea.gov/moon",
            "The moon - Sea",
            &["The moon makes high and low tides. Running water."],
        ),
        page(
            "http://sea.gov/ships",
            "Ships - Sea",
            &["A ship runs high on the water. Tide of low times."],
        ),
        page(
            "http://sea.gov/fish",
            "Fish - Sea",
            &["Fish swim. os.path.join is a function."],
        ),
    ]
}

#[track_caller]
fn check_set(found: &[String], expected: &[&str]) {
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, expected.iter().copied().collect());
}

#[tokio::test]
async fn words_phrases_prefixes_and_exclusions() {
    let site = Site::new();
    let library = library_of(&site, &sea()).await;
    for (query, expected) in [
        ("tides", &["tides", "moon", "ships"] as &[_]),
        ("TIDE moon", &["tides", "moon"]),
        ("\"high tide\"", &["tides"]),
        ("\"tide of low\"", &["ships"]),
        ("\"tide high\"", &[]),
        ("os.path", &["fish"]),
        ("path.os", &[]),
        ("shi*", &["ships"]),
        ("running", &["moon", "ships"]),
        ("runni*", &["moon", "ships"]),
        ("\"high on th*\"", &[]),
        ("fish OR ship", &["fish", "ships"]),
        ("high -moon", &["ships"]),
        ("high -\"high tide\"", &["moon", "ships"]),
        ("nothing", &[]),
        ("-moon", &[]),
        ("", &[]),
        ("tide !!! …", &["tides", "moon", "ships"]),
    ] {
        println!("{query}");
        check_set(&found(&library, query).await, expected);
    }
}

#[tokio::test]
async fn a_page_may_have_the_words_in_different_passages_but_comes_later() {
    let site = Site::new();
    let together = page(
        "http://e.gov/together",
        "",
        &["apple, in a long text about something, and pear"],
    );
    let apart = page(
        "http://e.gov/apart",
        "",
        &["apple apple apple", "something else", "pear pear pear"],
    );
    let half = page("http://e.gov/half", "", &["apple", "banana"]);
    let library = library_of(&site, &[apart, together, half]).await;
    assert_eq!(found(&library, "apple pear").await, ["together", "apart"]);
    assert_eq!(found(&library, "apple pear -else").await, ["together"]);
}

#[tokio::test]
async fn who_is_called_so_comes_first() {
    let site = Site::new();
    let mut pages: Vec<Page> = (0..20)
        .map(|n| {
            page(
                &format!("http://e.gov/{n}"),
                &format!("Page {n} - Example"),
                &["zoning map zoning map zoning"],
            )
        })
        .collect();
    pages.push(page("http://e.gov/map", "Zoning map - Example", &["Here it is."]));
    pages.push(page(
        "http://e.gov/rules",
        "Zoning map rules - Example",
        &["Here they are."],
    ));
    let library = library_of(&site, &pages).await;
    assert_eq!(found(&library, "zoning map").await[..2], ["map", "rules"]);
    assert_eq!(found(&library, "Zoning Map - Example").await[0], "map");
    assert_eq!(found(&library, "page 7").await[0], "7");
}

#[tokio::test]
async fn filters_choose_pages() {
    let site = Site::new();
    let mut pdf = page("http://a.gov/docs/plan.pdf", "Plan", &["water plan"]);
    pdf.extract.content_type = "application/pdf".into();
    pdf.extract.published_at = Some(Timestamp::from_millis(1_704_067_200_000));
    let mut old = page("http://www.a.gov/news/old", "Old", &["water news"]);
    old.extract.modified_at = Some(Timestamp::from_millis(1_000_000_000_000));
    let spanish = in_language("es", page("http://b.gov/noticias", "Agua", &["water es agua"]));
    let library = library_of(&site, &[pdf, old, spanish]).await;
    for (query, expected) in [
        ("water", &["docs/plan.pdf", "news/old", "noticias"] as &[_]),
        ("water type:pdf", &["docs/plan.pdf"]),
        ("water -type:pdf", &["news/old", "noticias"]),
        ("water type:pdf type:html lang:en", &["docs/plan.pdf", "news/old"]),
        ("water site:a.gov", &["docs/plan.pdf", "news/old"]),
        ("water site:gov -site:b.gov", &["docs/plan.pdf", "news/old"]),
        ("water site:c.gov", &[]),
        ("lang:es", &["noticias"]),
        ("path:/news/", &["news/old"]),
        ("path:plan", &["docs/plan.pdf"]),
        ("water after:2024", &["docs/plan.pdf"]),
        ("water after:2023 before:2024", &["noticias"]),
        ("water before:2002", &["news/old"]),
    ] {
        println!("{query}");
        check_set(&found(&library, query).await, expected);
    }
}

#[tokio::test]
async fn languages_and_diacritics() {
    let site = Site::new();
    let library = library_of(
        &site,
        &[
            in_language(
                "es",
                page(
                    "http://e.gov/es",
                    "Canciones",
                    &["Las canciones de los niños pequeños"],
                ),
            ),
            in_language("de", page("http://e.gov/de", "", &["Die Häuser der Stadt"])),
            in_language(
                "ja",
                page(
                    "http://e.gov/ja",
                    "東京都の天気",
                    &["今日は東京都で雨が降ります。Python入門"],
                ),
            ),
            in_language("zh", page("http://e.gov/zh", "", &["北京大学的学生"])),
        ],
    )
    .await;
    for (query, expected) in [
        ("canción", &["es"] as &[_]),
        ("cancion", &["es"]),
        ("nino", &["es"]),
        ("niños", &["es"]),
        ("hauser", &["de"]),
        ("Haus", &["de"]),
        ("東京都", &["ja"]),
        ("東京", &["ja"]),
        ("京都", &["ja"]),
        ("東都", &[]),
        ("雨", &["ja"]),
        ("大学", &["zh"]),
        ("\"北京大学\"", &["zh"]),
        ("python入門", &["ja"]),
        ("東京 天気", &["ja"]),
    ] {
        println!("{query}");
        check_set(&found(&library, query).await, expected);
    }
    let hit = &ask(&library, "東京").await.results[0];
    let marked: Vec<&str> = hit
        .snippet
        .pieces()
        .filter(|(_, marked)| *marked)
        .map(|(text, _)| text)
        .collect();
    assert_eq!(marked, ["東京"]);
    let hit = &ask(&library, "cancion").await.results[0];
    assert!(
        hit.snippet.pieces().any(|piece| piece == ("canciones", true)),
        "{hit:?}"
    );
}

#[tokio::test]
async fn a_result_leads_to_its_section() {
    let site = Site::new();
    let mut html = page("http://e.gov/guide", "Guide", &[]);
    let text = format!(
        "{} A *needle* in a haystack. {}",
        "before ".repeat(100),
        "after ".repeat(100)
    );
    html.extract.passages = vec![
        Passage {
            text: "Nothing here".into(),
            ..Passage::default()
        },
        Passage {
            heading: "Needles".into(),
            anchor: Some("needles".into()),
            text,
            ..Passage::default()
        },
    ];
    let mut pdf = page("http://e.gov/guide.pdf", "", &[]);
    pdf.extract.content_type = "application/pdf".into();
    pdf.extract.passages = vec![Passage {
        pdf_page: Some(7),
        text: "a pin".into(),
        ..Passage::default()
    }];
    let library = library_of(&site, &[html, pdf]).await;

    let hit = &ask(&library, "needle").await.results[0];
    assert_eq!(hit.section_url, "http://e.gov/guide#needles");
    assert!(
        hit.snippet.text.contains("A *needle* in a haystack."),
        "{:?}",
        hit.snippet
    );
    assert!(
        hit.snippet.text.starts_with('…') && hit.snippet.text.ends_with('…'),
        "{:?}",
        hit.snippet
    );
    assert!(hit.snippet.text.len() < 260, "{}", hit.snippet.text.len());
    assert_eq!(hit.heading.pieces().collect::<Vec<_>>(), [("Needles", true)]);

    let hit = &ask(&library, "pin").await.results[0];
    assert_eq!(
        (hit.section_url.as_str(), hit.pdf_page),
        ("http://e.gov/guide.pdf#page=7", Some(7))
    );
    assert_eq!(hit.title.text, "http://e.gov/guide.pdf");
}

#[tokio::test]
async fn pages_of_results_have_no_gaps_and_no_doubles() {
    let site = Site::new();
    let pages: Vec<Page> = (0..57)
        .map(|n| {
            page(
                &format!("http://h{}.gov/{n}", n % 3),
                "Same",
                &["word and word", &"word ".repeat(n % 5)],
            )
        })
        .collect();
    let library = library_of(&site, &pages).await;
    let all: Vec<String> = ask(&library, "word")
        .await
        .results
        .iter()
        .map(|hit| hit.url.clone())
        .collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 57);
    let mut paged = Vec::new();
    for page in 1..=9 {
        let answer = library
            .search(&Request {
                page,
                per_page: 7,
                ..Request::new("word")
            })
            .await
            .unwrap();
        assert_eq!(answer.total, 57);
        paged.extend(answer.results.iter().map(|hit| hit.url.clone()));
    }
    assert_eq!(paged, all);
    let beyond = Request {
        page: u32::MAX,
        per_page: u32::MAX,
        ..Request::new("word")
    };
    assert!(library.search(&beyond).await.unwrap().results.is_empty());
}

#[tokio::test]
async fn hosts_are_asked_alone_or_together_and_scores_compare() {
    let site = Site::new();
    let filler = |host: &str, n: usize| page(&format!("http://{host}/{n}"), "", &["common words and others"]);
    let mut pages: Vec<Page> = (0..20).map(|n| filler("a.gov", n)).collect();
    pages.push(page("http://a.gov/x", "", &["rare common"]));
    pages.push(page("http://b.gov/x", "", &["rare common"]));
    let library = library_of(&site, &pages).await;
    let answer = ask(&library, "rare").await;
    assert_eq!((answer.total, answer.packs), (2, 2));
    let both = |hosts: Vec<model::Host>| Request {
        hosts,
        ..Request::new("rare")
    };
    assert_eq!(
        library.search(&both(vec![host("b.gov")])).await.unwrap().results[0].url,
        "http://b.gov/x"
    );
    let error = library.search(&both(vec![host("c.gov")])).await.unwrap_err();
    assert!(matches!(error, SearchError::UnknownHost(_)), "{error}");
    // The word counts as rare everywhere, though in the small pack every page has it.
    let scores: Vec<f32> = answer.results.iter().map(|hit| hit.score).collect();
    assert!(scores[1] > 0.5 * scores[0], "{scores:?}");
}

const VOCABULARY: [&str; 14] = [
    "tide", "tides", "tidal", "Moon", "moons", "sea", "seas", "run", "running", "the", "café", "cafe",
    "Ünder", "x9",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&VOCABULARY[..]), 0..12)
        .prop_map(|words| words.join(" "))
}

fn corpus() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    proptest::collection::vec((text(), proptest::collection::vec(text(), 1..4)), 1..12)
}

/// The pages that have every word of the query somewhere, and no excluded one, by reading them all.
fn naive(corpus: &[(String, Vec<String>)], words: &[&str], excluded: Option<&str>) -> u64 {
    let tokenizer = pack::Tokenizer::new().unwrap();
    let terms = |text: &str| -> Vec<String> {
        tokenizer
            .tokens(text)
            .into_iter()
            .map(|token| token.term)
            .collect()
    };
    let has = |page: &(String, Vec<String>), word: &str| {
        let all = format!("{} {}", page.0, page.1.join(" "));
        terms(&all).contains(&terms(word)[0])
    };
    let matches = |page: &&(String, Vec<String>)| {
        words.iter().all(|word| has(page, word)) && !excluded.is_some_and(|word| has(page, word))
    };
    corpus.iter().filter(matches).count() as u64
}

fn built(corpus: &[(String, Vec<String>)]) -> Vec<Page> {
    let page_of = |(n, (title, texts)): (usize, &(String, Vec<String>))| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        page(&format!("http://e.gov/{n}"), title, &texts)
    };
    corpus.iter().enumerate().map(page_of).collect()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn totals_are_what_reading_every_page_counts(
        corpus in corpus(),
        words in proptest::collection::vec(proptest::sample::select(&VOCABULARY[..]), 1..4),
        excluded in proptest::option::of(proptest::sample::select(&VOCABULARY[..])),
    ) {
        let total = block_on(async {
            let site = Site::new();
            let library = library_of(&site, &built(&corpus)).await;
            let minus = excluded.map(|word| format!(" -{word}")).unwrap_or_default();
            ask(&library, &(words.join(" ") + &minus)).await.total
        });
        prop_assert_eq!(total, naive(&corpus, &words, excluded));
    }

    #[test]
    fn highlights_lie_in_the_text_and_are_words_of_the_query(
        corpus in corpus(),
        word in proptest::sample::select(&VOCABULARY[..]),
        noise in "[ éß日本.…\n-]{0,400}",
    ) {
        let texts = corpus.iter().map(|(title, texts)| (title.clone(), vec![format!("{noise} {} {noise}", texts.join("—"))]));
        let corpus: Vec<_> = texts.collect();
        let answer = block_on(async {
            let site = Site::new();
            let library = library_of(&site, &built(&corpus)).await;
            ask(&library, word).await
        });
        let tokenizer = pack::Tokenizer::new().unwrap();
        for hit in &answer.results {
            let marked = [&hit.title, &hit.snippet].map(|text| text.pieces().filter(|(_, marked)| *marked).count());
            prop_assert!(marked.iter().sum::<usize>() > 0 || hit.title.text.is_empty(), "{hit:?}");
            for text in [&hit.title, &hit.snippet] {
                let pieces: String = text.pieces().map(|(piece, _)| piece).collect();
                prop_assert_eq!(&pieces, &text.text);
                for range in &text.highlights {
                    let marked = text.text.get(range.clone()).expect("on character boundaries");
                    prop_assert_eq!(&tokenizer.tokens(marked)[0].term, &tokenizer.tokens(word)[0].term);
                }
            }
        }
    }
}

/// One library for many queries.
fn shared() -> (Site, Library) {
    let site = Site::new();
    let library = block_on(library_of(&site, &sea()));
    (site, library)
}

#[test]
fn no_text_is_an_error() {
    let (_site, library) = shared();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let operators = "([a-z\"*:()^{}+ -]|OR|NOT|AND|NEAR|site:|path:|after:2024|tide|moon|東京|\u{0}){0,40}";
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let any_text = prop_oneof![
        bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        operators
    ];
    runner
        .run(&any_text, |text| {
            let answer = runtime.block_on(library.search(&Request::new(text)));
            prop_assert!(answer.is_ok(), "{answer:?}");
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn the_same_question_to_the_same_packs_has_one_name() {
    let site = Site::new();
    let library = library_of(&site, &sea()).await;
    let name = |answer: &search::Answer| -> Checksum { answer.packs_checksum };
    let before = ask(&library, "tide").await;
    assert_eq!(name(&before), name(&*ask(&library, "tide").await));
    site.publish(&host("sea.gov"), &sea()[..2]).await;
    library.refresh_all().await.unwrap();
    assert_ne!(name(&before), name(&*ask(&library, "tide").await));
}

#[tokio::test]
async fn a_file_alone_answers_as_a_library_does() {
    let site = Site::new();
    let library = library_of(&site, &sea()).await;
    let path = site.folder.path().join("sea.pack");
    site::write_pack(&path, &host("sea.gov"), &sea());
    for query in ["tide", "high water", "\"high tide\"", "nothing"] {
        let alone = search::search_file(&path, &Request::new(query)).unwrap();
        let answer = library.search(&Request::new(query)).await.unwrap();
        assert_eq!((alone.total, &alone.results), (answer.total, &answer.results));
    }
    std::fs::write(&path, "no database").unwrap();
    assert!(search::search_file(&path, &Request::new("tide")).is_err());
}
