//! What acts do, line by line.

use crate::ids::ForeignText;
use crate::model::thin_pool::Mend;
use crate::operation::act::{Act, PlannedProgram, RebuildThin, RebuildTo, Write, WriteOf};
use crate::operation::reload::Reload;
use crate::operation::reload_tree::steps::Verb;
use crate::units::Bytes;

/// One line for each thing that is done.
pub(super) fn does(acts: &[Act]) -> Vec<String> {
    let mut lines = Vec::new();
    for act in acts {
        match act {
            Act::Save(regions) => lines.extend(regions.iter().map(|region| {
                let (device, offset) = (&region.device, region.offset.get());
                format!("reads {} of {device} from byte {offset}", region.len)
            })),
            Act::Write(write) => lines.push(write_shown(write)),
            Act::Sync(devices) => {
                let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
                lines.push(format!("syncs {}", names.join(", ")));
            }
            Act::CopyToFile { content, to } => {
                let size = content.len.bytes().unwrap_or(Bytes::ZERO);
                let path = ForeignText::from(to.path.as_str());
                lines.push(format!("reads {size} of LV {}, writes {path}", content.name));
            }
            Act::CopyToDevice { content, to, .. } => {
                let size = content.len.bytes().unwrap_or(Bytes::ZERO);
                let path = ForeignText::from(to.path.as_str());
                lines.push(format!("reads {size} of LV {}, writes over {path}", content.name));
            }
            Act::RebuildThin(rebuild) => lines.extend(rebuild_lines(rebuild)),
            Act::ReloadTree(reload) => lines.push(reload_line(reload)),
            Act::Run(command) | Act::RunWhenFree(command) => {
                lines.push(format!("runs {command}"));
            }
            Act::ReadyToMount { name, at } => {
                let (name, at) = (ForeignText::from(name.as_str()), ForeignText::from(at.as_str()));
                lines.push(format!("waits for /dev/mapper/{name}, and looks at {at}"));
            }
            Act::RunProgram(PlannedProgram { command, timeout, .. }) => {
                lines.push(format!("runs {command}, for at most {timeout}"));
            }
            Act::WriteLocked(write) => {
                lines.push(format!("holding LVM's locks, runs {}", write.command));
            }
            Act::CompareContent { content, .. } => {
                let size = content.len.bytes().unwrap_or(Bytes::ZERO);
                lines.push(format!("reads {size} of LV {}", content.name));
            }
        }
    }
    lines
}

fn reload_line(reload: &Reload) -> String {
    let held = reload.steps.iter().filter(|step| step.verb == Verb::Suspend).count();
    let flush = if reload.no_flush { ", without waiting for what is on the way" } else { "" };
    format!(
        "holding LVM's lock, by device-mapper itself: {} steps, {held} devices suspended{flush}; a guard \
         process resumes them should lvmend die",
        reload.steps.len()
    )
}

fn rebuild_lines(rebuild: &RebuildThin) -> Vec<String> {
    let repair = if rebuild.mend == Some(Mend::Repair) { " -r" } else { "" };
    let to = match &rebuild.to {
        RebuildTo::Device(device) => ForeignText::from(device.path.as_str()).to_string(),
        RebuildTo::Extents(_) => "NEW".to_owned(),
    };
    let mut lines = vec![
        format!("reads LV {} into the scratch directory", rebuild.content.name),
        format!("runs thin_dump{repair} -o DUMP on that copy; DUMP is kept, packed, with the run"),
        format!("runs thin_restore -i DUMP -o {to}, and thin_check {to}"),
        "compares devices, mapped blocks and transaction id".to_owned(),
    ];
    if let RebuildTo::Extents(content) = &rebuild.to {
        lines.push(format!("writes NEW to where LV {} lies, and reads it back", content.name));
    }
    lines
}

fn write_shown(write: &Write) -> String {
    let (device, offset) = (&write.device, write.offset.get());
    let len = write.bytes.len();
    let end = offset + len as u64;
    let what = match write.of {
        WriteOf::Text => {
            let text = write.bytes.iter().take_while(|b| **b != 0).count();
            format!("{} ({text} of {len} bytes)", write.of.shown())
        }
        WriteOf::Label | WriteOf::Precommit | WriteOf::Commit | WriteOf::PutBack => {
            write.of.shown().to_owned()
        }
    };
    format!("writes {device} bytes {offset} to {}: {what}", end.saturating_sub(1))
}
