//! Versions of a VG's metadata, wherever they still stand, merged into one line of time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{DeviceName, Digest, ForeignText, VgName, VgUuid};
use crate::units::Bytes;

/// One metadata text, wherever it was found, with what its frame tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataText {
    /// The bytes, without the terminating NUL.
    pub bytes: Arc<[u8]>,
    /// Digest of the content: of the VG section in canonical form, without device hints. The
    /// same version read from a ring and from a backup file has the same.
    pub content: Digest,
    /// The VG it describes.
    pub vg_uuid: VgUuid,
    /// What that VG was called.
    pub vg_name: VgName,
    /// Its number.
    pub seqno: u32,
    /// What command wrote it, or what a backup file says about itself.
    pub description: Option<ForeignText>,
    /// When it was written, in seconds since 1970.
    pub creation_time: Option<i64>,
    /// Where it was written.
    pub creation_host: Option<ForeignText>,
}

/// Where a text was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In a metadata area, and the committed pointer leads to it.
    Committed(Place),
    /// In a metadata area, and only the precommitted pointer leads to it.
    Precommitted(Place),
    /// In a ring; nothing leads to it any more.
    Ring(Place),
    /// LVM's backup file of the VG.
    Backup(ForeignText),
    /// A file of LVM's archive.
    Archive(ForeignText),
    /// A file a plan names.
    File(ForeignText),
    /// The live table of an active LV that the metadata does not know.
    DeviceTable(ForeignText),
}

/// A place on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The device.
    pub device: DeviceName,
    /// Which of its metadata areas, counted from 0.
    pub area: usize,
    /// Where the text begins on the device.
    pub offset: Bytes,
    /// Whether it wraps around the end of the area.
    pub wrapped: bool,
}

impl Source {
    /// Whether it stands in a metadata area rather than in a file.
    pub const fn is_on_disk(&self) -> bool {
        match self {
            Self::Committed(_) | Self::Precommitted(_) | Self::Ring(_) => true,
            Self::Backup(_) | Self::Archive(_) | Self::File(_) | Self::DeviceTable(_) => false,
        }
    }
}

/// One version: all texts with the same number and the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The text used for it: from a disk when one is there, else from a file.
    pub text: MetadataText,
    /// Every place it was found in, sorted; never empty.
    pub sources: Vec<Source>,
}

impl Version {
    /// Its number.
    pub fn seqno(&self) -> u32 {
        self.text.seqno
    }

    /// Its content's digest, which tells branches apart.
    pub fn content(&self) -> Digest {
        self.text.content
    }

    /// Whether it was read off the live table of a device, and no text says so.
    pub fn is_from_table(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, Source::DeviceTable(_)))
    }

    /// Whether a metadata area points to it as the one that counts.
    pub fn is_committed(&self) -> bool {
        self.sources.iter().any(|s| matches!(s, Source::Committed(_)))
    }
}

/// All versions of one VG, by number and then by content digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    versions: Vec<Version>,
}

/// How a person names a version: a number, and a digest where that is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionName {
    /// The number.
    pub seqno: u32,
    /// The beginning of the content digest.
    pub digest: Option<String>,
}

/// Why a version cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindVersionError {
    /// No text with this number stands anywhere.
    #[error(
        "no version with seqno {0} stands in any metadata area, backup or archive that was read"
    )]
    Unknown(u32),
    /// There is one with this number, but not with this digest.
    #[error("seqno {seqno} is known, but not with digest `{digest}`: there is {known}")]
    OtherDigest {
        /// The number.
        seqno: u32,
        /// The digest asked for.
        digest: ForeignText,
        /// The digests there are, shortened.
        known: String,
    },
    /// More than one text has this number.
    #[error("seqno {seqno} has branches; add the digest of the one that is meant: {known}")]
    Branches {
        /// The number.
        seqno: u32,
        /// The digests there are, shortened.
        known: String,
    },
}

impl Timeline {
    /// Merges texts by number and content. The order in which they come does not matter.
    pub fn merged(texts: impl IntoIterator<Item = (MetadataText, Source)>) -> Self {
        let mut by_version: BTreeMap<(u32, Digest), Vec<(Source, MetadataText)>> = BTreeMap::new();
        for (text, source) in texts {
            by_version.entry((text.seqno, text.content)).or_default().push((source, text));
        }
        let versions = by_version.into_values().filter_map(|mut found| {
            // Sources sort disk before file, so the first text is the one LVM itself would use;
            // within one source the bytes decide, never the order of reading.
            found.sort_by(|a, b| (&a.0, &a.1.bytes).cmp(&(&b.0, &b.1.bytes)));
            let text = found.first()?.1.clone();
            let mut sources: Vec<Source> = found.into_iter().map(|(source, _)| source).collect();
            sources.dedup();
            Some(Version { text, sources })
        });
        Self { versions: versions.collect() }
    }

    /// Adds a text, as if it had been merged with the others.
    pub fn insert(&mut self, text: MetadataText, source: Source) {
        let known = self
            .versions
            .iter_mut()
            .find(|v| v.seqno() == text.seqno && v.content() == text.content);
        if let Some(version) = known {
            version.sources.push(source);
            version.sources.sort();
            version.sources.dedup();
        } else {
            self.versions.push(Version { text, sources: vec![source] });
            self.versions.sort_by_key(|v| (v.seqno(), v.content()));
        }
    }

    /// The versions, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The versions with this number: more than one are branches.
    pub fn branches(&self, seqno: u32) -> &[Version] {
        let first = self.versions.partition_point(|v| v.seqno() < seqno);
        let end = self.versions.partition_point(|v| v.seqno() <= seqno);
        self.versions.get(first..end).unwrap_or(&[])
    }

    /// The highest number anywhere.
    pub fn highest_seqno(&self) -> Option<u32> {
        self.versions.last().map(Version::seqno)
    }

    /// The version a person named.
    ///
    /// # Errors
    /// [`FindVersionError`], when there is none or more than one.
    pub fn find(&self, name: &VersionName) -> Result<&Version, FindVersionError> {
        let branches = self.branches(name.seqno);
        let known = || branches.iter().map(|v| v.content().short()).collect::<Vec<_>>().join(", ");
        let seqno = name.seqno;
        match (&name.digest, branches) {
            (_, []) => Err(FindVersionError::Unknown(seqno)),
            (None, [only]) => Ok(only),
            (None, _) => Err(FindVersionError::Branches { seqno, known: known() }),
            (Some(digest), _) => {
                let mut matching = branches.iter().filter(|v| v.content().starts_with(digest));
                match (matching.next(), matching.next()) {
                    (Some(only), None) => Ok(only),
                    (None, _) => Err(FindVersionError::OtherDigest {
                        seqno,
                        digest: digest.as_str().into(),
                        known: known(),
                    }),
                    (Some(_), Some(_)) => Err(FindVersionError::Branches { seqno, known: known() }),
                }
            }
        }
    }

    /// Numbers between `after` and `before` of which nothing stands any more.
    pub fn gaps_between(&self, after: u32, before: u32) -> Vec<u32> {
        let span = after.saturating_add(1)..before;
        // A gap list is shown to people; a hostile seqno must not make it four billion long.
        span.filter(|seqno| self.branches(*seqno).is_empty()).take(10_000).collect()
    }
}
