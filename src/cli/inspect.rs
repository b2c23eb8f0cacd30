//! `inspect` and `history`.

use crate::cli::args::{Args, Format, HistoryDiff, HistoryList, HistoryShow, Inspect};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::world::{find_vg, look};
use crate::discover::Depth;
use crate::fault;
use crate::ids::LvName;
use crate::model::inventory::VgOnDisk;
use crate::model::timeline::{Version, VersionName};
use crate::report::history;
use crate::report::inspect::{self as report, Show};

/// Shows what is there and what is wrong.
pub fn inspect(args: &Args, inspect: &Inspect, output: &mut Output) -> Exit {
    let inventory = match look(args, output, Depth::History) {
        Ok(inventory) => inventory,
        Err(exit) => return exit,
    };
    let only = match &inspect.vg {
        None => None,
        Some(named) => match find_vg(&inventory, named, output) {
            Ok(vg) => Some(vg.uuid),
            Err(exit) => return exit,
        },
    };
    let faults = fault::find(&inventory);
    let found = report::gather(&inventory, only, &faults);
    let show = if inspect.all { Show::All } else { Show::Visible };
    output.either(&found, || report::text(&found, show));
    if found.fault_count() == 0 { Exit::Done } else { Exit::Found }
}

fn with_vg(
    args: &Args,
    named: &str,
    output: &mut Output,
    then: impl FnOnce(&crate::model::inventory::Inventory, &VgOnDisk, &mut Output) -> Exit,
) -> Exit {
    let inventory = match look(args, output, Depth::History) {
        Ok(inventory) => inventory,
        Err(exit) => return exit,
    };
    match find_vg(&inventory, named, output) {
        Ok(vg) => then(&inventory, vg, output),
        Err(exit) => exit,
    }
}

/// Shows every version, or the life of one LV.
pub fn history_list(args: &Args, list: &HistoryList, output: &mut Output) -> Exit {
    let lv = match list.lv.as_deref().map(str::parse::<LvName>).transpose() {
        Ok(lv) => lv,
        Err(error) => return output.error(Exit::Usage, &error.to_string(), None),
    };
    with_vg(args, &list.vg, output, |inventory, vg, output| {
        if let Some(lv) = &lv {
            let life = history::life(vg, lv);
            output.either(&life, || history::life_text(&life));
        } else {
            let all = history::list(inventory, vg);
            output.either(&all, || history::list_text(&all));
        }
        Exit::Done
    })
}

/// Shows one version: indented on a terminal, byte for byte into a file.
pub fn history_show(args: &Args, show: &HistoryShow, output: &mut Output) -> Exit {
    with_vg(args, &show.vg, output, |_, vg, output| {
        let version = match find_version(vg, &show.version, output) {
            Ok(version) => version,
            Err(exit) => return exit,
        };
        if output.format() == Format::Json {
            output.json(&history::show(vg, version));
        } else if output.is_terminal() {
            output.data(&history::show_text(version));
        } else {
            output.raw(&version.text.bytes);
        }
        Exit::Done
    })
}

/// Shows what changed between two versions.
pub fn history_diff(args: &Args, diff: &HistoryDiff, output: &mut Output) -> Exit {
    with_vg(args, &diff.vg, output, |_, vg, output| {
        let from = find_version(vg, &diff.from, output);
        let to = from.and_then(|from| Ok((from, find_version(vg, &diff.to, output)?)));
        let (from, to) = match to {
            Ok(ends) => ends,
            Err(exit) => return exit,
        };
        match history::diff(vg, from, to) {
            Ok(diff) => {
                output.either(&diff, || history::diff_text(&diff));
                Exit::Done
            }
            Err(why) => output.error(Exit::Failed, &why, None),
        }
    })
}

fn find_version<'v>(
    vg: &'v VgOnDisk,
    named: &str,
    output: &mut Output,
) -> Result<&'v Version, Exit> {
    if named == "current" {
        let content = vg.standing.content();
        let found = vg.timeline.versions().iter().find(|v| Some(v.content()) == content);
        return found.ok_or_else(|| {
            output.error(Exit::Failed, "no text of this volume group counts", None)
        });
    }
    let (seqno, digest) = match named.split_once(':') {
        Some((seqno, digest)) => (seqno, Some(digest.to_owned())),
        None => (named, None),
    };
    let Ok(seqno) = seqno.parse() else {
        let why = "a version is a seqno, `SEQNO:DIGEST` or `current`";
        return Err(output.error(Exit::Usage, why, None));
    };
    let found = vg.timeline.find(&VersionName { seqno, digest });
    found.map_err(|error| output.error(Exit::Usage, &error.to_string(), None))
}
