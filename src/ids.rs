//! Names and identifiers: UUIDs, the names LVM allows, digests, and text from foreign hands.
//!
//! UUIDs decide; names are what people say. Whatever can be printed raw on a terminal has been
//! checked to be harmless when it was parsed, or is a [`ForeignText`], which escapes itself.

mod device;
mod digest;
mod foreign;
mod name;
mod uuid;

pub use device::DeviceName;
pub use digest::{Digest, ParseDigestError};
pub use foreign::ForeignText;
pub use name::{LvName, NameError, OperationId, PlanName, PvSection, VgName};
pub use uuid::{LvUuid, LvmUuid, ParseUuidError, PvUuid, VgUuid};
