//! Metadata in files: LVM's backup and archive directories, and files a plan names.

use std::collections::BTreeMap;

use crate::discover::Scope;
use crate::host::ReadHost;
use crate::host::TargetState;
use crate::model::inventory::{BadFile, MANIFEST_SUFFIX, TargetFile};
use crate::model::timeline::{MetadataText, Source};
use crate::text::{self, TEXT_SIZE_MAX};
use crate::units::Bytes;

/// Reads every file; those that are no metadata are reported.
pub fn read_all(
    host: &dyn ReadHost,
    scope: &Scope,
    bad: &mut Vec<BadFile>,
) -> Vec<(MetadataText, Source)> {
    let mut found = Vec::new();
    let list = |directory: &Option<String>, bad: &mut Vec<BadFile>| {
        let Some(directory) = directory else {
            return Vec::new();
        };
        host.list_files(directory).unwrap_or_else(|error| {
            bad.push(BadFile { path: directory.as_str().into(), why: error.in_full() });
            Vec::new()
        })
    };
    let backups =
        list(&scope.backup_dir, bad).into_iter().map(|p| (Source::Backup(p.as_str().into()), p));
    let mut wanted: Vec<(Source, String)> = backups.collect();
    // LVM's own temporary files and editors' leavings do not end in `.vg`.
    let archives = list(&scope.archive_dir, bad).into_iter().filter(|path| is_archive(path));
    wanted.extend(archives.map(|p| (Source::Archive(p.as_str().into()), p)));
    wanted.extend(scope.files.iter().map(|p| (Source::File(p.as_str().into()), p.clone())));
    for (source, path) in wanted {
        match read_one(host, &path) {
            Ok(text) => found.push((text, source)),
            Err(why) => bad.push(BadFile { path: path.into(), why }),
        }
    }
    found
}

fn is_archive(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == "vg")
}

fn read_one(host: &dyn ReadHost, path: &str) -> Result<MetadataText, String> {
    let bytes = host.read_file(path, TEXT_SIZE_MAX).map_err(|error| error.in_full())?;
    text::read_text(&bytes.into()).map(|read| read.text).map_err(|error| error.to_string())
}

const MANIFEST_SIZE_MAX: Bytes = Bytes::new(64 << 10);

/// Looks at the files that tasks are to write.
pub fn look_at_targets(host: &dyn ReadHost, paths: &[String]) -> BTreeMap<String, TargetFile> {
    paths.iter().map(|path| (path.clone(), look_at_target(host, path))).collect()
}

fn look_at_target(host: &dyn ReadHost, path: &str) -> TargetFile {
    match host.target_state(path) {
        TargetState::Free => TargetFile::Free,
        TargetState::NoDirectory(why) => TargetFile::NoDirectory(why),
        TargetState::Taken => {
            let manifest = host.read_file(&format!("{path}{MANIFEST_SUFFIX}"), MANIFEST_SIZE_MAX);
            let manifest = manifest.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            manifest.map_or(TargetFile::Taken, TargetFile::Done)
        }
    }
}
