//! Any text is refused as a URL, or becomes one that reads itself back and that its references can be seen from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Host, PageUrl};

fuzz_target!(|texts: (&str, &str)| {
    let (base, reference) = texts;
    let Ok(url) = PageUrl::parse(base) else { return };
    assert_eq!(PageUrl::parse(url.as_str()).as_ref(), Ok(&url));
    assert_eq!(Host::new(url.host().as_str()), Ok(url.host()));
    if let Ok(joined) = url.join(reference) {
        assert_eq!(PageUrl::parse(joined.as_str()), Ok(joined));
    }
});
