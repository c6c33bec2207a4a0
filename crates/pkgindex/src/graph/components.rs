use crate::graph::Place;

/// Not reached yet.
const NEW: u32 = u32::MAX;

/// Strongly connected components, each after all that it depends on: R. Tarjan, "Depth-first search and linear graph algorithms"
/// (1972), with a stack of its own instead of recursion, so that a chain of a million is no deeper than one of two.
///
/// Packages are `0..places`; `dependency(p, k)` is the `k`-th dependency of `p`. `each` gets the members of one component at a time.
pub(crate) fn components(
    places: usize,
    dependency: impl Fn(Place, usize) -> Option<Place>,
    mut each: impl FnMut(&[Place]),
) {
    let mut order = vec![NEW; places];
    // The earliest package on the stack that is known to be reachable.
    let mut lowest = vec![NEW; places];
    let mut is_open = vec![false; places];
    let mut open: Vec<Place> = Vec::new();
    let mut path: Vec<(Place, usize)> = Vec::new();
    let mut reached = 0;
    for start in 0..places {
        let start = Place::try_from(start).expect("places are counted in 32 bits");
        if order[start as usize] == NEW {
            path.push((start, 0));
        }
        while let Some((place, next)) = path.last_mut() {
            let here = *place as usize;
            if *next == 0 {
                order[here] = reached;
                lowest[here] = reached;
                reached += 1;
                is_open[here] = true;
                open.push(*place);
            }
            let found = dependency(*place, *next);
            *next += 1;
            match found {
                Some(found) if order[found as usize] == NEW => path.push((found, 0)),
                Some(found) if is_open[found as usize] => {
                    lowest[here] = lowest[here].min(order[found as usize]);
                }
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((parent, _)) = path.last() {
                        lowest[*parent as usize] = lowest[*parent as usize].min(lowest[here]);
                    }
                    if lowest[here] == order[here] {
                        let first = open.iter().rposition(|&place| place as usize == here);
                        let members = open.split_off(first.unwrap_or_default());
                        for &member in &members {
                            is_open[member as usize] = false;
                        }
                        each(&members);
                    }
                }
            }
        }
    }
}
