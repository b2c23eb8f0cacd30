//! Writes metadata areas that are damaged, empty or do not agree.
//!
//! Effect: the VG's text, unchanged but for its number, goes into every area in use and into the
//! areas named here, by the protocol of [`crate::operation::commit`]. Half way: every area has the
//! old text or the new one. Undo: on images the bytes that were overwritten are put back, on a
//! running machine there is none. There `pvck --repair` and `vgck --updatemetadata` do it.

use serde::{Deserialize, Serialize};

use crate::diff::{BaseVersion, UnsoundArea};
use crate::ids::{DeviceName, Digest, PvUuid, VgName, VgUuid};
use crate::model::choice::{Copy, Standing};
use crate::model::compare::differences;
use crate::model::device::{AreaHeader, HeaderDamage, MetadataArea, SlotText};
use crate::model::inventory::{Inventory, Realm, VgOnDisk};
use crate::model::timeline::MetadataText;
use crate::operation::act::Act;
use crate::operation::{
    Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit, commit, live_commit,
};
use crate::plan::hazard::Hazard;

const UNDO_LIVE: &str = "none: LVM2 has no command that damages an area again; nothing is lost by \
                         its being whole";

/// Writes metadata areas that are damaged, empty or do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitMetadata {
    /// The VG.
    pub vg: VgUuid,
    /// What it is called.
    pub name: VgName,
    /// The version that is written.
    pub base: BaseVersion,
    /// Areas that are not as they should be.
    pub areas: Vec<UnsoundArea>,
    /// What is lost by going back.
    pub hazard: Option<Hazard>,
}

impl CommitMetadata {
    fn base<'a>(&self, now: &'a Inventory) -> Result<&'a MetadataText, Unfit> {
        let gone = || Unfit::new("the version to be written stands nowhere any more");
        let on_disk = now.vgs.get(&self.vg).ok_or_else(gone)?;
        match &self.base {
            BaseVersion::Current => current_text(now, self.vg),
            // A part of the areas holds it already: the rest gets what they have.
            BaseVersion::Version { content, .. } if is_half_done(now, on_disk, *content) => {
                current_text(now, self.vg)
            }
            BaseVersion::Version { seqno, content } => {
                refuse_other_text(on_disk, *content)?;
                let branches = on_disk.timeline.branches(*seqno);
                let found = branches.iter().find(|version| version.content() == *content);
                found.map(|version| &version.text).ok_or_else(gone)
            }
        }
    }
}

impl CommitMetadata {
    /// `pvck --repair` for the areas that LVM2 does not mend by itself, `vgck --updatemetadata` for
    /// all others.
    fn lower_live(
        &self,
        now: &Inventory,
        built: commit::Built,
        signature: &Signature,
    ) -> Result<Lowered, Unfit> {
        let vg = crate::text::vg_of(&built.text)
            .map_err(|error| Unfit::new(format!("the metadata cannot be read: {error}")))?;
        let base = self.base(now)?;
        // Where no text counts, the new one is written as it is, everywhere.
        let counts = current_text(now, self.vg).is_ok_and(|text| text.content == base.content);
        let (text, everywhere) = if counts { (base, false) } else { (&built.text, true) };
        let mut acts = Vec::new();
        let mut written: Vec<DeviceName> = Vec::new();
        for pv in &vg.pvs {
            for device in now.devices_of(pv.uuid) {
                for (index, area) in device.areas().iter().enumerate() {
                    let is_named =
                        self.areas.iter().any(|named| (named.pv, named.area) == (pv.uuid, index));
                    if !(everywhere && index == 0 || is_named && !is_mended_by_lvm(area)) {
                        continue;
                    }
                    if index != 0 || live_commit::first_area(pv) != Some(area.place()) {
                        return Err(no_command(&device.name, index));
                    }
                    let name = &device.name;
                    acts.push(live_commit::repair_area(now, text, name, &written, signature)?);
                    written.push(name.clone());
                }
            }
        }
        acts.push(Act::Run(live_commit::update_areas(now, self.vg, &self.name)?));
        let mut predicted = built.lowered.predicted;
        if everywhere {
            live_commit::count_up(&mut predicted, self.vg);
        }
        Ok(Lowered { acts, predicted })
    }
}

/// Whether this area points to a text with this content, and to no other.
fn holds(now: &Inventory, named: &UnsoundArea, content: Digest) -> bool {
    now.devices_of(named.pv).into_iter().all(|device| {
        let area = device.areas().get(named.area);
        let text = area.and_then(|area| now.texts.get(&area.committed.good()?));
        let is_alone = area.is_some_and(|area| area.precommitted == SlotText::Empty);
        is_alone && text.is_some_and(|text| text.content == content)
    })
}

/// Whether `vgck --updatemetadata` writes this area: of a header it knows magic, start and size
/// again.
///
/// # Source
/// LVM2 `lib/metadata/metadata.c`, `vg_write`: `BAD_MDA_INTERNAL | BAD_MDA_MAGIC | BAD_MDA_START`.
fn is_mended_by_lvm(area: &MetadataArea) -> bool {
    match &area.header {
        AreaHeader::Good(_) => true,
        AreaHeader::Damaged { damage, .. } => {
            damage.iter().all(|d| matches!(d, HeaderDamage::Checksum | HeaderDamage::Version))
        }
    }
}

fn no_command(device: &DeviceName, index: usize) -> Unfit {
    Unfit::new(format!(
        "LVM2 has no command that writes area {index} of {device} again: `pvck --repair` knows only \
         areas that begin at byte 4096 and reach to the data; lvmend itself can, on an image of the \
         disk (`--image`)"
    ))
}

/// Whether the text that counts is this version in all but its number: on a running machine areas
/// are written one by one.
fn is_half_done(now: &Inventory, on_disk: &VgOnDisk, wanted: Digest) -> bool {
    let versions = on_disk.timeline.versions();
    let wanted = versions.iter().find(|version| version.content() == wanted);
    let wanted = wanted.and_then(|version| crate::text::vg_of(&version.text).ok());
    match (now.realm, wanted, &on_disk.current) {
        (Realm::Live, Some(wanted), Some(current)) => differences(&wanted, current).is_empty(),
        _ => false,
    }
}

/// A version is made to count where none does, or where two do. Once another one counts, what was
/// done since would be lost.
fn refuse_other_text(on_disk: &VgOnDisk, wanted: Digest) -> Result<(), Unfit> {
    match &on_disk.standing {
        Standing::Clear { content, seqno, .. } if *content != wanted => Err(Unfit::new(format!(
            "a text counts meanwhile, seqno {seqno} ({}); going back to another would lose what \
             was done since",
            content.short()
        ))),
        Standing::Clear { .. } | Standing::Branches { .. } | Standing::None => Ok(()),
    }
}

/// The text that counts.
pub fn current_text(now: &Inventory, vg: VgUuid) -> Result<&MetadataText, Unfit> {
    let standing = now.vgs.get(&vg).map(|on_disk| &on_disk.standing);
    let key: Option<Digest> = match standing {
        Some(Standing::Clear { text, .. }) => Some(*text),
        Some(Standing::None | Standing::Branches { .. }) | None => None,
    };
    let text = key.and_then(|key| now.texts.get(&key));
    text.ok_or_else(|| Unfit::new("no text of the VG counts"))
}

impl Contract for CommitMetadata {
    fn object(&self) -> String {
        self.vg.to_string()
    }

    fn title(&self) -> String {
        let version = match &self.base {
            BaseVersion::Current => "the metadata".to_owned(),
            BaseVersion::Version { seqno, content } => {
                format!("the metadata of seqno {seqno} ({})", content.short())
            }
        };
        format!("write {version} of VG {} to its areas", self.name)
    }

    fn reasons(&self) -> Vec<String> {
        self.areas
            .iter()
            .map(|area| format!("PV {} area {}: {}", area.pv, area.area, area.what))
            .collect()
    }

    fn touches(&self) -> Touches {
        let labels = self.areas.iter().map(|area| Resource::Label(area.pv));
        Touches {
            reads: std::iter::once(Resource::Evidence).chain(labels).collect(),
            writes: vec![Resource::Metadata(self.vg)],
        }
    }

    fn risk(&self, realm: Realm) -> Risk {
        match realm {
            Realm::Images => Risk::Reversible,
            Realm::Live => Risk::OneWay,
        }
    }

    fn undo(&self, realm: Realm) -> &'static str {
        match realm {
            Realm::Images => commit::UNDO_ON_IMAGES,
            Realm::Live => UNDO_LIVE,
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        self.hazard.clone().into_iter().collect()
    }

    fn builds_on(&self) -> Option<Digest> {
        match &self.base {
            BaseVersion::Version { content, .. } => Some(*content),
            BaseVersion::Current => None,
        }
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        let repair: Vec<(PvUuid, usize)> =
            self.areas.iter().map(|area| (area.pv, area.area)).collect();
        let change = commit::Change {
            vg: self.vg,
            base: self.base(now)?,
            repair: &repair,
            description: "Written by lvmend: commit_metadata".to_owned(),
        };
        let built = commit::build(now, &change, signature, |_, _| Ok(()), |_| false)?;
        match now.realm {
            Realm::Images => Ok(built.lowered),
            Realm::Live => self.lower_live(now, built, signature),
        }
    }

    fn probe(&self, now: &Inventory) -> Probe {
        // What is left to be done can be done again: each area is written as a whole.
        let not_done = match now.realm {
            Realm::Images => Probe::Neither,
            Realm::Live => Probe::Before,
        };
        let on_disk = now.vgs.get(&self.vg);
        let is_behind = |copy: &Copy| {
            // A PV that left the VG, or is flagged MISSING, stays behind.
            let pv = now.device(&copy.device).and_then(|device| device.pv());
            let current = on_disk.and_then(|on_disk| on_disk.current.as_ref());
            pv.is_some_and(|on| {
                current.is_some_and(|vg| vg.pv(on.uuid).is_some_and(|pv| !pv.is_missing()))
            })
        };
        match on_disk.map(|on_disk| &on_disk.standing) {
            Some(Standing::Clear { outvoted, content, .. }) if !outvoted.iter().any(is_behind) => {
                let all = self.areas.iter().all(|named| holds(now, named, *content));
                if all { Probe::After } else { not_done }
            }
            _ => not_done,
        }
    }
}
