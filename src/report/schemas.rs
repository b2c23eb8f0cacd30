//! The JSON Schemas of everything that is read and written, by name.

use schemars::JsonSchema;
use serde_json::Value;

use crate::report::{history, inspect, plan, problem, run};

/// The schemas, by the name of their file without `.schema.json`.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("history-diff", of::<history::DiffJson>()),
        ("history-list", of::<history::HistoryJson>()),
        ("history-lv", of::<history::LifeJson>()),
        ("history-show", of::<history::ShowJson>()),
        ("inspect", of::<inspect::InspectJson>()),
        ("plan", of::<plan::PlanJson>()),
        ("recovery-plan", crate::plan::schema()),
        ("run", of::<run::RunJson>()),
        ("runs-list", of::<run::RunsJson>()),
        ("validate", of::<problem::ValidateJson>()),
    ]
}

fn of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
