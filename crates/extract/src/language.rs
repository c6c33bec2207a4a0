use whatlang::Lang;

use crate::Passage;

/// How much text is looked at. Trigrams tell languages apart in a few sentences; more only takes time.
const SAMPLE_BYTES: usize = 512;

/// How many passages the sample is taken from.
const SAMPLED_PASSAGES: usize = 4;

/// Below this, names and code look like any language.
const MIN_ASCII_BYTES: usize = 40;

/// How sure `whatlang` must be, from 0 to 1; its own `is_reliable` asks for 0.9, which short pages rarely reach.
const MIN_CONFIDENCE: f64 = 0.7;

/// The primary subtag of a declared language tag (BCP 47), such as `en` of `en-US`.
pub(crate) fn declared(tag: &str) -> Option<String> {
    let primary = tag
        .trim()
        .split(['-', '_', ',', ' '])
        .next()?
        .to_ascii_lowercase();
    let is_subtag = matches!(primary.len(), 2 | 3) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_language = is_subtag && !matches!(primary.as_str(), "und" | "mul" | "zxx");
    is_language.then_some(primary)
}

/// What language the passages look like; nothing where that is a guess.
pub(crate) fn detect(passages: &[Passage]) -> Option<String> {
    let sample = sample(passages);
    if sample.is_ascii() && sample.len() < MIN_ASCII_BYTES {
        return None;
    }
    let info = whatlang::detect(&sample)?;
    (info.confidence() >= MIN_CONFIDENCE).then(|| subtag(info.lang()).to_owned())
}

/// The fronts of a few passages from all over the page: its first ones are names and notices more often than not.
fn sample(passages: &[Passage]) -> String {
    let texts: Vec<&str> = passages
        .iter()
        .map(|passage| passage.text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    let step = texts.len().div_ceil(SAMPLED_PASSAGES).max(1);
    let share = SAMPLE_BYTES / texts.len().clamp(1, SAMPLED_PASSAGES);
    let mut sample = String::with_capacity(SAMPLE_BYTES + SAMPLED_PASSAGES);
    for text in texts.into_iter().step_by(step) {
        sample.push_str(&text[..text.floor_char_boundary(share)]);
        sample.push(' ');
    }
    sample
}

/// BCP 47 wants the code of two letters (ISO 639-1) where there is one.
fn subtag(language: Lang) -> &'static str {
    match language {
        Lang::Afr => "af",
        Lang::Aka => "ak",
        Lang::Amh => "am",
        Lang::Ara => "ar",
        Lang::Aze => "az",
        Lang::Bel => "be",
        Lang::Ben => "bn",
        Lang::Bul => "bg",
        Lang::Cat => "ca",
        Lang::Ces => "cs",
        Lang::Cmn => "zh",
        Lang::Cym => "cy",
        Lang::Dan => "da",
        Lang::Deu => "de",
        Lang::Ell => "el",
        Lang::Eng => "en",
        Lang::Epo => "eo",
        Lang::Est => "et",
        Lang::Fin => "fi",
        Lang::Fra => "fr",
        Lang::Guj => "gu",
        Lang::Heb => "he",
        Lang::Hin => "hi",
        Lang::Hrv => "hr",
        Lang::Hun => "hu",
        Lang::Hye => "hy",
        Lang::Ind => "id",
        Lang::Ita => "it",
        Lang::Jav => "jv",
        Lang::Jpn => "ja",
        Lang::Kan => "kn",
        Lang::Kat => "ka",
        Lang::Khm => "km",
        Lang::Kor => "ko",
        Lang::Lat => "la",
        Lang::Lav => "lv",
        Lang::Lit => "lt",
        Lang::Mal => "ml",
        Lang::Mar => "mr",
        Lang::Mkd => "mk",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Nld => "nl",
        Lang::Nob => "nb",
        Lang::Ori => "or",
        Lang::Pan => "pa",
        Lang::Pes => "fa",
        Lang::Pol => "pl",
        Lang::Por => "pt",
        Lang::Ron => "ro",
        Lang::Rus => "ru",
        Lang::Sin => "si",
        Lang::Slk => "sk",
        Lang::Slv => "sl",
        Lang::Sna => "sn",
        Lang::Spa => "es",
        Lang::Srp => "sr",
        Lang::Swe => "sv",
        Lang::Tam => "ta",
        Lang::Tel => "te",
        Lang::Tgl => "tl",
        Lang::Tha => "th",
        Lang::Tuk => "tk",
        Lang::Tur => "tr",
        Lang::Ukr => "uk",
        Lang::Urd => "ur",
        Lang::Uzb => "uz",
        Lang::Vie => "vi",
        Lang::Yid => "yi",
        Lang::Zul => "zu",
    }
}
