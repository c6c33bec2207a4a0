//! Packages that look like those of a distribution, the same in every run.

use std::collections::HashSet;

const BEFORE: [&str; 8] = ["", "", "", "lib", "lib", "python3-", "golang-", "node-"];
const SYLLABLES: [&str; 24] = [
    "al", "bus", "con", "dra", "ek", "fon", "gra", "hel", "ion", "jam", "kit", "lin", "mor", "net", "ost",
    "par", "qua", "ren", "sys", "tor", "uni", "vel", "wid", "xen",
];
const AFTER: [&str; 8] = ["", "", "1", "2.0", "-dev", "-doc", "-common", "-utils"];
const MOST_DEPENDENCIES: u64 = 3;

/// Different names, 16 bytes long on average.
pub(crate) fn names(count: usize, draw: &mut Draw) -> Vec<String> {
    let mut seen = HashSet::with_capacity(count);
    let mut names = Vec::with_capacity(count);
    while names.len() < count {
        let name = name(draw);
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

fn name(draw: &mut Draw) -> String {
    let syllables = 3 + draw.below(3);
    let middle: String = (0..syllables).map(|_| *draw.of(&SYLLABLES)).collect();
    format!("{}{middle}{}", draw.of(&BEFORE), draw.of(&AFTER))
}

/// Two lists of none to three names, with commas, that do not mean the same.
pub(crate) fn two_lists(names: &[String], draw: &mut Draw) -> [String; 2] {
    let first = list(names, draw);
    loop {
        let second = list(names, draw);
        if first != second {
            return [first.join(","), second.join(",")];
        }
    }
}

fn list<'n>(names: &'n [String], draw: &mut Draw) -> Vec<&'n str> {
    let count = draw.below(MOST_DEPENDENCIES + 1);
    let mut list: Vec<&str> = (0..count).map(|_| draw.of(names).as_str()).collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// One of `things`, of which there is at least one.
    fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_as_long_as_those_of_debian() {
        let names = names(10_000, &mut Draw(1));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 10_000);
        let average = names.iter().map(String::len).sum::<usize>() / names.len();
        assert!((14..=20).contains(&average), "{average} bytes");
    }

    #[test]
    fn the_two_lists_of_a_package_never_mean_the_same() {
        let names = names(3, &mut Draw(1));
        let mut draw = Draw(2);
        for _ in 0..1000 {
            let [first, second] = two_lists(&names, &mut draw);
            assert_ne!(first, second);
        }
    }
}
