//! Texts found on devices, each read once however often it stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::Digest;
use crate::model::device::TextDamage;
use crate::model::timeline::MetadataText;
use crate::model::vg::Vg;
use crate::text::{self, TextError};

/// Every sound text, by the digest of its bytes.
#[derive(Debug, Default)]
pub struct TextStore {
    texts: BTreeMap<Digest, MetadataText>,
    vgs: BTreeMap<Digest, Arc<Vg>>,
}

/// Whether the description is needed, or only that it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// A pointer leads to the text: its VG is kept.
    Vg,
    /// It merely stands in a ring.
    TextOnly,
}

impl TextStore {
    /// Takes a text in; returns its key.
    ///
    /// # Errors
    /// [`TextDamage::Text`], when it cannot be understood.
    pub fn add(&mut self, bytes: Vec<u8>, keep: Keep) -> Result<Digest, TextDamage> {
        let key = Digest::of(&bytes);
        if self.texts.contains_key(&key) && (keep == Keep::TextOnly || self.vgs.contains_key(&key))
        {
            return Ok(key);
        }
        let damage = |error: TextError| TextDamage::Text(error.to_string());
        let read = text::read_text(&bytes.into()).map_err(damage)?;
        self.texts.insert(key, read.text);
        if keep == Keep::Vg {
            self.vgs.insert(key, Arc::new(read.vg));
        }
        Ok(key)
    }

    /// The text with this key.
    pub fn text(&self, key: Digest) -> Option<&MetadataText> {
        self.texts.get(&key)
    }

    /// The VG of this text, when a pointer leads to it.
    pub fn vg(&self, key: Digest) -> Option<&Arc<Vg>> {
        self.vgs.get(&key)
    }

    /// Hands all texts to an inventory, and returns the VGs that were kept.
    pub fn hand_over_texts(
        self,
        texts: &mut BTreeMap<Digest, MetadataText>,
    ) -> BTreeMap<Digest, Arc<Vg>> {
        *texts = self.texts;
        self.vgs
    }
}
