//! What a scenario is.

use std::time::Duration;

/// A part of a story that is told without the machine going down.
pub type Act = fn();

const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub machine: Machine,
    /// For one act.
    pub limit: Duration,
    /// Only run when asked for with `--ignored` or `--include-ignored`.
    pub is_long: bool,
}

#[derive(Clone, Copy)]
pub enum Machine {
    /// Booted once for all scenarios that say so. What one leaves behind is removed before the
    /// next one.
    Shared(Act),
    /// Booted anew for each act. An act that returns is followed by a power-off in good order;
    /// one that asks for a power cut gets that.
    Own {
        acts: &'static [Act],
        /// `/dev/ubda` and so on, which keep their content from act to act.
        disks_mib: &'static [u64],
    },
}

impl Scenario {
    /// One act on a machine that others use too.
    pub const fn shared(name: &'static str, act: Act) -> Self {
        Self { name, machine: Machine::Shared(act), limit: LIMIT, is_long: false }
    }

    /// Acts on a machine with disks of its own, of so many MiB.
    pub const fn alone(
        name: &'static str,
        disks_mib: &'static [u64],
        acts: &'static [Act],
    ) -> Self {
        Self { name, machine: Machine::Own { acts, disks_mib }, limit: LIMIT, is_long: false }
    }

    /// Another time limit for each act.
    pub const fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Too long for every day.
    pub const fn long(self) -> Self {
        Self { is_long: true, ..self }
    }

    pub fn act(&self, number: usize) -> Option<Act> {
        match self.machine {
            Machine::Shared(act) => (number == 0).then_some(act),
            Machine::Own { acts, .. } => acts.get(number).copied(),
        }
    }
}
