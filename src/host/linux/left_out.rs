//! Devices that LVM2 does not look at although a label stands on them: a PV is then missing only
//! because a filter or the devices file leaves it out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::host::linux::block::Block;
use crate::host::linux::links::leads_to;
use crate::host::linux::lvm_setup::{LIMITS, Lvm};
use crate::host::linux::program::{Program, Said};
use crate::host::linux::read;
use crate::ids::{DeviceName, ForeignText};
use crate::model::live::{BlockNode, DevNumber, LeftOut};
use crate::ondisk::label::{LABEL_SECTORS, has_label_id};
use crate::units::{Bytes, SECTOR_BYTES};

/// So many devices are asked for at once: a command line has an end.
const AT_ONCE: usize = 500;
/// How LVM2 is asked to change nothing: no lock, no hints, and not even the devices file, which it
/// writes anew when a device has got another name. PVs of VGs that are not this host's are listed
/// too: it does look at them.
const READ_ONLY: [&str; 6] =
    ["--nolocking", "--test", "--foreign", "--shared", "--config", "devices{hints=\"none\"}"];
/// What is said of a device of which LVM2 says nothing.
const NO_REASON: &str = "LVM does not list it, and does not say why";

/// Asks LVM2 which devices it lists, and of the others with a label why not.
pub fn find(lvm: &Lvm, blocks: &[Block], unknown: &mut Vec<String>) -> Vec<LeftOut> {
    let Some(program) = &lvm.program else { return Vec::new() };
    let candidates = || blocks.iter().filter(|block| block.may_hold_pv());
    if let Some(waiting) = candidates().find_map(|block| read::suspended_below(block, blocks)) {
        let name = &waiting.node.name;
        unknown.push(format!(
            "which devices LVM2 leaves out: it would wait for {name}, which is suspended"
        ));
        return Vec::new();
    }
    let mut arguments = vec!["pvs", "-a", "--reportformat", "json", "-o", "pv_name,pv_duplicate"];
    arguments.extend(READ_ONLY);
    let said = match program.read(&arguments, LIMITS) {
        Ok(said) => said,
        Err(error) => {
            unknown.push(format!("which devices LVM2 leaves out: {error}"));
            return Vec::new();
        }
    };
    let Some(listed) = listed_in(&said.stdout) else {
        unknown.push("which devices LVM2 leaves out: its list could not be read".to_owned());
        return Vec::new();
    };
    let preferred = preferences(&said);
    let seen = listed.iter().map(|pv| pv.pv_name.clone()).chain(outdated(&said));
    let numbers: BTreeSet<DevNumber> = seen.filter_map(|name| leads_to(Path::new(&name))).collect();
    let mut found = duplicates(&listed, &preferred, blocks);
    let unlisted: Vec<&Block> = candidates()
        .filter(|block| !block.has_partitions(blocks))
        .filter(|block| !numbers.contains(&block.node.number) && has_label(block, blocks))
        .collect();
    for some in unlisted.chunks(AT_ONCE) {
        found.extend(ask_why(program, some, unknown));
    }
    found.sort();
    found
}

/// What `pvs` lists.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Listed {
    pv_name: String,
    #[serde(default)]
    pv_duplicate: String,
}

#[derive(Deserialize)]
struct Report {
    report: Vec<Listing>,
}

#[derive(Deserialize)]
struct Listing {
    pv: Vec<Listed>,
}

fn listed_in(json: &[u8]) -> Option<Vec<Listed>> {
    let report: Report = serde_json::from_slice(json).ok()?;
    Some(report.report.into_iter().flat_map(|listing| listing.pv).collect())
}

/// Which device LVM2 has chosen for each PV that stands on several, and why.
#[derive(Debug, Default, PartialEq, Eq)]
struct Preferences {
    /// The PV of a device that is not used.
    not_used: BTreeMap<String, String>,
    /// What LVM2 says of the PV.
    chosen: BTreeMap<String, String>,
}

fn preferences(said: &Said) -> Preferences {
    let mut found = Preferences::default();
    for line in String::from_utf8_lossy(&said.stderr).lines() {
        let line = line.trim().trim_start_matches("WARNING: ");
        if let Some((device, pv)) = line
            .strip_prefix("Not using device ")
            .and_then(|rest| rest.strip_suffix('.')?.split_once(" for PV "))
        {
            found.not_used.insert(device.to_owned(), pv.to_owned());
        } else if let Some((pv, why)) = line
            .strip_prefix("PV ")
            .and_then(|rest| rest.strip_suffix('.')?.split_once(" prefers device "))
        {
            found.chosen.insert(pv.to_owned(), why.to_owned());
        }
    }
    found
}

/// PVs that left their VG: LVM2 lists them nowhere, but sees them, and wipes them when asked to.
fn outdated(said: &Said) -> Vec<String> {
    let device = |line: &str| {
        let rest = line.trim().strip_prefix("WARNING: outdated PV ")?;
        Some(rest.split_once(" seqno ")?.0.to_owned())
    };
    String::from_utf8_lossy(&said.stderr).lines().filter_map(device).collect()
}

fn duplicates(listed: &[Listed], preferences: &Preferences, blocks: &[Block]) -> Vec<LeftOut> {
    let unused = listed.iter().filter(|pv| !pv.pv_duplicate.is_empty());
    unused
        .map(|pv| {
            let of = preferences.not_used.get(&pv.pv_name);
            let why = of.and_then(|of| preferences.chosen.get(of)).map_or_else(
                || "device is a duplicate".to_owned(),
                |why| format!("device is a duplicate: LVM prefers {why}"),
            );
            LeftOut { device: named(&pv.pv_name, blocks), why: why.into() }
        })
        .collect()
}

/// What this program calls the device that LVM2 calls so.
fn named(name: &str, blocks: &[Block]) -> DeviceName {
    let number = leads_to(Path::new(name));
    let block = number.and_then(|n| blocks.iter().find(|block| block.node.number == n));
    block.map_or_else(|| DeviceName::whole(name), |block| block.node.name.clone())
}

/// Whether one of the sectors of a label begins like one.
fn has_label(block: &Block, blocks: &[Block]) -> bool {
    let len = Bytes::new(LABEL_SECTORS * SECTOR_BYTES).min(block.size);
    let Ok(bytes) = read::read(block, blocks, Bytes::ZERO, len) else { return false };
    let sector = usize::try_from(SECTOR_BYTES).unwrap_or(512);
    bytes.chunks(sector).any(has_label_id)
}

fn ask_why(program: &Program, blocks: &[&Block], unknown: &mut Vec<String>) -> Vec<LeftOut> {
    let names: Vec<&str> = blocks.iter().map(|block| block.node.name.path()).collect();
    // Without a field of the VG it would only say that it does not find the device.
    let mut arguments = vec!["pvs", "-o", "pv_name,vg_name"];
    arguments.extend(READ_ONLY);
    arguments.extend(&names);
    let said = match program.read(&arguments, LIMITS) {
        Ok(said) => said,
        Err(error) => {
            unknown.push(format!("why LVM2 leaves out {}: {error}", names.join(", ")));
            return Vec::new();
        }
    };
    let reasons = reasons(&said);
    let left_out = |block: &&Block| {
        let BlockNode { name, links, .. } = &block.node;
        // LVM2 may know it by another of its names.
        let mut known = std::iter::once(name.path()).chain(links.iter().map(String::as_str));
        let why = known.find_map(|name| reasons.get(name)).map_or(NO_REASON, String::as_str);
        LeftOut { device: name.clone(), why: ForeignText::from(why) }
    };
    blocks.iter().map(left_out).collect()
}

/// Reads `Cannot use DEVICE: REASON`, by device.
fn reasons(said: &Said) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&said.stderr);
    let reason = |line: &str| {
        let (device, why) = line.trim().strip_prefix("Cannot use ")?.rsplit_once(": ")?;
        Some((device.to_owned(), why.trim_end_matches('.').to_owned()))
    };
    text.lines().filter_map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> Said {
        Said { code: Some(0), signal: None, stdout: Vec::new(), stderr: stderr.into() }
    }

    #[test]
    fn the_list_of_lvm2() {
        let json = br#"
  {
      "report": [
          {
              "pv": [
                  {"pv_name":"/dev/sda", "pv_duplicate":""},
                  {"pv_name":"[unknown]", "pv_duplicate":""},
                  {"pv_name":"/dev/sdb", "pv_duplicate":"duplicate"}
              ]
          }
      ]
  }"#;
        let listed = listed_in(json).unwrap();
        let names: Vec<&str> = listed.iter().map(|pv| pv.pv_name.as_str()).collect();
        assert_eq!(names, ["/dev/sda", "[unknown]", "/dev/sdb"]);
        for hostile in [&b""[..], b"{}", b"{\"report\":[{\"pv\":[{\"pv_name\":3}]}]}", b"\xff"] {
            assert_eq!(listed_in(hostile), None);
        }
    }

    #[test]
    fn duplicates_and_which_is_used() {
        let said = said(
            "  WARNING: Not using device /dev/loop2 for PV MGc98O-x.\n  WARNING: PV MGc98O-x prefers device /dev/loop1 because device name matches previous.\n",
        );
        let listed =
            [Listed { pv_name: "/dev/loop2".to_owned(), pv_duplicate: "duplicate".to_owned() }];
        let found = duplicates(&listed, &preferences(&said), &[]);
        assert_eq!(
            found[0].why.raw(),
            "device is a duplicate: LVM prefers /dev/loop1 because device name matches previous"
        );
        let found = duplicates(&listed, &Preferences::default(), &[]);
        assert_eq!(found[0].why.raw(), "device is a duplicate");
    }

    #[test]
    fn pvs_that_left() {
        let said = said(
            "  WARNING: ignoring metadata seqno 1 on /dev/sdc for seqno 2 on /dev/sda for VG vg.\n  WARNING: outdated PV /dev/sdc seqno 1 has been removed in current VG vg seqno 2.\n  WARNING: outdated PV\n",
        );
        assert_eq!(outdated(&said), ["/dev/sdc"]);
    }

    #[test]
    fn reasons_of_lvm2() {
        let said = said(
            "  Cannot use /dev/sdb: device is rejected by filter config\n  WARNING: Couldn't find device with uuid x.\n  Cannot use /dev/mapper/a: b: device is not in devices file\n  Cannot use nothing\n",
        );
        let found = reasons(&said);
        assert_eq!(found["/dev/sdb"], "device is rejected by filter config");
        assert_eq!(found["/dev/mapper/a: b"], "device is not in devices file");
        assert_eq!(found.len(), 2);
    }
}
