//! How fast a connection goes, where its endpoint bounds that.

use super::rates::Rates;
use super::{Conn, Phase};
use crate::io::Lane;
use crate::session::{Bucket, Cause, Millis, Pace};

impl Conn {
    fn rates(&mut self) -> &mut Rates {
        self.more().rates.get_or_insert_default()
    }

    /// Whether `receive_rate`, which is not 0, lets it be read now. To be asked when something
    /// came, also of one that is not to be read for another reason.
    #[cold]
    pub fn may_receive(&mut self, now: Millis) -> bool {
        let (rate, count) = (self.endpoint.limits.receive_rate, self.received_bytes);
        let bytes = self.rates().inward.poll(rate, count, now);
        // Until the layer is open the host has nothing of it.
        bytes > 0 || self.life.phase < Phase::Open
    }

    /// Bytes that `send_rate`, which is not 0, lets it be given to the model now. What is given is
    /// noted with `sends`.
    #[cold]
    pub fn may_send(&mut self, now: Millis) -> u32 {
        let (rate, count) = (self.endpoint.limits.send_rate, self.sent_bytes);
        self.rates().outward.poll(rate, count, now)
    }

    /// So many bytes go to the model.
    #[cold]
    pub fn sends(&mut self, bytes: usize) {
        self.rates().outward.take(bytes);
    }

    /// When a lane goes on that only waits for its rate.
    pub fn rate_alarm(&self, now: Millis) -> Option<Millis> {
        let rates = self.more.as_ref()?.rates.as_ref()?;
        let limits = &self.endpoint.limits;
        let reads = !self.link.is_busy(Lane::In);
        let sends = self.session.is_layered() || !self.session.is_written();
        let inward = rates.inward.ready_at(limits.receive_rate).filter(|_| reads);
        let outward = rates.outward.ready_at(limits.send_rate);
        let outward = outward.filter(|_| sends && !self.link.is_busy(Lane::Out));
        inward.into_iter().chain(outward).filter(|&at| at > now).min()
    }

    /// Something is about to be received, and `min_receive_rate` is not 0: the peer's pace counts
    /// while the rest of a message is awaited.
    #[cold]
    pub fn await_rest(&mut self, now: Millis) {
        if !self.session.session().has_partial() {
            return self.drop_rates(|rates| rates.pace = None);
        }
        let limits = &self.endpoint.limits;
        let least = (limits.min_receive_rate, limits.min_receive_window_ms);
        let counts = (self.received_bytes, self.received_messages);
        let stood = now.saturating_sub(self.session.quiet_since());
        let rates = self.rates();
        rates.pace = Some(Pace::next(rates.pace, least, counts, stood, now));
    }

    /// When the peer is late with the rest of a message, of which a receive waits.
    pub fn pace_due(&self) -> Option<(Millis, Cause)> {
        let pace = self.more.as_ref()?.rates.as_ref()?.pace?;
        Some((pace.late_at(), Cause::TimeoutRate))
    }

    /// Its endpoint is another one: what that bounds no more is forgotten, so that it begins anew
    /// when it is bounded again.
    pub fn rates_changed(&mut self, now: Millis) {
        let limits = self.endpoint.limits;
        self.drop_rates(|rates| {
            if limits.receive_rate == 0 {
                rates.inward = Bucket::default();
            }
            if limits.send_rate == 0 {
                rates.outward = Bucket::default();
            }
            if limits.min_receive_rate == 0 {
                rates.pace = None;
            }
        });
        if limits.min_receive_rate > 0 && self.link.is_busy(Lane::In) && self.pace_due().is_none() {
            self.await_rest(now);
        }
    }

    /// Changes what there is, and gives up memory that nothing is in.
    fn drop_rates(&mut self, change: impl FnOnce(&mut Rates)) {
        let Some(more) = &mut self.more else { return };
        more.rates.take_if(|rates| {
            change(rates);
            **rates == Rates::default()
        });
    }
}
