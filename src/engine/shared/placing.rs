//! Which worker a connection lives with.

use crate::engine::shared::core::Core;

impl Core {
    pub fn serves(&self, home: usize, queue: Option<usize>) -> bool {
        queue.is_none_or(|queue| home % self.queues.len() == queue)
    }

    /// Workers that are there now, by number.
    pub fn workers(&self) -> impl Iterator<Item = usize> {
        (0..self.homes.len()).filter(|&home| self.homes[home].is_open())
    }

    /// Those of a queue.
    pub fn workers_of(&self, queue: usize) -> impl Iterator<Item = usize> {
        let all = (queue..self.homes.len()).step_by(self.queues.len());
        all.filter(|&home| self.homes[home].is_open())
    }

    /// Queue and worker of a new connection, with its place there taken: the asked-for queue or
    /// the one with the fewest, and of its workers the one with the fewest. None: none has room.
    pub fn place(&self, queue: Option<u32>) -> Option<(usize, usize)> {
        let queue = queue.map(|queue| queue as usize);
        let home = self.move_in(queue).or_else(|| {
            if self.homes.len() == self.base {
                return None;
            }
            self.crew.get()?.upgrade()?.open_one(queue)
        })?;
        Some((home % self.queues.len(), home))
    }

    /// As `place` where none has room: the model is to refuse it, which gives the cause.
    pub fn squeeze(&self, queue: Option<u32>) -> (usize, usize) {
        let home = queue.unwrap_or(0) as usize;
        self.homes[home].squeeze_in();
        (home, home)
    }

    /// As `place` for a connection that is to be carried: it needs no socket of its own, so any
    /// worker that stays has room. They take turns.
    pub fn place_carried(&self, queue: Option<u32>, turn: usize) -> (usize, usize) {
        let queues = self.queues.len();
        let queue = queue.map_or(turn % queues, |queue| queue as usize);
        // Where workers reap from one place, each is counted with the first one of its queue.
        let workers = if self.roams { 1 } else { (self.base - queue).div_ceil(queues) };
        let home = queue + turn / queues % workers * queues;
        self.homes[home].squeeze_in();
        (queue, home)
    }

    /// As `place` for a listener: the workers of a queue take turns.
    pub fn place_listener(&self, queue: u32, turn: usize) -> Option<usize> {
        let queues = self.queues.len();
        let first = queue as usize;
        let home = first + turn % (self.base - first).div_ceil(queues) * queues;
        if self.homes[home].move_in(self.sockets_max) {
            return Some(home);
        }
        self.place(Some(queue)).map(|(_, home)| home)
    }

    /// A place with one of the workers that are there. Those that stay come first, and of the
    /// others the first that has room, so that the last ones become empty.
    pub fn move_in(&self, queue: Option<usize>) -> Option<usize> {
        loop {
            let has_room = |&home: &usize| {
                self.serves(home, queue) && self.homes[home].population() < self.sockets_max
            };
            let places = if self.roams { self.queues.len() } else { self.base };
            let stays = (0..places).filter(has_room);
            let fewest = stays.min_by_key(|&home| self.homes[home].population());
            let mut extra = self.base..self.homes.len();
            let open = |home: &usize| self.homes[*home].is_open() && has_room(home);
            let home = fewest.or_else(|| extra.find(open))?;
            if self.homes[home].move_in(self.sockets_max) {
                return Some(home);
            }
        }
    }

    /// Whether an extra worker is empty and the others of its queue have some room: not so little
    /// that the next connections would bring it back.
    fn is_superfluous(&self, home: usize) -> bool {
        if home < self.base || !self.homes[home].is_empty() {
            return false;
        }
        let others = self.workers_of(home % self.queues.len()).filter(|&other| other != home);
        let room = |home: usize| self.sockets_max.saturating_sub(self.homes[home].population());
        others.map(room).sum::<usize>() >= self.sockets_max.div_ceil(4)
    }

    /// Whether this extra worker goes. From then on no connection moves in.
    pub fn may_go(&self, home: usize) -> bool {
        self.is_superfluous(home) && self.is_running() && self.homes[home].leave()
    }

    /// A place became free: an extra worker may have become superfluous, and looks.
    pub fn wake_superfluous(&self) {
        for home in self.base..self.homes.len() {
            if self.homes[home].is_open() && self.is_superfluous(home) {
                self.homes[home].wake();
            }
        }
    }

    /// Takes a place back.
    pub fn move_out(&self, home: usize) {
        self.homes[home].move_out();
        if self.homes.len() > self.base {
            self.wake_superfluous();
        }
    }
}
