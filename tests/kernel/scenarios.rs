//! The scenarios, one file each. `tests/it/tidy.rs` finds one that is missing here.

mod activation;
mod bad_areas;
mod boots;
mod competition;
mod copy_over;
mod copy_stopped;
mod crash_matrix;
mod deleted_lv;
mod derived_tables;
mod disks_come_back;
mod extend_with;
mod half_done_tables;
mod images;
mod killed;
mod left_out;
mod locked;
mod lost_but_active;
mod not_ours;
mod not_root;
mod orphan;
mod outdated_pv;
mod power_off;
mod power_off_applying;
mod reload_killed;
mod returned_pv;
mod shared_log;
mod signals;
mod snapshot_backup;
mod snapshot_killed;
mod snapshot_troubled;
mod stale_tables;
mod state_directory;
mod stray_devices;
mod suspended_devices;
mod thin_copied;
mod thin_damaged;
mod thin_full;
mod thin_killed;
mod thin_lost_lv;
mod thin_mirrored;
mod thin_needs_check;
mod thin_no_room;
mod thin_on_images;
mod thin_power_off;
mod thin_salvaged;
mod thin_several;
mod thin_spare;
mod thin_transaction_id;
mod udev;
mod unmount_and_mount;
mod wiped_everything;
mod wiped_label;
mod witness;

use crate::scenario::Scenario;

/// In the order in which they are run.
pub const ALL: [Scenario; 59] = [
    boots::SCENARIO,
    images::SCENARIO,
    disks_come_back::SCENARIO,
    returned_pv::SCENARIO,
    deleted_lv::SCENARIO,
    wiped_label::SCENARIO,
    wiped_everything::SCENARIO,
    bad_areas::SCENARIO,
    lost_but_active::SCENARIO,
    activation::SCENARIO,
    unmount_and_mount::SCENARIO,
    copy_over::SCENARIO,
    copy_stopped::SCENARIO,
    snapshot_backup::SCENARIO,
    snapshot_troubled::SCENARIO,
    snapshot_killed::SCENARIO,
    snapshot_killed::MATRIX,
    extend_with::SCENARIO,
    outdated_pv::SCENARIO,
    left_out::SCENARIO,
    not_ours::SCENARIO,
    half_done_tables::SCENARIO,
    stale_tables::SCENARIO,
    derived_tables::SCENARIO,
    suspended_devices::SCENARIO,
    shared_log::SCENARIO,
    stray_devices::SCENARIO,
    reload_killed::SCENARIO,
    reload_killed::MATRIX,
    thin_needs_check::SCENARIO,
    thin_transaction_id::SCENARIO,
    thin_full::SCENARIO,
    thin_full::FILLED,
    thin_damaged::SCENARIO,
    thin_damaged::OTHER_TOOLS,
    thin_salvaged::SCENARIO,
    thin_salvaged::OTHER_TOOLS,
    thin_mirrored::SCENARIO,
    thin_copied::SCENARIO,
    thin_on_images::SCENARIO,
    thin_spare::SCENARIO,
    thin_no_room::SCENARIO,
    thin_several::SCENARIO,
    thin_lost_lv::SCENARIO,
    competition::SCENARIO,
    killed::SCENARIO,
    signals::SCENARIO,
    thin_killed::SCENARIO,
    thin_killed::EVERY_RECORD,
    crash_matrix::SCENARIO,
    not_root::SCENARIO,
    locked::SCENARIO,
    orphan::SCENARIO,
    state_directory::SCENARIO,
    witness::SCENARIO,
    udev::SCENARIO,
    power_off::SCENARIO,
    power_off_applying::SCENARIO,
    thin_power_off::SCENARIO,
];
