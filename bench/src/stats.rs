//! Medians and quartiles.

/// The middle of some values, and the range of their middle half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Quartiles {
    /// Of no values there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        Some(Self { low: at(0.25)?, median: at(0.5)?, high: at(0.75)? })
    }
}

/// Between two neighbours in proportion.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter() {
        let found = Quartiles::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(found, Quartiles { low: 2.0, median: 3.0, high: 4.0 });
    }

    #[test]
    fn an_even_count_lies_between() {
        let found = Quartiles::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(found, Quartiles { low: 1.75, median: 2.5, high: 3.25 });
    }

    #[test]
    fn one_and_none() {
        let one = Quartiles { low: 7.0, median: 7.0, high: 7.0 };
        assert_eq!(Quartiles::of(&[7.0]), Some(one));
        assert_eq!(Quartiles::of(&[]), None);
    }
}
