//! A message that arrives in fragments, in memory that grows with what came of it.

use crate::buf::{Chunk, Pool, Purpose, Slice};
use std::collections::BTreeMap;

/// There is no memory for it: the packet counts as lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// Invariant: what stands in `early` begins behind `head`, and no two of it touch the same byte.
pub struct Partial {
    total: u32,
    /// What came without a gap from the beginning.
    head: Option<Chunk>,
    /// What came before something that is missing, by its offset.
    early: BTreeMap<u32, Slice>,
    /// Bytes of memory that `early` takes.
    waiting: usize,
}

impl Partial {
    pub fn new(total: u32) -> Partial {
        Partial { total, head: None, early: BTreeMap::new(), waiting: 0 }
    }

    pub fn total(&self) -> u32 {
        self.total
    }

    fn have(&self) -> u32 {
        self.head.as_ref().map_or(0, |head| head.len() as u32)
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.waiting + self.head.as_ref().map_or(0, Chunk::capacity)
    }

    /// Takes a fragment, whose end is within the message. `may_wait`: there is memory for one that
    /// is early. What came before is not taken again.
    pub fn add(
        &mut self,
        offset: u32,
        data: &[u8],
        may_wait: bool,
        pool: &Pool,
    ) -> Result<(), Refused> {
        if offset > self.have() {
            return if may_wait { self.keep(offset, data, pool) } else { Err(Refused) };
        }
        self.append(offset, data, pool)?;
        while let Some(entry) = self.early.first_entry()
            && *entry.key() <= self.head.as_ref().map_or(0, |head| head.len() as u32)
        {
            let (offset, data) = entry.remove_entry();
            if self.append(offset, &data, pool).is_err() {
                // It comes again with the packet that is refused here.
                self.early.insert(offset, data);
                return Err(Refused);
            }
            self.waiting -= data.pinned();
        }
        Ok(())
    }

    /// Puts what is new of a fragment behind the head.
    fn append(&mut self, offset: u32, data: &[u8], pool: &Pool) -> Result<(), Refused> {
        let have = self.have();
        let Some(data) = data.get((have - offset) as usize..).filter(|data| !data.is_empty())
        else {
            return Ok(());
        };
        let (len, total) = (have as usize + data.len(), self.total as usize);
        match &mut self.head {
            None => self.head = Some(pool.frame(len, total).ok_or(Refused)?),
            Some(head) if head.room() < data.len() => {
                if !pool.grow(head, len, total) {
                    return Err(Refused);
                }
            }
            Some(_) => {}
        }
        let head = self.head.as_mut().ok_or(Refused)?;
        head.put(data);
        Ok(())
    }

    /// Keeps a fragment that is early, but for what others have of it.
    fn keep(&mut self, mut offset: u32, mut data: &[u8], pool: &Pool) -> Result<(), Refused> {
        if let Some((&start, before)) = self.early.range(..=offset).next_back() {
            let known =
                ((start + before.len() as u32).saturating_sub(offset) as usize).min(data.len());
            (offset, data) = (offset + known as u32, &data[known..]);
        }
        while !data.is_empty() {
            let end = offset + data.len() as u32;
            let next = self.early.range(offset..end).next();
            let next = next.map(|(&start, it)| (start, start + it.len() as u32));
            let own = next.map_or(data.len(), |(start, _)| (start - offset) as usize);
            if own > 0 {
                let mut chunk = pool.take_for(own, Purpose::Frame).ok_or(Refused)?;
                self.waiting += chunk.capacity();
                self.early.insert(offset, chunk.write(&data[..own]));
            }
            let Some((_, behind)) = next.filter(|&(_, behind)| behind < end) else { return Ok(()) };
            (data, offset) = (&data[(behind - offset) as usize..], behind);
        }
        Ok(())
    }

    /// The message, where nothing is missing.
    pub fn take(&mut self, pool: &Pool) -> Option<Slice> {
        if self.have() < self.total {
            return None;
        }
        let head = self.head.take()?;
        pool.settle(&head);
        Some(head.into_slice())
    }
}
