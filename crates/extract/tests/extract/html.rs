//! HTML in, text and links out.

use crate::rendering::{check_rendering, read};

#[track_caller]
fn check(html: &str, expected: &str) {
    check_rendering(&read(Some("text/html; charset=utf-8"), html.as_bytes()), expected);
}

#[test]
fn a_page_has_title_headings_and_text() {
    check(
        "<!doctype html><html lang=en-US><title> A  &amp;\n B </title><body><p>Before.</p>
         <h1 id=one>First <em>one</em></h1><p>Some <b>bo</b>ld text.<p>More<br>lines.<h2>Second</h2>Text.",
        "title: A & B
         language: en
         []
         Before.
         [First one] #one
         Some bold text.
         More
         lines.
         [Second]
         Text.",
    );
}

#[test]
fn the_title_falls_back() {
    check(
        "<meta property=og:title content='Shared'><h1>Head</h1>",
        "title: Shared\n[Head]",
    );
    check("<h2>Head</h2>", "title: Head\n[Head]");
    check("<svg><title>Icon</title></svg><title>Page</title>", "title: Page");
    check("<title>One</title><title>Two</title>", "title: One");
}

#[test]
fn a_heading_is_found_by_the_id_nearest_to_it() {
    check(
        "<section id=s><h2>In section</h2>",
        "title: In section\n[In section] #s",
    );
    check(
        "<a name=n></a>\n<h2>Behind name</h2>",
        "title: Behind name\n[Behind name] #n",
    );
    check(
        "<div id=d><p>Text</p><h2>Deep</h2>",
        "title: Deep\n[]\nText\n[Deep] #d",
    );
    check(
        "<h2><a id=inner></a>Docbook</h2>",
        "title: Docbook\n[Docbook] #inner",
    );
    check("<section id=s><h2 id=own>Own</h2>", "title: Own\n[Own] #own");
    check(
        "<p id=before>Text</p><h2>None</h2>",
        "title: None\n[]\nText\n[None]",
    );
}

#[test]
fn what_stands_around_the_content_is_left_out() {
    check(
        "<header>Logo</header><nav>Menu <a href=/menu>x</a></nav><div role=search>Find</div><aside>Ad</aside>
         <div class='big sphinxsidebar'>Side</div><p hidden>Gone</p><p aria-hidden=true>Gone</p>
         <p hidden=until-found>Found</p><form>Name <input value=x><select><option>o</select><button>b</button>
         <textarea>t</textarea></form><template>t</template><noscript>n</noscript><script>if (a<b) '</p>'</script>
         <style>p{}</style><svg><text>s</text></svg><iframe src=/frame>i</iframe><h2>Title<a class=headerlink
         href=#t>¶</a></h2><footer>Foot</footer>",
        "title: Title
         []
         Found
         Name
         [Title]
         -> http://example.gov/menu
         -> http://example.gov/frame",
    );
}

#[test]
fn the_header_of_an_article_is_content() {
    check(
        "<p>Out</p><article><header><h1>A</h1></header>x<footer>By B</footer></article><p>Out",
        "title: A\n[A]\nx\nBy B",
    );
}

#[test]
fn only_main_is_content_where_there_is_one() {
    check("<p>a</p><main><p>b</p></main><p>c</p>", "[]\nb");
    check("<p>a</p><div role=main><p>b</p></div><p>c</p>", "[]\nb");
    check("<p>a</p><main> </main><p>c</p>", "[]\na\n[]\nc");
    check("<p>a<article>b<article>c</article></article><p>d", "[]\nb\n[]\nc");
    check("<article>b</article><article>c</article>d", "[]\nb\n[]\nc\n[]\nd");
}

#[test]
fn blocks_are_lines_and_cells_are_tabs() {
    check(
        "<table><caption>Cap</caption><tr><th>A<th>B<tr><td>1</td><td>2</td></table><ul><li>x<li>y</ul>
         <dl><dt>t<dd>d</dl>a<div>b</div>c<hr>d",
        "[]\nCap\nA | B\n1 | 2\nx\ny\nt\nd\na\nb\nc\nd",
    );
}

#[test]
fn what_stands_in_a_line_stays_there() {
    check(
        "<p>a <img alt=b> <input>c <select><option>no</select>d <button><p>no</button>e<wbr>f<br>g<meta name=x>h</p>",
        "[]\na b c d ef\ngh",
    );
    check("<p hidden>a<br>b<img alt=c></p>d<xmp><b></xmp>e", "[]\nd\n<b>\ne");
}

#[test]
fn preformatted_text_keeps_its_space() {
    let extracted = read(Some("text/html"), b"a<pre>\n  if x:\n\n    <b>y</b>  z\n</pre> b");
    assert_eq!(extracted.extract.passages[0].text, "a\n  if x:\n\n    y  z\nb");
}

#[test]
fn white_space_is_folded_and_invisible_signs_go() {
    check(
        "<p>a \n\t b&nbsp; c&shy;d e&#8203;f\u{2019}s caf\u{e9} <i> g</i> h</p>",
        "[]\na b cd ef’s café g h",
    );
    check("x<img alt='the picture'>y<img alt='  '>", "[]\nx the picture y");
    check("1 <\u{e9} 2 & 3 &notit; &eacute;", "[]\n1 <é 2 & 3 ¬it; é");
}

#[test]
fn forgotten_end_tags_do_not_swallow_the_page() {
    check("<div><nav>Menu</div><p>Text", "[]\nText");
    check("<nav>Menu<ul><li>a</ul><p>Text", "[]\nMenu\na\nText");
    check("<nav>Menu<main>Text</main>", "[]\nText");
    check("<p hidden>a<p>b", "[]\nb");
    check("<ul><li hidden>a<li>b</ul>", "[]\nb");
    check("<h2>Head<p>Text", "title: Head\n[Head]\nText");
    check("<h2>Head</h3>Text", "title: Head\n[Head]\nText");
    check("<table><tr><td><nav>a<td>b</table>", "[]\nb");
    check("<svg><p>Text", "[]\nText");
    check("</div></p></nav>Text</b></h1>", "[]\nText");
    check("<span hidden><span>a</span>b</span>c", "[]\nc");
}

#[test]
fn a_heading_without_end_ends_somewhere() {
    let html = format!("<h1>{}", "word ".repeat(2000));
    let extracted = read(Some("text/html"), html.as_bytes());
    let words: usize = extracted
        .extract
        .passages
        .iter()
        .map(|passage| passage.text.split(' ').count())
        .sum();
    assert_eq!(words, 2000);
}

#[test]
fn links_are_resolved_and_named_once() {
    check(
        "<base href=/base/><a href=one#x>1</a><a href=' one '>1</a><a href=#top>t</a><a href=mailto:a@b>m</a>
         <a href='JavaScript:go()'>j</a><a href=/dir/page>self</a><a href='//other.gov/?a:b'>o</a><a href=''>e</a>
         <map><area href=two rel='a NoFollow'></map><a rel=nofollow href=three>3</a><a href=three>3</a>
         <a href='http://[bad'>b</a><a name=x>n</a>",
        "[]
         11tm jselfoe 33 bn
         -> http://example.gov/base/one
         -> http://other.gov/?a:b
         -> http://example.gov/base/two nofollow
         -> http://example.gov/base/three",
    );
}

#[test]
fn the_head_is_read() {
    check(
        "<head><meta name=description content=' What  it is '><link rel='x canonical' href='/real?utm_source=a'>
         <meta name=ROBOTS content='NoIndex, nofollow'><meta http-equiv=Refresh content='3; URL=\"/next\"'>
         <meta http-equiv=content-language content=fr><meta property=article:published_time
         content=1970-01-02T00:00:00+00:00><meta http-equiv=last-modified content='Sat, 03 Jan 1970 00:00:00 GMT'>",
        "description: What it is
         language: fr
         published: 86400000
         modified: 172800000
         canonical: http://example.gov/real
         noindex: yes
         nofollow: yes
         -> http://example.gov/next",
    );
    check("<meta name=haul content=none>", "noindex: yes\nnofollow: yes");
    check(
        "<time itemprop=datePublished datetime=1970-01-02>2 Jan</time>",
        "published: 86400000\n[]\n2 Jan",
    );
    check(
        "<meta name=date content=1969-01-02><meta name=date content=soon>",
        "",
    );
}

#[test]
fn language_is_detected_where_none_is_declared() {
    let language = |html: &str| read(None, html.as_bytes()).extract.language;
    let german = "<p>Die Katze sitzt auf der Matte und wartet darauf, dass jemand ihr etwas zu essen bringt.";
    assert_eq!(language(german).as_deref(), Some("de"));
    assert_eq!(language("<html xml:lang=es_ES><p>El gato").as_deref(), Some("es"));
    assert_eq!(
        language(&format!("<html lang=und>{german}")).as_deref(),
        Some("de")
    );
    assert_eq!(language("<p>OK</p>"), None);
}

#[test]
fn xhtml_has_empty_elements_and_cdata() {
    let xhtml =
        "<html xml:lang='en'><script src='a'/><title/><div hidden=''/><p>a<![CDATA[<b>&]]></p></html>";
    check_rendering(
        &read(Some("application/xhtml+xml"), xhtml.as_bytes()),
        "language: en\n[]\na<b>&",
    );
}

#[test]
fn limits_cut_off_and_say_so() {
    let deep = format!("{}deep", "<div>".repeat(10_000));
    let links: String = (0..20_010).map(|n| format!("<a href={n}>")).collect();
    let sections: String = (0..5000).map(|n| format!("<h1>{n}</h1>")).collect();
    let deep = read(Some("text/html"), deep.as_bytes());
    assert_eq!(
        (deep.extract.passages[0].text.as_str(), deep.extract.truncated),
        ("deep", true)
    );
    let links = read(Some("text/html"), links.as_bytes());
    assert_eq!(
        (links.links.len(), links.extract.truncated),
        (extract::MAX_LINKS, true)
    );
    let sections = read(Some("text/html"), sections.as_bytes());
    assert_eq!(
        (sections.extract.passages.len(), sections.extract.truncated),
        (extract::MAX_PASSAGES, true)
    );
}

#[test]
fn long_sections_are_cut_at_blocks_sentences_and_words() {
    let cuts = |text: &str| {
        let extracted = read(Some("text/html"), text.as_bytes());
        let ends = extracted
            .extract
            .passages
            .iter()
            .map(|passage| passage.text.clone())
            .collect::<Vec<_>>();
        assert!(
            ends.iter()
                .all(|text| text.len() <= extract::MAX_PASSAGE_BYTES && !text.is_empty())
        );
        ends
    };
    let blocks = cuts(&format!(
        "<p>{}</p><p>{}</p>",
        "a b. ".repeat(500),
        "c d. ".repeat(500)
    ));
    assert!(blocks[0].ends_with("b.") && blocks[1].starts_with('c'));
    let sentences = cuts(&"one two three four. ".repeat(300));
    assert!(
        sentences
            .iter()
            .all(|text| text.starts_with("one") && text.ends_with("four."))
    );
    let words = cuts(&"word ".repeat(2000));
    assert!(
        words
            .iter()
            .all(|text| text.starts_with("word") && text.ends_with("word"))
    );
    assert_eq!(cuts(&"日本語".repeat(3000)).concat(), "日本語".repeat(3000));
}

#[test]
fn a_long_section_is_cut_where_something_has_a_name() {
    let entry = |n: usize| format!("<dt id=d{n}>entry {n}</dt><dd>{}</dd>", "text ".repeat(300));
    let html = format!(
        "<section id=s><h2>List</h2><p>Intro<dl>{}</dl>",
        (1..5).map(entry).collect::<String>()
    );
    let extracted = read(Some("text/html"), html.as_bytes());
    let found = |passage: &extract::Passage| {
        (
            passage.anchor.clone().unwrap_or_default(),
            passage.text.lines().next().unwrap_or_default().to_owned(),
        )
    };
    let found: Vec<(String, String)> = extracted.extract.passages.iter().map(found).collect();
    let expected =
        [("s", "Intro"), ("d3", "entry 3")].map(|(anchor, line)| (anchor.to_owned(), line.to_owned()));
    assert_eq!(found, expected);
}
