//! A net is made here: the one place that knows both what the host calls and what it is done by.

use super::host::net::{Net, Opened};
use super::shared::config::Config;
use super::shared::error::Refusal;
use super::worker::crew::{Open, Workers};
use crate::io::{Model, model};
use std::sync::Arc;

impl Net {
    /// Makes a net and starts its threads.
    pub fn open(config: Config) -> Result<Arc<Net>, Refusal> {
        let pick = if config.taps { model::pick_tapped } else { model::pick };
        Net::open_with(config, pick)
    }

    /// `pick` chooses the type of the model: a test brings one of its own.
    pub(super) fn open_with(
        config: Config,
        pick: impl FnOnce(Model, Open) -> Result<Arc<Workers>, Refusal>,
    ) -> Result<Arc<Net>, Refusal> {
        Net::start(config, |config, drive| {
            let model = config.model;
            let workers = pick(model, Open { config, drive }).map_err(|refusal| {
                let words = format!("model {}: {}", model.resolve().name(), refusal.words);
                Refusal::new(refusal.error, words)
            })?;
            Ok(Opened {
                core: workers.core.clone(),
                batons: workers.batons.clone(),
                threads: workers.threads.clone(),
                crew: workers,
            })
        })
    }
}
