//! The status and flag words of LVM texts, as closed sets.
//!
//! # Source
//! LVM2 `lib/format_text/flags.c`. An unknown word in `status` makes its object unreadable for
//! LVM; an unknown word in `flags` is ignored.

use std::fmt;
use std::marker::PhantomData;

/// A word of one of the closed lists below.
pub trait Word: Copy + Eq + 'static {
    /// Every word, in the order in which LVM writes them.
    const ALL: &'static [(Self, &'static str)];

    /// The word as it stands in a text.
    fn text(self) -> &'static str {
        Self::ALL.iter().find(|(word, _)| *word == self).map_or("", |(_, text)| *text)
    }

    /// The word with this spelling.
    fn from_text(text: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.as_bytes() == text).map(|(word, _)| *word)
    }
}

/// A set of words.
pub struct Words<W>(u32, PhantomData<W>);

impl<W: Word> Words<W> {
    /// The empty set.
    pub const NONE: Self = Self(0, PhantomData);

    fn bit(word: W) -> u32 {
        let index = W::ALL.iter().position(|(known, _)| *known == word);
        index.and_then(|i| u32::try_from(i).ok()).and_then(|i| 1_u32.checked_shl(i)).unwrap_or(0)
    }

    /// Puts a word in.
    pub fn insert(&mut self, word: W) {
        self.0 |= Self::bit(word);
    }

    /// Takes a word out.
    pub fn remove(&mut self, word: W) {
        self.0 &= !Self::bit(word);
    }

    /// Whether the word is in it.
    pub fn has(&self, word: W) -> bool {
        self.0 & Self::bit(word) != 0
    }

    /// The words in it, in LVM's order.
    pub fn iter(&self) -> impl Iterator<Item = W> + '_ {
        W::ALL.iter().map(|(word, _)| *word).filter(|word| self.has(*word))
    }
}

impl<W> Clone for Words<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Words<W> {}

impl<W> PartialEq for Words<W> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<W> Eq for Words<W> {}

impl<W: Word> Default for Words<W> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<W: Word> fmt::Debug for Words<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Word::text)).finish()
    }
}

impl<W: Word> FromIterator<W> for Words<W> {
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Self {
        let mut set = Self::NONE;
        words.into_iter().for_each(|word| set.insert(word));
        set
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl Word for $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$word, $text),)*];
        }
    };
}

words! {
    /// `status` of a VG.
    VgStatus {
        /// Handed to another host.
        Exported = "EXPORTED",
        /// PVs may be added.
        Resizeable = "RESIZEABLE",
        /// A pvmove is under way somewhere in it.
        Pvmove = "PVMOVE",
        /// Readable.
        Read = "READ",
        /// Writable.
        Write = "WRITE",
        /// Belongs to clvmd.
        Clustered = "CLUSTERED",
        /// Belongs to lvmlockd.
        Shared = "SHARED",
        /// Only in old backups.
        Partial = "PARTIAL",
    }
}

words! {
    /// `flags` of a VG.
    VgFlag {
        /// Writable, but hidden from LVM versions that know no system IDs.
        WriteLocked = "WRITE_LOCKED",
        /// Not activated at boot.
        NoAutoactivate = "NOAUTOACTIVATE",
    }
}

words! {
    /// `status` of a PV.
    PvStatus {
        /// New extents may be taken from it.
        Allocatable = "ALLOCATABLE",
        /// Handed to another host.
        Exported = "EXPORTED",
        /// Absent, in texts of old LVM versions.
        Missing = "MISSING",
    }
}

words! {
    /// `flags` of a PV.
    PvFlag {
        /// The VG was written while this PV was absent.
        Missing = "MISSING",
    }
}

words! {
    /// `status` of an LV.
    LvStatus {
        /// Readable.
        Read = "READ",
        /// Writable.
        Write = "WRITE",
        /// Its device number is fixed.
        FixedMinor = "FIXED_MINOR",
        /// Not a hidden part of another LV.
        Visible = "VISIBLE",
        /// The mirror of a pvmove.
        Pvmove = "PVMOVE",
        /// A pvmove works on it.
        Locked = "LOCKED",
        /// The mirror was made without a first synchronisation.
        NotSynced = "NOTSYNCED",
        /// A RAID image to be rebuilt.
        Rebuild = "REBUILD",
        /// A RAID image that is read only when it must be.
        WriteMostly = "WRITEMOSTLY",
        /// Old spelling of a segment-type flag.
        Reshape = "RESHAPE",
        /// Old spelling of a segment-type flag.
        ReshapeDataOffset = "RESHAPE_DATA_OFFSET",
        /// Old spelling of a segment-type flag.
        ReshapeDeltaDisksPlus = "RESHAPE_DELTA_DISKS_PLUS",
        /// Old spelling of a segment-type flag.
        ReshapeDeltaDisksMinus = "RESHAPE_DELTA_DISKS_MINUS",
        /// Old spelling of a segment-type flag.
        RemoveAfterReshape = "REMOVE_AFTER_RESHAPE",
        /// Virtual origin of old snapshots.
        Virtual = "VIRTUAL",
        /// Only in old backups.
        Partial = "PARTIAL",
        /// Old texts: the sub-LV of a mirror.
        MirrorImage = "MIRROR_IMAGE",
        /// Old texts: the log of a mirror.
        MirrorLog = "MIRROR_LOG",
    }
}

words! {
    /// `flags` of an LV.
    LvFlag {
        /// Writable, but hidden from LVM versions that know no system IDs.
        WriteLocked = "WRITE_LOCKED",
        /// Left out when a VG is activated.
        ActivationSkip = "ACTIVATION_SKIP",
        /// Not activated at boot.
        NoAutoactivate = "NOAUTOACTIVATE",
        /// A full thin pool fails writes at once.
        ErrorWhenFull = "ERROR_WHEN_FULL",
        /// The fast LV of a cache without a pool.
        CacheVol = "CACHE_VOL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_keep_lvms_order() {
        let set: Words<LvStatus> =
            [LvStatus::Visible, LvStatus::Read, LvStatus::Write].into_iter().collect();
        let words: Vec<_> = set.iter().map(Word::text).collect();
        assert_eq!(words, ["READ", "WRITE", "VISIBLE"]);
        assert!(!set.has(LvStatus::Pvmove));
        assert_eq!(LvStatus::from_text(b"NOTSYNCED"), Some(LvStatus::NotSynced));
        assert_eq!(LvStatus::from_text(b"notsynced"), None);
    }
}
