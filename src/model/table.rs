//! Lines of device-mapper tables as LVM means them: devices by what they are, not by numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::PvUuid;
use crate::model::live::LvmLayer;
use crate::units::Sectors;

/// A line of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableLine {
    /// First sector.
    pub start: Sectors,
    /// How many.
    pub len: Sectors,
    /// The target.
    pub target: String,
    /// Its arguments.
    pub args: Vec<Word>,
}

/// A word of the arguments of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// As it is.
    Text(String),
    /// The number of the device of a PV.
    Pv(PvUuid),
    /// The number of a device of an LV.
    Layer(LvmLayer),
    /// The number of a device of an LV, behind the name of an option and a colon.
    Option(String, LvmLayer),
}

impl Word {
    /// A number as a word.
    pub fn number(number: u64) -> Self {
        Self::Text(number.to_string())
    }

    /// A word as it is.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The device of an LV that it names.
    pub fn layer(&self) -> Option<&LvmLayer> {
        match self {
            Self::Layer(layer) | Self::Option(_, layer) => Some(layer),
            Self::Text(_) | Self::Pv(_) => None,
        }
    }
}

impl TableLine {
    /// Devices of LVs that it names, in its order.
    pub fn layers(&self) -> impl Iterator<Item = &LvmLayer> {
        self.args.iter().filter_map(Word::layer)
    }

    /// With each word as `word` says it; none when it cannot say one.
    pub fn shown_by(&self, word: impl FnMut(&Word) -> Option<String>) -> Option<String> {
        let Self { start, len, target, args } = self;
        let args: Vec<String> = args.iter().map(word).collect::<Option<_>>()?;
        let head = format!("{} {} {target}", start.get(), len.get());
        Some(std::iter::once(head).chain(args).collect::<Vec<_>>().join(" "))
    }
}

/// How many sectors a table maps.
pub fn size_of(table: &[TableLine]) -> Sectors {
    table.last().map_or(Sectors::ZERO, |line| line.start.saturating_add(line.len))
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Pv(pv) => write!(f, "PV:{pv}"),
            Self::Layer(layer) => write!(f, "{layer}"),
            Self::Option(name, layer) => write!(f, "{name}:{layer}"),
        }
    }
}
