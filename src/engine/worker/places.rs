//! The numbers by which a worker's model knows its sockets. They are dense, the lowest first, so
//! that what the model keeps by number grows with the sockets of its worker and not with those of
//! the net.

use crate::io::{Pages, Token};
use std::num::NonZeroU64;

const WORD: usize = u64::BITS as usize;

/// See the module.
#[derive(Default)]
pub struct Places {
    /// The connection, listener or datagram socket at each.
    owners: Pages<NonZeroU64>,
    /// A bit for each that is taken. The last word is not empty.
    taken: Vec<u64>,
    /// No word before this one has a free bit.
    first: usize,
    /// Of the last socket that was lent. It stands as the generation in what the model is given, so
    /// that a late report of a former socket is not taken for one of its successor.
    number: u32,
}

impl Places {
    /// A place for a socket: what its model is to call it.
    pub fn lend(&mut self, token: Token) -> Option<Token> {
        let owner = NonZeroU64::new(token.0)?;
        while self.taken.get(self.first) == Some(&u64::MAX) {
            self.first += 1;
        }
        if self.first == self.taken.len() {
            self.taken.push(0);
        }
        let word = &mut self.taken[self.first];
        let bit = word.trailing_ones() as usize;
        *word |= 1 << bit;
        let place = self.first * WORD + bit;
        self.owners.insert(place, owner);
        self.number = if self.number < Token::GENERATION_MAX { self.number + 1 } else { 1 };
        Some(Token::new(place as u32, self.number))
    }

    /// The model has given a socket back.
    pub fn give_back(&mut self, lent: Token) {
        let place = lent.index();
        if self.owners.remove(place).is_some() {
            self.taken[place / WORD] &= !(1 << (place % WORD));
            self.first = self.first.min(place / WORD);
            while self.taken.last() == Some(&0) {
                self.taken.pop();
            }
            self.first = self.first.min(self.taken.len());
        }
    }

    /// Whose socket the model means.
    #[inline]
    pub fn owner(&self, lent: Token) -> Option<Token> {
        self.owners.get(lent.index()).map(|owner| Token(owner.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u32) -> Token {
        Token::new(index, 1)
    }

    #[test]
    fn numbers_are_dense_and_the_lowest_first() {
        let mut places = Places::default();
        let lend = |places: &mut Places, of| places.lend(token(of)).expect("a token");
        let all: Vec<Token> = (0..300).map(|at| lend(&mut places, at * 64)).collect();
        assert!(all.iter().enumerate().all(|(at, lent)| lent.index() == at));
        assert!((0..300).all(|at| places.owner(all[at as usize]) == Some(token(at * 64))));
        places.give_back(all[200]);
        places.give_back(all[7]);
        let again = [1, 2, 3].map(|of| lend(&mut places, of).index());
        assert_eq!(again, [7, 200, 300]);
        (0..300).for_each(|at| places.give_back(Token::new(at, 1)));
        assert_eq!(lend(&mut places, 9).index(), 0);
        assert_eq!(places.owner(all[300 - 1]), None);
    }

    #[test]
    fn the_number_of_lent_sockets_comes_round_past_0() {
        let mut places = Places { number: Token::GENERATION_MAX - 1, ..Places::default() };
        let lent: Vec<Token> = (0..3).filter_map(|at| places.lend(token(at))).collect();
        let numbers: Vec<u32> = lent.iter().map(|lent| lent.generation()).collect();
        assert_eq!(numbers, [Token::GENERATION_MAX, 1, 2]);
        assert!((0..3).all(|at| places.owner(lent[at as usize]) == Some(token(at))));
    }
}
