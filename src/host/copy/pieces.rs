//! Where the content of an LV lies, piece by piece.

use crate::host::ReadHost;
use crate::host::copy::CHUNK;
use crate::host::copy::thin::{Mapped, ThinCursor};
use crate::ids::DeviceName;
use crate::model::mapping::Place;
use crate::operation::act::{Content, ContentFrom, ThinContent};
use crate::units::Sectors;

/// Where a piece is read.
pub enum Where<'a> {
    /// On a device, from this sector on.
    On(&'a DeviceName, Sectors),
    /// Nowhere: it is zeros.
    Zero,
    /// On a PV that is not there.
    Away,
}

/// A piece, and how long it is.
type Piece<'a> = (Where<'a>, Sectors);

/// What is known of where the last piece was.
#[derive(Default)]
pub struct Cursor {
    thin: ThinCursor,
    origin: Option<Box<Cursor>>,
}

impl Cursor {
    /// The piece that begins at this sector; none behind the end.
    pub fn piece_at<'c>(
        &mut self,
        host: &dyn ReadHost,
        content: &'c Content,
        at: Sectors,
    ) -> Result<Option<Piece<'c>>, String> {
        let Some(left) = content.len.checked_sub(at).filter(|left| !left.is_zero()) else {
            return Ok(None);
        };
        let left = left.min(CHUNK.sectors_floor());
        match &content.from {
            ContentFrom::Own(device) => Ok(Some((Where::On(device, at), left))),
            ContentFrom::Pvs { map, devices } => Ok(map.piece_at(at, left).map(|piece| {
                let place = match piece.place {
                    Place::Zero => Where::Zero,
                    Place::Pv { pv, sector } => {
                        devices.get(&pv).map_or(Where::Away, |device| Where::On(device, sector))
                    }
                };
                (place, piece.len)
            })),
            ContentFrom::Thin(thin) => self.thin_piece(host, thin, at, left).map(Some),
        }
    }

    fn thin_piece<'c>(
        &mut self,
        host: &dyn ReadHost,
        thin: &'c ThinContent,
        at: Sectors,
        left: Sectors,
    ) -> Result<Piece<'c>, String> {
        let found = match self.thin.find(host, thin, at)? {
            Mapped::To { sector, len } => {
                // The data of a pool is no thin LV.
                Self::default().piece_at(host, &thin.data, sector)?.map(|piece| (piece, len))
            }
            Mapped::Not { len } => match &thin.origin {
                None => Some(((Where::Zero, len), len)),
                Some(origin) => {
                    let below = self.origin.get_or_insert_default();
                    // The LV may be longer than what shows through.
                    let piece = below.piece_at(host, origin, at)?;
                    Some((piece.unwrap_or((Where::Zero, len)), len))
                }
            },
        };
        let ((place, piece), len) = found.ok_or("a block lies behind the end of its pool")?;
        Ok((place, piece.min(len).min(left)))
    }
}
