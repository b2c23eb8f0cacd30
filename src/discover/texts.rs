//! Texts found on devices, each read once however often it stands there.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use crate::ids::Digest;
use crate::model::choice::Standing;
use crate::model::device::TextDamage;
use crate::model::inventory::Inventory;
use crate::model::timeline::MetadataText;
use crate::model::vg::Vg;
use crate::text::{self, TEXT_SIZE_MAX, TextError};
use crate::units::Bytes;

/// Every sound text, by the digest of its bytes.
#[derive(Debug)]
pub struct TextStore<'k> {
    texts: BTreeMap<Digest, MetadataText>,
    vgs: BTreeMap<Digest, Arc<Vg>>,
    known: Option<&'k Inventory>,
}

/// Texts larger than this many bytes are not read side by side.
const LARGE: usize = 8 << 20;
/// Fewer bytes than this in all are not worth threads.
const LITTLE: usize = 1 << 20;

/// A text in a ring: in one piece or, where it wraps, in two.
pub type Pieces<'a> = (&'a [u8], &'a [u8]);

/// Texts that were taken in before, and an inventory that may know others.
type Known<'a> = (&'a BTreeMap<Digest, MetadataText>, Option<&'a Inventory>);

/// The key of a text, and the text when it was not known.
type Read = Result<(Digest, Option<MetadataText>), TextDamage>;

fn damage(error: &TextError) -> TextDamage {
    TextDamage::Text(error.to_string())
}

/// What a reader that ended in the middle of its part leaves of each text in it.
fn unread() -> TextDamage {
    TextDamage::Text("BUG: it could not be read".to_owned())
}

fn read_part(texts: &[Pieces<'_>], known: Known<'_>) -> Vec<Read> {
    texts.iter().map(|(first, second)| read_one(first, second, known)).collect()
}

fn read_side_by_side(texts: &[Pieces<'_>], known: Known<'_>) -> Vec<Read> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = texts.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let mut parts = Vec::with_capacity(workers);
        for part in texts.chunks(share) {
            parts.push((part.len(), scope.spawn(move || read_part(part, known))));
        }
        let mut read = Vec::with_capacity(texts.len());
        for (len, part) in parts {
            let of_part = part.join();
            read.extend(of_part.unwrap_or_else(|_| (0..len).map(|_| Err(unread())).collect()));
        }
        read
    })
}

fn read_one(first: &[u8], second: &[u8], (taken, known): Known<'_>) -> Read {
    let len = Bytes::of_len(first.len()).saturating_add(Bytes::of_len(second.len()));
    if len > TEXT_SIZE_MAX {
        return Err(TextDamage::Text(format!("longer than {TEXT_SIZE_MAX}")));
    }
    let bytes: Arc<[u8]> =
        if second.is_empty() { Arc::from(first) } else { [first, second].concat().into() };
    let key = Digest::of(&bytes);
    if taken.contains_key(&key) {
        return Ok((key, None));
    }
    if let Some(text) = known.and_then(|known| known.texts.get(&key)) {
        return Ok((key, Some(text.clone())));
    }
    text::read_text(&bytes).map(|read| (key, Some(read.text))).map_err(|error| damage(&error))
}

impl<'k> TextStore<'k> {
    /// A store that need not understand again what this inventory knows.
    pub fn knowing(known: Option<&'k Inventory>) -> Self {
        Self { texts: BTreeMap::new(), vgs: BTreeMap::new(), known }
    }

    /// The VG of a text that counted in the known inventory.
    fn known_vg(&self, key: Digest) -> Option<Arc<Vg>> {
        self.known?.vgs.values().find_map(|on_disk| match on_disk.standing {
            Standing::Clear { text, .. } if text == key => on_disk.current.clone(),
            Standing::Clear { .. } | Standing::Branches { .. } | Standing::None => None,
        })
    }

    /// Takes in a text that a pointer leads to, and keeps its VG; returns its key.
    ///
    /// # Errors
    /// [`TextDamage::Text`], when it cannot be understood.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<Digest, TextDamage> {
        let key = Digest::of(&bytes);
        if self.vgs.contains_key(&key) {
            return Ok(key);
        }
        let known = self.known.and_then(|known| known.texts.get(&key));
        if let (Some(text), Some(vg)) = (known, self.known_vg(key)) {
            self.texts.insert(key, text.clone());
            self.vgs.insert(key, vg);
            return Ok(key);
        }
        let read = text::read_text(&bytes.into()).map_err(|error| damage(&error))?;
        self.texts.insert(key, read.text);
        self.vgs.insert(key, Arc::new(read.vg));
        Ok(key)
    }

    /// Takes in many texts that merely stand in a ring; returns their keys in the same order. They
    /// are read side by side: a ring may hold years of them.
    pub fn add_all(&mut self, texts: &[Pieces<'_>]) -> Vec<Result<Digest, TextDamage>> {
        let known = (&self.texts, self.known);
        let sizes = || texts.iter().map(|(first, second)| first.len() + second.len());
        // Reading takes several times the size of a text: large ones are read one after another.
        // For little, threads are not worth their start.
        let read = if sizes().any(|size| size > LARGE) || sizes().sum::<usize>() < LITTLE {
            read_part(texts, known)
        } else {
            read_side_by_side(texts, known)
        };
        let mut take = |(key, text): (Digest, Option<MetadataText>)| {
            self.texts.extend(text.map(|text| (key, text)));
            key
        };
        read.into_iter().map(|text| text.map(&mut take)).collect()
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
