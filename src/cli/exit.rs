//! The one place where anything becomes an exit code.

use std::process::ExitCode;

use crate::execute::journal::JournalError;
use crate::execute::{Outcome, RunError};
use crate::host::image::OpenImageError;
use crate::host::linux::OpenHostError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to do, or done and verified.
    Done,
    /// Failed; no device was written.
    Failed,
    /// Changes needed, or faults found.
    Found,
    /// A hazard not accepted, a policy, a host not fit.
    Refused,
    /// The plan document is invalid.
    InvalidPlan,
    /// The graph is no longer the one that was sealed.
    Stale,
    /// Failed, rolled back and verified.
    RolledBack,
    /// Incomplete.
    Incomplete,
    /// Rollback itself failed.
    Stuck,
    /// Locked by another run or by LVM.
    Locked,
    /// Wrong arguments.
    Usage,
    /// A panic.
    Bug,
}

impl Exit {
    /// The code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Found => 2,
            Self::Refused => 3,
            Self::InvalidPlan => 4,
            Self::Stale => 5,
            Self::RolledBack => 6,
            Self::Incomplete => 7,
            Self::Stuck => 8,
            Self::Locked => 9,
            Self::Usage => 64,
            Self::Bug => 70,
        }
    }

    /// Of a run that was applied or resumed forward.
    pub const fn of_run(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done | Outcome::Abandoned => Self::Done,
            Outcome::Failed => Self::Failed,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Incomplete => Self::Incomplete,
            Outcome::Stuck => Self::Stuck,
        }
    }

    /// Of a run that was rolled back on request.
    pub const fn of_rollback(outcome: Outcome) -> Self {
        if matches!(outcome, Outcome::RolledBack) {
            return Self::Done;
        }
        Self::of_run(outcome)
    }

    /// Of images that cannot be opened.
    pub const fn of_images(error: &OpenImageError) -> Self {
        match error {
            OpenImageError::Host(_) => Self::Failed,
            OpenImageError::NotAFile { .. }
            | OpenImageError::Empty(_)
            | OpenImageError::Twice { .. } => Self::Usage,
            OpenImageError::BehindLoop { .. } | OpenImageError::OpenElsewhere { .. } => {
                Self::Refused
            }
            OpenImageError::Locked(_) => Self::Locked,
        }
    }

    /// Of a machine that cannot be looked at.
    pub const fn of_host(error: &OpenHostError) -> Self {
        match error {
            OpenHostError::NotRoot => Self::Refused,
            OpenHostError::Host(_) => Self::Failed,
        }
    }

    /// Of a run that could not go on at all.
    pub const fn of_run_error(error: &RunError) -> Self {
        match error {
            RunError::Host(_) | RunError::Journal(JournalError::Empty) => Self::Failed,
            RunError::Journal(_) | RunError::Interrupted { .. } => Self::Incomplete,
            RunError::NotPossible { .. } | RunError::Changed { .. } => Self::Refused,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_book_lists_every_code() {
        let book = include_str!("../../book/src/exit-codes.md");
        let listed: Vec<u8> = book
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
            .collect();
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Found,
            Exit::Refused,
            Exit::InvalidPlan,
            Exit::Stale,
            Exit::RolledBack,
            Exit::Incomplete,
            Exit::Stuck,
            Exit::Locked,
            Exit::Usage,
            Exit::Bug,
        ];
        assert_eq!(listed, all.map(Exit::code));
    }
}
