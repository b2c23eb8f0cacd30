//! Integration tests, in one program: every file beside this one is listed here, see `tidy`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::zero_sized_map_values,
    clippy::similar_names,
    missing_docs,
    reason = "a test that meets what it does not expect is to end there and then"
)]
#![allow(
    clippy::format_push_string,
    clippy::needless_range_loop,
    reason = "what a test builds is to be seen at a glance"
)]

mod bad_input;
mod book;
mod cli;
mod copies;
mod copy_space;
mod deleted_lv;
mod full_disk;
mod fuzz;
mod graph_order;
mod hostile_areas;
mod journal_sample;
mod judged_by_lvm;
mod legs;
mod live_activation;
mod live_backup;
mod live_copy_over;
mod live_extend;
mod live_faults;
mod live_host;
mod live_layers;
mod live_machine;
mod live_owner;
mod live_pools;
mod live_pvs;
mod live_refresh;
mod live_stray;
mod live_tables;
mod live_unmount;
mod live_users;
mod metadata_areas;
mod never_worse;
mod overwritten;
mod plan_document;
mod pool_spare;
mod power_cut;
mod properties;
mod read_only;
mod reading;
mod returned_pv;
mod runs;
mod schemas;
mod sealed_plan;
mod support;
mod table_order;
mod text;
mod text_round_trip;
mod thin_content;
mod thin_images;
mod thin_pools;
mod thin_trial;
mod tidy;
mod yaml_readers;
