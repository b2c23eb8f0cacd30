//! Blank devices that are to become PVs of the VG.

use serde::{Deserialize, Serialize};

use crate::diff::{Base, Change, Context, Diff, Refusal, RefusalCode};
use crate::ids::{DeviceName, ForeignText};
use crate::model::device::{Content, Device};
use crate::model::inventory::{Inventory, Realm};
use crate::model::live::{Live, Use};
use crate::units::Bytes;

/// LVM lets data begin at 1 MiB.
const DATA_START: Bytes = Bytes::new(1 << 20);

/// A blank device that becomes a PV. What tells it from others stands here; its name and number may
/// be others tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlankDevice {
    /// The path that the plan gives.
    pub path: String,
    /// How large it is.
    pub size: Bytes,
    /// Its world wide identifier or serial number, where it has one.
    pub identity: Option<ForeignText>,
}

impl BlankDevice {
    /// The device that is there under this path, if it is still the same.
    pub fn find<'a>(&self, now: &'a Inventory, live: &Live) -> Option<&'a Device> {
        let device = now.devices.iter().find(|device| device.is_written(&self.path))?;
        (Self::of(&self.path, device, live) == *self).then_some(device)
    }

    fn of(path: &str, device: &Device, live: &Live) -> Self {
        let node = device.number.and_then(|number| live.node_by_number(number));
        let identity = node.and_then(|node| node.identity.clone());
        Self { path: path.to_owned(), size: device.size, identity }
    }
}

/// Finds devices that the plan names and that are no PVs of the VG yet.
pub fn new_devices(context: &Context<'_>, base: &Base, diff: &mut Diff) {
    let paths = &context.goals.extend_with;
    let live = match (context.inventory.realm, context.inventory.live.as_deref()) {
        _ if paths.is_empty() => return,
        (Realm::Live, Some(live)) => live,
        (Realm::Images | Realm::Live, _) => {
            let object = ForeignText::from(paths.join(", "));
            let why = "images are not extended: LVM makes a PV of a device, and chooses its UUID";
            diff.refusals.push(Refusal::new(RefusalCode::NeedsKernel, object, why).with_help(
                "leave out `extend_with:` for images; on the machine, plan without --image",
            ));
            return;
        }
    };
    let mut found: Vec<(&Device, BlankDevice)> = Vec::new();
    for path in paths {
        match check(context, base, live, path) {
            Ok(None) => {}
            Ok(Some(device)) if found.iter().any(|(other, _)| other.name == device.name) => {}
            Ok(Some(device)) => found.push((device, BlankDevice::of(path, device, live))),
            Err(refusal) => diff.refusals.push(refusal),
        }
    }
    if found.is_empty() {
        return;
    }
    refuse_missing(base, diff);
    found.sort_by(|(_, a), (_, b)| a.cmp(b));
    let (names, devices) = found.into_iter().map(|(d, blank)| (d.name.clone(), blank)).unzip();
    diff.changes.push(Change::Extend(NewDevices { names, devices }));
}

/// Devices that become PVs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevices {
    /// What they are called now.
    pub names: Vec<DeviceName>,
    /// What tells them from others.
    pub devices: Vec<BlankDevice>,
}

/// The device, when it has to become a PV; none when it is one of this VG already.
fn check<'a>(
    context: &Context<'a>,
    base: &Base,
    live: &Live,
    path: &str,
) -> Result<Option<&'a Device>, Refusal> {
    let shown = ForeignText::from(path);
    let refuse = |code, why: &str| Refusal::new(code, &shown, why);
    let left_out = live.lvm.left_out.iter();
    let device = context.inventory.devices.iter().find(|device| device.is_written(path));
    let mut left_out = left_out.filter(|left| {
        left.device.is_written(path) || device.is_some_and(|device| device.name == left.device)
    });
    if let Some(device) = device
        && device.pv().is_some_and(|on| base.vg.pv(on.uuid).is_some())
    {
        return Ok(None);
    }
    if let Some(left) = left_out.next() {
        let why = format!("LVM does not look at it: {}", left.why);
        return Err(refuse(RefusalCode::DeviceAbsent, &why).with_help(format!(
            "where LVM keeps a devices file: `lvm lvmdevices --adddev {shown}`; else let `devices/filter` \
             accept it. Plan again after that"
        )));
    }
    let Some(device) = device else {
        let why = "no such device is there, or it is none that can be a PV";
        return Err(refuse(RefusalCode::DeviceAbsent, why).with_help(
            "`lsblk -o NAME,SIZE,SERIAL,WWN` shows what is; best name it by /dev/disk/by-id",
        ));
    };
    if let Some(why) = not_blank(context.inventory, device) {
        return Err(refuse(RefusalCode::DeviceNotBlank, &why).with_help(help_not_blank(device)));
    }
    if device.read_only {
        return Err(refuse(RefusalCode::ReadOnlyDevice, "it can only be read"));
    }
    if let Some(uses) = in_use(live, context, device) {
        return Err(refuse(RefusalCode::DeviceInUse, &format!("it is in use: {uses}")));
    }
    let least = base.vg.extent_size.bytes().and_then(|extent| extent.checked_add(DATA_START));
    if least.is_none_or(|least| device.size < least) {
        let why = format!("it is {} large: too small for a single extent", device.size);
        return Err(refuse(RefusalCode::DeviceTooSmall, &why));
    }
    Ok(Some(device))
}

/// What stands on a device, when anything does.
pub fn not_blank(now: &Inventory, device: &Device) -> Option<String> {
    match &device.content {
        Content::Pv(on) => {
            let vgs = now.claims_on(on.uuid);
            let vg = vgs.first().map(|vg| {
                let name = now.vgs.get(vg).and_then(|on_disk| on_disk.name());
                format!("of VG {} ({vg})", name.map(ToString::to_string).unwrap_or_default())
            });
            let vg = vg.unwrap_or_else(|| "of no VG that was found".to_owned());
            Some(format!("it is PV {} {vg}", on.uuid))
        }
        Content::PartitionTable => Some("a partition table stands on it".to_owned()),
        Content::LostLabel(_) => {
            Some("metadata of LVM stands on it: it is a PV that lost its label".to_owned())
        }
        Content::Unreadable(why) => Some(format!("it cannot be read: {why}")),
        Content::Foreign => {
            let found: Vec<String> = device.signatures.iter().map(ToString::to_string).collect();
            (!found.is_empty()).then(|| format!("on it stands {}", found.join(", ")))
        }
    }
}

/// Nobody is sent to wipe what may be the only copy of a PV.
fn help_not_blank(device: &Device) -> &'static str {
    match &device.content {
        Content::Pv(_) | Content::LostLabel(_) => {
            "it may hold data of a VG: `lvmend inspect` says what is known of it. Name a blank device"
        }
        Content::Unreadable(_) => "what stands on it is not known: name another device",
        Content::PartitionTable | Content::Foreign => {
            "lvmend never wipes a device. If nothing of it is needed any more, make sure that it is \
             the right one, then `wipefs --all` it yourself, and plan again"
        }
    }
}

fn in_use(live: &Live, context: &Context<'_>, device: &Device) -> Option<String> {
    let uses = device.number.map(|number| live.uses_of(number, context.goals.vg))?;
    let shown: Vec<String> = uses.iter().map(Use::to_string).collect();
    (!shown.is_empty()).then(|| shown.join("; "))
}

/// LVM adds no PV while another is missing.
fn refuse_missing(base: &Base, diff: &mut Diff) {
    let is_restored = |pv| {
        let is_it = |change: &Change| matches!(change, Change::RestorePv(r) if r.pv == pv);
        diff.changes.iter().any(is_it)
    };
    let missing = base.vg.pvs.iter().filter(|pv| pv.is_missing() && !is_restored(pv.uuid));
    let refusals: Vec<Refusal> = missing
        .map(|pv| {
            let why = "it is flagged MISSING, and LVM adds no PV to a VG while one is";
            Refusal::new(RefusalCode::PvAbsent, format!("PV {}", pv.uuid), why).with_help(format!(
                "attach it in the same plan: `physical_volumes: {{{}: {{state: attached}}}}`",
                pv.uuid
            ))
        })
        .collect();
    diff.refusals.extend(refusals);
}
