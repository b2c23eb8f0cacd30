//! What a device is called: a path, and within an image perhaps a partition.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ForeignText;

/// The name of a device that was looked at: a block device, an image file, or a partition in one.
///
/// A name is a hint for people; identity is decided by UUIDs. Printed as `disk.img` or, for
/// partition 2 in it, `disk.img#2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceName {
    path: ForeignText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
}

impl DeviceName {
    /// A whole device or image.
    pub fn whole(path: impl Into<ForeignText>) -> Self {
        Self { path: path.into(), partition: None }
    }

    /// A partition of this image, by its number in the partition table.
    #[must_use]
    pub fn partition(&self, number: u32) -> Self {
        Self { path: self.path.clone(), partition: Some(number) }
    }

    /// The path that the host knows.
    pub fn path(&self) -> &str {
        self.path.raw()
    }

    /// The number of the partition within the image, when this is one.
    pub fn partition_number(&self) -> Option<u32> {
        self.partition
    }

    /// Whether this is what somebody wrote in a plan: the whole path, or the end of it.
    pub fn is_written(&self, text: &str) -> bool {
        let is_path = |written: &str| {
            let path = self.path.raw();
            path == written
                || (!written.starts_with('/')
                    && path.strip_suffix(written).is_some_and(|rest| rest.ends_with('/')))
        };
        match self.partition {
            None => is_path(text),
            Some(number) => text
                .rsplit_once('#')
                .is_some_and(|(path, n)| is_path(path) && n.parse() == Ok(number)),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            None => f.pad(&self.path.to_string()),
            Some(number) => f.pad(&format!("{}#{number}", self.path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_and_recognised() {
        let disk = DeviceName::whole("a b.img");
        assert_eq!(disk.to_string(), "a b.img");
        assert_eq!(disk.partition(2).to_string(), "a b.img#2");
        assert!(disk.partition(2).is_written("a b.img#2"));
        assert!(!disk.partition(2).is_written("a b.img"));
        assert!(disk.is_written("a b.img"));
        let far = DeviceName::whole("/srv/images/a.img");
        assert!(far.is_written("/srv/images/a.img"));
        assert!(far.is_written("images/a.img"));
        assert!(far.is_written("a.img"));
        assert!(!far.is_written(".img"));
        assert!(!far.is_written("/a.img"));
    }
}
