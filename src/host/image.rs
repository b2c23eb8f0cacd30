//! Disk images: raw files such as ddrescue makes, whole disks or single PVs.
//!
//! Partition tables are looked into when an image is opened, so that a partition is a device like
//! any other, as on a live host.

mod open;
mod partitions;
mod thin_rebuild;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::host::copy;
use crate::host::image::partitions::Table;
use crate::host::storage::{ReadOnlyFile, Storage, WritableStorage};
use crate::host::thin_trial::SCRATCH;
use crate::host::{
    ActError, DeviceInfo, HostError, KeptFile, Machine, Performed, Progress, ReadHost, TargetState,
    WriteHost, files,
};
use crate::ids::DeviceName;
use crate::model::device::CutOff;
use crate::model::inventory::Realm;
use crate::ondisk::placement::AREA_SIZE_MAX;
use crate::operation::act::{Act, CopyFile, RebuildTo};
use crate::units::Bytes;

pub use open::{OpenImageError, open_for_reading, open_for_writing};

/// One image and what it is stored in.
#[derive(Debug)]
struct Image<S> {
    name: DeviceName,
    place: String,
    storage: S,
    read_only: bool,
    partitions: Vec<Partition>,
    cut_off: Vec<CutOff>,
}

/// An image that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// What it is called: what the person wrote.
    pub name: DeviceName,
    /// Its absolute path.
    pub path: String,
}

impl ImageFile {
    /// The image a person means by this path; none if it has no absolute path in UTF-8.
    pub fn named(path: &str) -> Option<Self> {
        let full = std::path::absolute(path).ok()?.to_str()?.to_owned();
        Some(Self { name: DeviceName::whole(path), path: full })
    }
}

/// A partition within an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the partition table.
    pub number: u32,
    /// Where it begins in the image.
    pub start: Bytes,
    /// How long it is.
    pub size: Bytes,
}

/// When now is: the system's clock, or a fixed time in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    System,
    /// Always this, in seconds since 1970.
    Fixed(i64),
}

/// A world that consists of images.
#[derive(Debug)]
pub struct ImageHost<S> {
    images: Vec<Image<S>>,
    clock: Clock,
    machine: Machine,
    /// Where copies are made for the time being.
    scratch: String,
    /// What the last act made that is to be kept.
    made: Option<KeptFile>,
    /// Whether somebody asked the run to stop.
    stop: Arc<AtomicBool>,
}

/// Images that can only be looked at.
pub type ReadOnlyImages = ImageHost<ReadOnlyFile>;

impl<S: Storage> ImageHost<S> {
    /// A world without any image yet.
    pub fn new(clock: Clock, machine: Machine) -> Self {
        let (images, scratch) = (Vec::new(), SCRATCH.to_owned());
        Self { images, clock, machine, scratch, made: None, stop: Arc::default() }
    }

    /// Makes copies for the time being in this directory.
    pub fn set_scratch(&mut self, scratch: String) {
        self.scratch = scratch;
    }

    /// Adds an image and looks into its partition table.
    ///
    /// # Errors
    /// [`HostError`], when its first sectors cannot be read.
    pub fn add(&mut self, file: ImageFile, storage: S, read_only: bool) -> Result<(), HostError> {
        let ImageFile { name, path: place } = file;
        let Table { partitions, cut_off } = partitions::find(&storage)
            .map_err(|cause| HostError::new("read the partition table of", &name, cause))?;
        self.images.push(Image { name, place, storage, read_only, partitions, cut_off });
        self.images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// The image that holds this device, and where in it the device lies.
    fn locate(&self, device: &DeviceName) -> Option<(usize, Partition)> {
        let index = self.images.iter().position(|image| image.name.path() == device.path())?;
        let image = self.images.get(index)?;
        match device.partition_number() {
            None => {
                let size = image.storage.size();
                Some((index, Partition { number: 0, start: Bytes::ZERO, size }))
            }
            Some(number) => {
                let partition = image.partitions.iter().find(|p| p.number == number)?;
                Some((index, *partition))
            }
        }
    }

    /// The image and the place in it of `len` bytes of a device.
    fn place(
        &self,
        doing: &'static str,
        device: &DeviceName,
        offset: Bytes,
        len: Bytes,
    ) -> Result<(usize, Bytes), HostError> {
        let because = |why: &str| HostError::because(doing, device, why);
        let (index, within) =
            self.locate(device).ok_or_else(|| because("there is no such image"))?;
        let fits = offset.checked_add(len).is_some_and(|end| end <= within.size);
        let start = within.start.checked_add(offset).filter(|_| fits);
        let start = start.ok_or_else(|| {
            because(&format!("{len} at byte {} reach past its end", offset.get()))
        })?;
        Ok((index, start))
    }

    fn storage(&self, index: usize) -> Option<&S> {
        self.images.get(index).map(|image| &image.storage)
    }
}

impl<S: Storage> ReadHost for ImageHost<S> {
    fn realm(&self) -> Realm {
        Realm::Images
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut devices = Vec::new();
        for image in &self.images {
            devices.push(DeviceInfo {
                name: image.name.clone(),
                number: None,
                links: Vec::new(),
                place: image.place.clone(),
                size: image.storage.size(),
                read_only: image.read_only,
                has_partitions: !image.partitions.is_empty(),
                cut_off: image.cut_off.clone(),
            });
            devices.extend(image.partitions.iter().map(|partition| DeviceInfo {
                name: image.name.partition(partition.number),
                number: None,
                links: Vec::new(),
                place: image.place.clone(),
                size: partition.size,
                read_only: image.read_only,
                has_partitions: false,
                cut_off: Vec::new(),
            }));
        }
        devices
    }

    fn read(&self, device: &DeviceName, offset: Bytes, len: Bytes) -> Result<Vec<u8>, HostError> {
        let (index, start) = self.place("read", device, offset, len)?;
        let too_large = || HostError::because("read", device, "too much at once");
        // Lengths may come from a disk, and a sparse image fits any: memory does not.
        let len = len.to_usize().filter(|_| len <= AREA_SIZE_MAX).ok_or_else(too_large)?;
        let mut buffer = vec![0; len];
        let storage = self.storage(index).ok_or_else(too_large)?;
        storage.read_at(start, &mut buffer).map_err(|e| HostError::new("read", device, e))?;
        Ok(buffer)
    }

    fn read_file(&self, path: &str, size_max: Bytes) -> Result<Vec<u8>, HostError> {
        files::read_file(path, size_max)
    }

    fn list_files(&self, directory: &str) -> Result<Vec<String>, HostError> {
        files::list_files(directory)
    }

    fn target_state(&self, path: &str) -> TargetState {
        files::target_state(path)
    }

    fn now(&self) -> i64 {
        match self.clock {
            Clock::System => files::now(),
            Clock::Fixed(seconds) => seconds,
        }
    }

    fn machine(&self) -> Machine {
        self.machine.clone()
    }

    fn zeros_at(&self, device: &DeviceName, offset: Bytes) -> Result<Bytes, HostError> {
        let (index, start) = self.place("read", device, offset, Bytes::ZERO)?;
        let Some(storage) = self.storage(index) else {
            return Ok(Bytes::ZERO);
        };
        let next = storage.next_data(start).map_err(|e| HostError::new("read", device, e))?;
        let end = next.map_or(storage.size(), |(data, _)| data);
        Ok(end.saturating_sub(start))
    }
}

impl<S: WritableStorage> ImageHost<S> {
    fn write_at(
        &mut self,
        device: &DeviceName,
        offset: Bytes,
        bytes: &[u8],
    ) -> Result<(), HostError> {
        let (index, start) = self.place("write", device, offset, Bytes::of_len(bytes.len()))?;
        let error = |cause| HostError::new("write", device, cause);
        match self.images.get_mut(index) {
            Some(image) => image.storage.write_at(start, bytes).map_err(error),
            None => Err(HostError::because("write", device, "there is no such image")),
        }
    }

    /// Syncs the images that hold these devices, each once.
    fn sync(&mut self, devices: &[DeviceName]) -> Result<(), HostError> {
        for image in &mut self.images {
            if devices.iter().any(|device| device.path() == image.name.path()) {
                let error = |cause| HostError::new("sync", &image.name, cause);
                image.storage.sync().map_err(error)?;
            }
        }
        Ok(())
    }
}

impl<S: WritableStorage> WriteHost for ImageHost<S> {
    fn perform(
        &mut self,
        act: &Act,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Performed, ActError> {
        match act {
            Act::Write(write) => {
                self.write_at(&write.device, write.offset, &write.bytes)?;
                Ok(Performed::default())
            }
            Act::Sync(devices) => {
                self.sync(devices)?;
                Ok(Performed::default())
            }
            Act::CopyToFile { content, to } => {
                copy::copy_to_file(self, content, to, &self.stop, progress)
            }
            Act::CompareContent { content, expected } => {
                copy::compare(self, content, *expected, progress)
            }
            Act::Save(_) => Err(ActError::Unsupported("evidence is saved by the run itself")),
            Act::RebuildThin(rebuild) => {
                let RebuildTo::Extents(to) = &rebuild.to else {
                    return Err(ActError::Unsupported("an image has no devices of LVs"));
                };
                let scratch = self.scratch.clone();
                let (performed, dump) = thin_rebuild::rebuild(self, &scratch, (rebuild, to))?;
                self.made = Some(dump);
                Ok(performed)
            }
            Act::Run(_)
            | Act::ReadyToMount { .. }
            | Act::RunWhenFree(_)
            | Act::RunProgram(_)
            | Act::WriteLocked(_)
            | Act::CopyToDevice { .. }
            | Act::ReloadTree(_) => {
                Err(ActError::Unsupported("an image has no kernel and no LVM2"))
            }
        }
    }

    fn heed(&mut self, stop: &Arc<AtomicBool>) {
        self.stop = Arc::clone(stop);
    }

    fn take_kept(&mut self) -> Option<KeptFile> {
        self.made.take()
    }

    fn patience(&self) -> Duration {
        // Images are locked: nobody uses them.
        Duration::ZERO
    }

    fn pause(&mut self, _: Duration) {}

    fn clean_up(&mut self, copy: &CopyFile) -> Result<(), HostError> {
        copy::clean_up(copy)
    }

    fn settle(&mut self, copy: &CopyFile) -> Result<(), HostError> {
        copy::settle(copy)
    }
}
