//! What goes into a pack comes out of it, and is found by plain FTS5 queries.
#![expect(clippy::unwrap_used, reason = "a preparation that fails fails the test")]

mod sample;

use extract::{Extract, Passage};
use model::Timestamp;
use pack::terms::{Stems, bigrams};
use pack::{Pack, PackError, Page, Writer, page_of, verify};
use proptest::prelude::*;
use sample::{options, page, write};

fn matches(pack: &Pack, query: &str) -> Vec<String> {
    let sql = "SELECT pages.url FROM search JOIN pages ON pages.id = search.rowid >> 12
               WHERE search MATCH ?1 ORDER BY search.rowid";
    let mut statement = pack.connection().prepare(sql).unwrap();
    let urls = statement.query_map([query], |row| row.get(0)).unwrap();
    urls.collect::<Result<_, _>>().unwrap()
}

fn check_found(extract: Extract, queries: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let pack = write(
        folder.path(),
        &[page("/it", extract), page("/other", Extract::default())],
    );
    for query in queries {
        assert_eq!(matches(&pack, query), ["https://example.gov/it"], "{query}");
    }
}

fn text(text: &str) -> Passage {
    Passage {
        text: text.to_owned(),
        ..Passage::default()
    }
}

fn in_language(language: &str, words: &str) -> Extract {
    Extract {
        language: Some(language.to_owned()),
        passages: vec![text(words)],
        ..Extract::default()
    }
}

#[test]
fn pages_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let full = Extract {
        title: "Tides".into(),
        description: "About tides".into(),
        language: Some("en".into()),
        content_type: "text/html".into(),
        published_at: Some(Timestamp::from_millis(5)),
        modified_at: Some(Timestamp::from_millis(7)),
        passages: vec![
            Passage {
                heading: "Why".into(),
                anchor: Some("why".into()),
                pdf_page: Some(3),
                text: "The moon.\nAnd the sun.".into(),
            },
            Passage::default(),
        ],
        truncated: true,
    };
    let pages = [page("/", full), page("/empty", Extract::default())];
    let pack = write(folder.path(), &pages);
    let ids = pack.page_ids(0, 10).unwrap();
    assert_eq!(ids, [1, 2]);
    assert_eq!(pack.page_ids(1, 10).unwrap(), [2]);
    let read: Vec<Page> = ids.iter().map(|id| pack.page(*id).unwrap().unwrap()).collect();
    assert_eq!(read, pages);
    assert_eq!(pack.page(3).unwrap(), None);
    assert_eq!(pack.page(i64::MAX).unwrap(), None);
}

#[test]
fn the_pack_says_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pack");
    let mut options = options();
    options.crawl_started_at = Some(Timestamp::from_millis(1));
    let mut writer = Writer::create(&path, &options).unwrap();
    writer.add(&page("/a", in_language("es", "uno dos"))).unwrap();
    writer.add(&page("/b", in_language("en", "one"))).unwrap();
    let summary = writer.finish().unwrap();
    let meta = verify(&path).unwrap();
    assert_eq!((summary.pages, summary.passages, summary.text_bytes), (2, 2, 10));
    assert_eq!((meta.pages, meta.passages, meta.text_bytes), (2, 2, 10));
    assert_eq!(meta.crawl_started_at, options.crawl_started_at);
    assert_eq!(meta.crawl_ended_at, None);
    assert_eq!(meta.host, options.host);
    assert_eq!(
        meta.languages
            .iter()
            .map(|(code, pages)| (&**code, *pages))
            .collect::<Vec<_>>(),
        [("en", 1), ("es", 1)]
    );
    assert_eq!((meta.sources.len(), meta.sources[0].pages), (1, 2));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(
        (summary.file_bytes, summary.checksum),
        (bytes.len() as u64, model::Checksum::of(&bytes))
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing lies beside the pack"
    );
}

#[test]
fn a_source_has_the_same_digest_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let digest = |name: &str, pages: &[Page]| {
        let sub = folder.path().join(name);
        std::fs::create_dir(&sub).unwrap();
        write(&sub, pages).meta().sources.clone()
    };
    let (a, b) = (page("/a", Extract::default()), page("/b", Extract::default()));
    assert_eq!(digest("1", &[a.clone(), b.clone()]), digest("2", &[b, a.clone()]));
    assert_ne!(digest("3", &[a]), digest("4", &[]));
}

#[test]
fn english_is_stemmed_and_diacritics_are_folded() {
    check_found(
        in_language("en", "Résumés of running FOXES"),
        &["resume", "RUNS", "fox", "\"run fox\"", "resum*"],
    );
}

#[test]
fn title_and_text_of_a_page_match_together() {
    let extract = Extract {
        title: "Permits".into(),
        passages: vec![
            text("unrelated"),
            Passage {
                heading: "Fees".into(),
                ..text("twenty dollars")
            },
        ],
        ..Extract::default()
    };
    check_found(
        extract.clone(),
        &[
            "permit fee dollars",
            "title:permit AND text:dollar",
            "heading:fees",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let pack = write(folder.path(), &[page("/it", extract)]);
    let row: i64 = pack
        .connection()
        .query_row(
            "SELECT rowid FROM search WHERE search MATCH 'dollar'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!((page_of(row), row & 4095), (1, 1));
}

#[test]
fn other_languages_are_found_by_their_stems() {
    let mut stems = Stems::new().unwrap();
    for (language, written, asked) in [
        ("es", "Las canciones", "canción"),
        ("es", "educaciones", "educacion"),
        ("de", "die Häuser", "Haus"),
        ("fr", "les chevaux nationaux", "nationale"),
        ("pt", "as liberdades", "liberdade"),
        ("ru", "книгами", "книга"),
    ] {
        let stems = stems.of(language, asked);
        let query = [asked.to_owned()]
            .into_iter()
            .chain(stems)
            .collect::<Vec<_>>()
            .join(" OR ");
        check_found(in_language(language, written), &[&query]);
    }
    assert_eq!(stems.of("en", "running"), [""; 0], "the tokenizer stems English");
    assert_eq!(stems.of("xx", "running"), [""; 0]);
}

#[test]
fn cjk_is_found_by_parts_of_a_run() {
    let phrase = |text: &str| format!("terms:\"{}\"", bigrams(text).join(" "));
    let extract = in_language("ja", "私は東京都に住んでいます。");
    check_found(
        extract,
        &[
            &phrase("東京都"),
            &phrase("京都"),
            "terms:都*",
            "terms:す*",
            &phrase("住んで"),
        ],
    );
    let extract = Extract {
        title: "대한민국 정부".into(),
        passages: vec![text("x")],
        ..Extract::default()
    };
    check_found(extract, &[&phrase("민국"), "정부"]);
}

#[test]
fn words_count_passages() {
    let folder = tempfile::tempdir().unwrap();
    let extract = Extract {
        title: "Cats".into(),
        passages: vec![text("cats, Cats and CATS; déjà 2nd a"), text("dogs")],
        ..Extract::default()
    };
    let pack = write(folder.path(), &[page("/it", extract)]);
    let mut statement = pack
        .connection()
        .prepare("SELECT word, passages FROM words ORDER BY word")
        .unwrap();
    let words = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let words: Vec<(String, i64)> = words.collect::<Result<_, _>>().unwrap();
    let expected = [("and", 1), ("cats", 2), ("deja", 1), ("dogs", 1)];
    assert_eq!(
        words,
        expected.map(|(word, passages)| (word.to_owned(), passages))
    );
}

#[test]
fn a_page_is_added_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pack");
    let mut writer = Writer::create(&path, &options()).unwrap();
    writer.add(&page("/a", in_language("en", "first"))).unwrap();
    let again = writer.add(&page("/a", in_language("en", "second")));
    assert!(matches!(again, Err(PackError::Duplicate(url)) if url.as_str() == "https://example.gov/a"));
    writer.add(&page("/b", in_language("en", "third"))).unwrap();
    writer.finish().unwrap();
    assert_eq!(verify(&path).unwrap().pages, 2);
}

#[test]
fn what_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&folder.path().join("a.pack"), &options()).unwrap();
    let many = Extract {
        passages: vec![Passage::default(); extract::MAX_PASSAGES + 1],
        ..Extract::default()
    };
    let long = Extract {
        passages: vec![text(&"x".repeat(70_000))],
        ..Extract::default()
    };
    for extract in [many, long] {
        assert!(matches!(
            writer.add(&page("/a", extract)),
            Err(PackError::TooLarge { .. })
        ));
    }
    writer
        .add(&page("/a", in_language("en", &"y ".repeat(32_000))))
        .unwrap();
    assert_eq!(writer.finish().unwrap().pages, 1);
}

#[test]
fn a_pack_does_not_take_the_place_of_another_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pack");
    let early = Writer::create(&path, &options()).unwrap();
    Writer::create(&path, &options()).unwrap().finish().unwrap();
    assert!(matches!(
        Writer::create(&path, &options()),
        Err(PackError::Exists(_))
    ));
    assert!(
        matches!(early.finish(), Err(PackError::Exists(_))),
        "it appeared meanwhile"
    );

    let open = Pack::open(&path).unwrap();
    let mut writer = Writer::replace(&path, &options()).unwrap();
    writer.add(&page("/new", Extract::default())).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        open.page_ids(0, 9).unwrap(),
        [0; 0],
        "who has the old one open keeps it"
    );
    assert_eq!(Pack::open(&path).unwrap().meta().pages, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&folder.path().join("a.pack"), &options()).unwrap();
    writer.add(&page("/a", in_language("en", "word"))).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_same_pages_give_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let build = |name: &str, threads: usize| {
        let mut options = options();
        options.threads = std::num::NonZeroUsize::new(threads).unwrap();
        let mut writer = Writer::create(&folder.path().join(name), &options).unwrap();
        for number in 0..300 {
            writer
                .add(&page(
                    &format!("/{number}"),
                    in_language("en", &format!("word{number} same ").repeat(900)),
                ))
                .unwrap();
        }
        writer.finish().unwrap()
    };
    assert_eq!(build("1", 1), build("2", 3));
}

fn any_extract() -> impl Strategy<Value = Extract> {
    let text = || prop_oneof![4 => "[a-eé ]{0,60}", 1 => any::<String>(), 1 => "[東京都大阪 a]{0,20}"];
    let passage = (
        text(),
        prop::option::of("[a-z]{1,5}"),
        prop::option::of(1u32..90),
        text(),
    )
        .prop_map(|(heading, anchor, pdf_page, text)| Passage {
            heading,
            anchor,
            pdf_page,
            text,
        });
    let language = prop::sample::select(vec![None, Some("en"), Some("es"), Some("ja")]);
    (
        text(),
        language,
        any::<bool>(),
        prop::collection::vec(passage, 0..6),
    )
        .prop_map(|(title, language, truncated, passages)| Extract {
            title,
            language: language.map(str::to_owned),
            truncated,
            passages,
            ..Extract::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_page_survives_and_the_pack_is_sound(extracts in prop::collection::vec(any_extract(), 0..12)) {
        let folder = tempfile::tempdir().unwrap();
        let pages: Vec<Page> = (0..).zip(extracts).map(|(number, extract)| page(&format!("/{number}"), extract)).collect();
        let pack = write(folder.path(), &pages);
        let read: Vec<Page> =
            pack.page_ids(0, 100).unwrap().into_iter().map(|id| pack.page(id).unwrap().unwrap()).collect();
        prop_assert_eq!(read, pages);
        verify(&folder.path().join("sample.pack")).unwrap();
    }
}
