//! LVM2 itself: whether it is new enough, and what could not be found out.

use crate::diff::live::Subject;
use crate::diff::{Diff, Refusal, RefusalCode};
use crate::ids::ForeignText;
use crate::model::live::{LvmSetup, LvmVersion};

/// Something that only newer versions of LVM2 can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LvmFeature {
    /// `pvck --repair`, which writes a label or an area again.
    PvckRepair,
    /// `--devices`, which gives a command exactly the devices that are meant.
    Devices,
}

impl LvmFeature {
    /// The first version that can do it.
    pub const fn since(self) -> LvmVersion {
        match self {
            // Came with 2.03.07, older than which nothing is supported anyway.
            Self::PvckRepair => LvmVersion::OLDEST,
            Self::Devices => LvmVersion::WITH_DEVICES,
        }
    }

    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PvckRepair => "pvck --repair",
            Self::Devices => "--devices",
        }
    }
}

/// The refusal of something that the installed LVM2 cannot do; none when it can.
pub fn lacking(setup: &LvmSetup, feature: LvmFeature, object: &str) -> Option<Refusal> {
    let (name, since) = (feature.name(), feature.since());
    (setup.version < since).then(|| {
        let why = format!("it needs `{name}`, which LVM2 has since {since}: {}", found(setup));
        Refusal::new(RefusalCode::LvmTooOld, object, why).with_help(UPDATE)
    })
}

const UPDATE: &str = "update LVM2, or start a rescue system with a newer one and plan there";

fn found(setup: &LvmSetup) -> String {
    format!("{} is {}", ForeignText::from(setup.program.as_str()), setup.version)
}

pub(super) fn check(subject: &Subject<'_>, diff: &mut Diff) {
    let setup = &subject.live.lvm;
    if setup.program.is_empty() {
        let why = "no `lvm` program was found, or it could not be asked; what failed stands among \
                   the notes";
        let help = "install LVM2, or see what `lvm version` says";
        diff.refusals.push(Refusal::new(RefusalCode::LvmTooOld, "LVM2", why).with_help(help));
    } else if setup.version < LvmVersion::OLDEST {
        let why = format!(
            "{}; lvmend works with {} and newer, as older ones mend metadata in passing and cannot \
             repair a label",
            found(setup),
            LvmVersion::OLDEST
        );
        diff.refusals.push(Refusal::new(RefusalCode::LvmTooOld, "LVM2", why).with_help(UPDATE));
    }
    let unknown = &subject.live.unknown;
    diff.notes.extend(unknown.iter().map(|what| format!("looking at this machine: {what}")));
}
