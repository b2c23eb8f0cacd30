//! Copies the content of an LV to a new file, or over another LV.
//!
//! Effect: a sparse file with the content and a manifest beside it, and no disk of the VG is written;
//! or another LV, which the plan names, begins with the content. Half way: parts of a file under names
//! of this run, which are removed when it is resumed or rolled back; an LV that is overwritten in
//! part, and is overwritten again. Undo: none needed for a file, a finished copy stays; none for an
//! LV. Equivalent: `dd conv=sparse`.

use serde::{Deserialize, Serialize};

use crate::diff::refuse_in_use;
use crate::ids::{ForeignText, LvName, LvUuid, VgUuid};
use crate::model::inventory::{Inventory, Realm, TargetFile};
use crate::operation::act::{Act, CopyDevice, CopyFile};
use crate::operation::activation::current;
use crate::operation::command::live_of;
use crate::operation::content::content_of;
use crate::operation::{Contract, Lowered, Probe, Resource, Risk, Signature, Touches, Unfit};
use crate::plan::hazard::Hazard;
use crate::units::Bytes;

/// Copies the content of an LV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLv {
    /// The VG.
    pub vg: VgUuid,
    /// The LV.
    pub lv: LvUuid,
    /// What it is called.
    pub name: LvName,
    /// Where to.
    #[serde(flatten)]
    pub to: CopyTo,
}

/// Where the content of an LV goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CopyTo {
    /// To a new file.
    File {
        /// Its path; absolute.
        path: String,
    },
    /// Over an LV.
    Lv(OverwrittenLv),
}

/// An LV whose content is overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverwrittenLv {
    /// The LV.
    pub over: LvUuid,
    /// What it is called.
    pub over_name: LvName,
    /// How large it is.
    pub over_size: Bytes,
    /// How much is written: the size of the content.
    pub size: Bytes,
}

impl CopyLv {
    fn file(&self, signature: &Signature) -> Option<CopyFile> {
        let CopyTo::File { path } = &self.to else { return None };
        Some(CopyFile { path: path.clone(), begun: signature.time })
    }

    /// The device to be written, while nobody else uses it.
    fn device(&self, now: &Inventory, to: &OverwrittenLv) -> Result<CopyDevice, Unfit> {
        let (live, vg) = (live_of(now)?, current(now, self.vg)?);
        let name = &to.over_name;
        let lv = vg.lv_by_uuid(to.over).filter(|lv| lv.name == *name);
        let lv = lv.ok_or_else(|| Unfit::new(format!("LV {name} is not there any more")))?;
        let size = lv.len().bytes_shown(vg.extent_size);
        if size < to.size {
            return Err(Unfit::new(format!("LV {name} is only {size} large by now")));
        }
        if let Some(refusal) = refuse_in_use(live, vg, lv, &[]) {
            return Err(Unfit::in_use(format!("LV {name} is not written: {}", refusal.why)));
        }
        let top = live.top_of(self.vg, to.over).filter(|_| live.is_up(self.vg, to.over));
        let top = top.ok_or_else(|| Unfit::new(format!("LV {name} is not active")))?;
        if top.read_only {
            return Err(Unfit::new(format!("LV {name} is active read-only")));
        }
        Ok(CopyDevice { path: top.path(), dm_uuid: top.uuid.raw().to_owned(), size })
    }
}

/// A new file is only made where nothing stands.
fn check_file(now: &Inventory, path: &str) -> Result<(), Unfit> {
    let shown = ForeignText::from(path);
    match now.targets.get(path) {
        // How much is free is no condition here: it was checked when the plan was made, and
        // what a run that is taken up again wrote itself may be what is missing now.
        Some(TargetFile::Free(_)) | None => Ok(()),
        Some(TargetFile::NoDirectory(why) | TargetFile::Taken(why)) => {
            Err(Unfit::new(format!("{shown} cannot be made: {why}")))
        }
        Some(TargetFile::Done(_)) => Err(Unfit::new(format!("{shown} exists already"))),
    }
}

impl Contract for CopyLv {
    fn object(&self) -> String {
        match &self.to {
            CopyTo::File { path } => path.clone(),
            CopyTo::Lv(to) => to.over.to_string(),
        }
    }

    fn title(&self) -> String {
        match &self.to {
            CopyTo::File { path } => {
                let path = ForeignText::from(path.as_str());
                format!("copy the content of LV {} to {path}", self.name)
            }
            CopyTo::Lv(to) => {
                let (name, over, size) = (&self.name, &to.over_name, to.size);
                format!("copy the content of LV {name} OVER LV {over} ({size})")
            }
        }
    }

    fn reasons(&self) -> Vec<String> {
        match &self.to {
            CopyTo::File { .. } => {
                vec!["sparse, synced, with its SHA-256 in a manifest beside it".to_owned()]
            }
            CopyTo::Lv(to) => {
                let rest = to.over_size.saturating_sub(to.size);
                let mut reasons = vec![
                    format!("what LV {} holds now is lost", to.over_name),
                    "runs every time: nothing on an LV tells that it was done".to_owned(),
                ];
                if !rest.is_zero() {
                    reasons
                        .push(format!("the last {rest} of LV {} stay as they are", to.over_name));
                }
                reasons
            }
        }
    }

    fn touches(&self) -> Touches {
        let mut reads =
            vec![Resource::Evidence, Resource::Metadata(self.vg), Resource::Content(self.lv)];
        let writes = match &self.to {
            CopyTo::File { path } => vec![Resource::File(path.clone())],
            CopyTo::Lv(to) => {
                reads.extend([Resource::Active(to.over), Resource::Users(to.over)]);
                vec![Resource::Content(to.over)]
            }
        };
        Touches { reads, writes }
    }

    fn risk(&self, _: Realm) -> Risk {
        match &self.to {
            CopyTo::File { .. } => Risk::ReadOnly,
            CopyTo::Lv(_) => Risk::OneWay,
        }
    }

    fn undo(&self, _: Realm) -> &'static str {
        match &self.to {
            CopyTo::File { .. } => "none needed: the copy is a new file and stays",
            CopyTo::Lv(_) => "none: what the target held is overwritten, as the plan asks",
        }
    }

    fn hazards(&self) -> Vec<Hazard> {
        Vec::new()
    }

    fn lower(&self, now: &Inventory, signature: &Signature) -> Result<Lowered, Unfit> {
        if let CopyTo::File { path } = &self.to {
            check_file(now, path)?;
        }
        let content = content_of(now, self.vg, self.lv)?;
        if let CopyTo::Lv(to) = &self.to
            && content.len.bytes() != Some(to.size)
        {
            let why = format!("LV {} is not {} large any more", self.name, to.size);
            return Err(Unfit::new(why));
        }
        let act = match &self.to {
            CopyTo::File { path } => {
                let to = CopyFile { path: path.clone(), begun: signature.time };
                Act::CopyToFile { content, to }
            }
            CopyTo::Lv(to) => {
                Act::CopyToDevice { content, to: self.device(now, to)?, begun: signature.time }
            }
        };
        Ok(Lowered { acts: vec![act], predicted: now.clone() })
    }

    fn probe(&self, now: &Inventory) -> Probe {
        // An LV that was overwritten, or half of it, is simply overwritten again.
        let CopyTo::File { path } = &self.to else { return Probe::Before };
        match now.targets.get(path) {
            Some(TargetFile::Done(made)) if (made.vg, made.lv) == (self.vg, self.lv) => {
                Probe::After
            }
            Some(TargetFile::Free(_)) => Probe::Before,
            Some(TargetFile::Done(_) | TargetFile::Taken(_) | TargetFile::NoDirectory(_))
            | None => Probe::Neither,
        }
    }

    fn unfinished(&self, signature: &Signature) -> Option<CopyFile> {
        self.file(signature)
    }
}
