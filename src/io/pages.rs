//! A table by number that has memory only where something is: one entry with a high number costs a
//! page, and no entry is ever moved.

/// Entries of a page.
pub const PAGE: usize = 64;

/// See the module.
pub struct Pages<T>(Vec<Option<Box<Page<T>>>>);

struct Page<T> {
    used: usize,
    places: [Option<T>; PAGE],
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages(Vec::new())
    }
}

impl<T> Pages<T> {
    /// What has this number.
    #[inline(always)]
    pub fn get(&self, number: usize) -> Option<&T> {
        self.0.get(number / PAGE)?.as_ref()?.places[number % PAGE].as_ref()
    }

    /// The same, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.0.get_mut(number / PAGE)?.as_mut()?.places[number % PAGE].as_mut()
    }

    /// Puts something at a number that is free.
    pub fn insert(&mut self, number: usize, value: T) {
        let at = number / PAGE;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        let page = self.0[at]
            .get_or_insert_with(|| Box::new(Page { used: 0, places: [const { None }; PAGE] }));
        let before = page.places[number % PAGE].replace(value);
        debug_assert!(before.is_none(), "the number was free");
        page.used += usize::from(before.is_none());
    }

    /// Takes out what has this number. The memory of a page that is empty goes.
    pub fn remove(&mut self, number: usize) -> Option<T> {
        let place = self.0.get_mut(number / PAGE)?;
        let page = place.as_mut()?;
        let value = page.places[number % PAGE].take()?;
        page.used -= 1;
        if page.used == 0 {
            *place = None;
            while let Some(None) = self.0.last() {
                self.0.pop();
            }
            if self.0.len() < self.0.capacity() / 4 {
                self.0.shrink_to(self.0.capacity() / 2);
            }
        }
        Some(value)
    }

    /// Everything, in the order of the numbers.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten().flat_map(|page| page.places.iter_mut().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_number_costs_one_page() {
        let mut pages = Pages::default();
        (0..100 * PAGE).for_each(|number| pages.insert(number, number));
        (0..100 * PAGE - 1).for_each(|number| assert_eq!(pages.remove(number), Some(number)));
        let last = 100 * PAGE - 1;
        assert_eq!((pages.get(last), pages.get(0), pages.get(last + 1)), (Some(&last), None, None));
        assert_eq!(pages.0.iter().flatten().count(), 1);
        assert_eq!(pages.remove(last), Some(last));
        assert!(pages.0.is_empty() && pages.0.capacity() < 100);
        assert_eq!(pages.remove(last), None);
    }
}
