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

mod book;
mod cli;
mod deleted_lv;
mod fuzz;
mod hostile_areas;
mod judged_by_lvm;
mod legs;
mod metadata_areas;
mod overwritten;
mod plan_document;
mod power_cut;
mod reading;
mod returned_pv;
mod runs;
mod schemas;
mod sealed_plan;
mod support;
mod text;
mod tidy;
