//! Texts that a run builds upon, kept beside its journal: on a running machine LVM2 may overwrite
//! a ring at any time, with the only copy in it.

use crate::execute::RunError;
use crate::graph::Graph;
use crate::host::RunStore;
use crate::ids::{Digest, VgUuid};
use crate::model::inventory::{Inventory, Realm};

/// Saves every version of the metadata that an operation names, or may fall back to.
pub(crate) fn save(
    store: &mut dyn RunStore,
    run: &str,
    world: &Inventory,
    (vg, graph): (VgUuid, &Graph),
) -> Result<(), RunError> {
    if world.realm == Realm::Images || !graph.changes_state() {
        return Ok(());
    }
    let Some(on_disk) = world.vgs.get(&vg) else { return Ok(()) };
    let named = named(graph);
    let current = on_disk.standing.content();
    for version in on_disk.timeline.versions() {
        let content = version.content();
        if named.contains(&content) || Some(content) == current {
            store.put(run, &file(content), &version.text.bytes)?;
        }
    }
    Ok(())
}

/// Where those texts lie, as far as operations name them.
pub(crate) fn paths(store: &dyn RunStore, run: &str, realm: Realm, graph: &Graph) -> Vec<String> {
    if realm == Realm::Images {
        return Vec::new();
    }
    let place = store.place(run);
    named(graph).into_iter().map(|content| format!("{place}/{}", file(content))).collect()
}

fn file(content: Digest) -> String {
    format!("sources/{content}.vg")
}

/// Contents of the versions that operations name.
fn named(graph: &Graph) -> Vec<Digest> {
    graph.operations.iter().filter_map(|operation| operation.contract().builds_on()).collect()
}
