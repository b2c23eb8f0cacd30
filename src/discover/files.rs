//! Metadata in files: LVM's backup and archive directories, and files a plan names.

use std::collections::BTreeMap;

use crate::discover::Scope;
use crate::host::ReadHost;
use crate::host::TargetState;
use crate::ids::ForeignText;
use crate::model::inventory::{
    BadFile, CopyManifest, MANIFEST_SIZE_MAX, MANIFEST_SUFFIX, TargetFile,
};
use crate::model::timeline::{MetadataText, Source};
use crate::text::{self, TEXT_SIZE_MAX};

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

/// Looks at the files that tasks are to write.
pub fn look_at_targets(host: &dyn ReadHost, paths: &[String]) -> BTreeMap<String, TargetFile> {
    paths.iter().map(|path| (path.clone(), look_at_target(host, path))).collect()
}

fn look_at_target(host: &dyn ReadHost, path: &str) -> TargetFile {
    match (host.target_state(path), manifest_beside(host, path)) {
        // A manifest alone tells of a copy that is gone: it makes room for that of a new one.
        (TargetState::Free(space), Beside::Nothing | Beside::Manifest(_)) => {
            TargetFile::Free(space)
        }
        (TargetState::Free(_), Beside::Other(what)) => TargetFile::Taken(format!(
            "where its manifest is to be, at {}{MANIFEST_SUFFIX}, stands {what}",
            ForeignText::from(path)
        )),
        (TargetState::Free(_), Beside::NoPlace(why)) | (TargetState::NoDirectory(why), _) => {
            TargetFile::NoDirectory(why)
        }
        (TargetState::File { size }, Beside::Manifest(manifest)) if size == manifest.size => {
            TargetFile::Done(manifest)
        }
        (TargetState::File { size }, Beside::Manifest(manifest)) => TargetFile::Taken(format!(
            "it is {} bytes long, expected {} as its manifest says: it was cut off or replaced",
            size.get(),
            manifest.size.get()
        )),
        (TargetState::File { .. }, Beside::Nothing | Beside::Other(_) | Beside::NoPlace(_)) => {
            TargetFile::Taken("it exists already, without the manifest of a copy".to_owned())
        }
        (TargetState::Other(what), _) => TargetFile::Taken(format!("it exists already: {what}")),
    }
}

/// What stands where the manifest of a copy is to be.
enum Beside {
    Nothing,
    Manifest(CopyManifest),
    Other(&'static str),
    /// There can be none, and why.
    NoPlace(String),
}

fn manifest_beside(host: &dyn ReadHost, path: &str) -> Beside {
    let at = format!("{path}{MANIFEST_SUFFIX}");
    match host.target_state(&at) {
        TargetState::Free(_) => Beside::Nothing,
        TargetState::NoDirectory(why) => Beside::NoPlace(why),
        TargetState::Other(what) => Beside::Other(what),
        TargetState::File { .. } => {
            let bytes = host.read_file(&at, MANIFEST_SIZE_MAX).ok();
            let manifest = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            manifest.map_or(Beside::Other("a file that is no manifest of a copy"), Beside::Manifest)
        }
    }
}
