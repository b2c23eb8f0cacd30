//! What can go wrong when the world is touched.

use std::fmt;
use std::io;

use crate::ids::ForeignText;

/// Something could not be read or done, and to what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {object}")]
pub struct HostError {
    /// What was being done, as a verb.
    pub doing: &'static str,
    /// To which device, file or program.
    pub object: ForeignText,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl HostError {
    /// An error of the system.
    pub fn new(doing: &'static str, object: impl fmt::Display, cause: io::Error) -> Self {
        Self { doing, object: object.to_string().into(), cause }
    }

    /// An error this program found itself.
    pub fn because(doing: &'static str, object: impl fmt::Display, why: impl Into<String>) -> Self {
        Self::new(doing, object, io::Error::other(why.into()))
    }

    /// The error with its cause, in one line.
    pub fn in_full(&self) -> String {
        format!("{self}: {}", ForeignText::from(self.cause.to_string()))
    }
}
