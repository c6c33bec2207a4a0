//! The crate as its users see it: bytes in, text and links out.

#[cfg(test)]
mod charset;
#[cfg(test)]
mod html;
#[cfg(test)]
mod pdf;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rendering;
#[cfg(test)]
mod text;
