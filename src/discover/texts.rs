//! Texts found on devices, each read once however often it stands there.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use crate::ids::Digest;
use crate::model::device::TextDamage;
use crate::model::timeline::MetadataText;
use crate::model::vg::Vg;
use crate::text::{self, TEXT_SIZE_MAX, TextError};
use crate::units::Bytes;

/// Every sound text, by the digest of its bytes.
#[derive(Debug, Default)]
pub struct TextStore {
    texts: BTreeMap<Digest, MetadataText>,
    vgs: BTreeMap<Digest, Arc<Vg>>,
}

/// Texts larger than this many bytes are not read side by side.
const LARGE: usize = 8 << 20;

/// A text in a ring: in one piece or, where it wraps, in two.
pub type Pieces<'a> = (&'a [u8], &'a [u8]);

/// The key of a text, and the text when it was not known.
type Read = Result<(Digest, Option<MetadataText>), TextDamage>;

fn damage(error: &TextError) -> TextDamage {
    TextDamage::Text(error.to_string())
}

/// What a reader that ended in the middle of its part leaves of each text in it.
fn unread() -> TextDamage {
    TextDamage::Text("BUG: it could not be read".to_owned())
}

fn read_part(texts: &[Pieces<'_>], known: &BTreeMap<Digest, MetadataText>) -> Vec<Read> {
    texts.iter().map(|(first, second)| read_one(first, second, known)).collect()
}

fn read_one(first: &[u8], second: &[u8], known: &BTreeMap<Digest, MetadataText>) -> Read {
    let len = Bytes::of_len(first.len()).saturating_add(Bytes::of_len(second.len()));
    if len > TEXT_SIZE_MAX {
        return Err(TextDamage::Text(format!("longer than {TEXT_SIZE_MAX}")));
    }
    let bytes: Arc<[u8]> =
        if second.is_empty() { Arc::from(first) } else { [first, second].concat().into() };
    let key = Digest::of(&bytes);
    if known.contains_key(&key) {
        return Ok((key, None));
    }
    text::read_text(&bytes).map(|read| (key, Some(read.text))).map_err(|error| damage(&error))
}

impl TextStore {
    /// Takes in a text that a pointer leads to, and keeps its VG; returns its key.
    ///
    /// # Errors
    /// [`TextDamage::Text`], when it cannot be understood.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<Digest, TextDamage> {
        let key = Digest::of(&bytes);
        if self.vgs.contains_key(&key) {
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
        // Reading takes several times the size of a text: large ones are read one after another.
        let is_large = |(first, second): &Pieces<'_>| first.len() + second.len() > LARGE;
        let workers = if texts.iter().any(is_large) {
            1
        } else {
            thread::available_parallelism().map_or(1, NonZero::get)
        };
        let share = texts.len().div_ceil(workers).max(1);
        let known = &self.texts;
        let read: Vec<Read> = thread::scope(|scope| {
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
        });
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
