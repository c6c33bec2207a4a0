//! The test bench: the real binary, real servers, a real browser.
