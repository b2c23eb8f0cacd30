//! What a plan says of the kernel's tables.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::ids::LvName;
use crate::plan::schema_types::NameSchema;

/// The kernel's device-mapper tables. Only on a running machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceTables {
    /// `matching`: live tables are what the metadata says, nothing is suspended, no table waits, no
    /// layer runs that no LV has.
    pub state: TablesState,
    /// Only the stacks of these LVs: all that lies below them and upon them. All of the VG otherwise.
    #[serde(default)]
    #[schemars(with = "Vec<NameSchema>")]
    pub only: Option<Vec<LvName>>,
}

/// The state the kernel's tables should be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TablesState {
    /// What the metadata says.
    Matching,
}
