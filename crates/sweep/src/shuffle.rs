//! A seeded order, so that a sweep can be repeated.

/// The numbers 0 to `count` - 1 in an order that depends on `seed` and `round` alone (Fisher and Yates).
pub(crate) fn order(count: usize, seed: u64, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = mixed(seed ^ mixed(u64::from(round)));
    for last in (1..count).rev() {
        state = mixed(state);
        // The remainder favours small numbers by less than count / 2^64.
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

/// The next state of splitmix64 (Steele, Lea and Flood, 2014), mixed.
pub(crate) fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_an_order_of_its_own_that_can_be_repeated() {
        let first = order(20, 7, 1);
        assert_eq!(first, order(20, 7, 1));
        assert_ne!(first, order(20, 7, 2));
        assert_ne!(first, order(20, 8, 1));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        assert_eq!((order(0, 7, 1), order(1, 7, 1)), (vec![], vec![0]));
    }

    #[test]
    fn every_configuration_is_first_about_as_often() {
        let mut first = [0; 4];
        for round in 0..4000 {
            first[order(4, 3, round)[0]] += 1;
        }
        assert!(first.iter().all(|times| (900..1100).contains(times)), "{first:?}");
    }
}
