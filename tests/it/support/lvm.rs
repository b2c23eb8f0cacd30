//! Real LVM2, on loop devices over image files, without device-mapper: it judges what we wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Image files attached to loop devices, and an LVM2 that sees only those.
pub struct Lvm {
    system: TempDir,
    pub devices: Vec<PathBuf>,
}

/// What a command said.
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub success: bool,
}

impl Lvm {
    /// Attaches these images.
    pub fn attach(images: &[PathBuf]) -> Self {
        let system = TempDir::new().unwrap();
        let devices: Vec<PathBuf> = images.iter().map(|image| attach(image)).collect();
        let allowed: Vec<String> =
            devices.iter().map(|d| format!("\"a|^{}(p[0-9]+)?$|\"", d.display())).collect();
        let directory = system.path().display();
        let config = format!(
            "devices {{ dir=\"/dev\" scan=[\"/dev\"] use_devicesfile=0 \
             obtain_device_list_from_udev=0 external_device_info_source=\"none\" hints=\"none\" \
             filter=[{}, \"r|.*|\"] }}\n\
             activation {{ udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }}\n\
             global {{ activation=0 use_lvmpolld=0 event_activation=0 \
             locking_dir=\"{directory}/lock\" }}\n\
             backup {{ backup=0 archive=0 }}\n",
            allowed.join(", ")
        );
        fs::write(system.path().join("lvm.conf"), config).unwrap();
        Self { system, devices }
    }

    /// Where its configuration lies.
    pub fn system_dir(&self) -> &Path {
        self.system.path()
    }

    /// Runs an LVM2 command.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new("/sbin/lvm")
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("LVM_SYSTEM_DIR", self.system.path())
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .output()
            .expect("lvm2 must be installed");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        // Without device-mapper LVM2 says so with every command.
        let mut stderr = text(output.stderr);
        stderr = stderr
            .split_inclusive('\n')
            .filter(|line| !line.contains("Activation disabled"))
            .collect();
        Said { stdout: text(output.stdout), stderr, success: output.status.success() }
    }

    /// Runs a command that must succeed without a word on stderr.
    pub fn quiet(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert!(said.success && said.stderr.is_empty(), "{arguments:?}: {}", said.stderr);
        said.stdout
    }

    /// `pvck --dump metadata`, as it stands on this device.
    pub fn metadata_on(&self, device: &Path) -> String {
        let file = self.system.path().join("dump");
        let arguments =
            ["pvck", "--dump", "metadata", "-f", file.to_str().unwrap(), device.to_str().unwrap()];
        let said = self.run(&arguments);
        assert!(said.success, "{}", said.stderr);
        let text = fs::read(&file).unwrap();
        String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned()
    }

    /// `vgcfgbackup` of a VG, whatever LVM2 has to say about its copies.
    pub fn backup_of_whatever_counts(&self, vg: &str) -> Vec<u8> {
        let file = self.system.path().join("backup.vg");
        let said = self.run(&["vgcfgbackup", "-f", file.to_str().unwrap(), vg]);
        assert!(said.success, "{}", said.stderr);
        fs::read(&file).unwrap()
    }

    /// `vgcfgbackup` of a VG.
    pub fn backup(&self, vg: &str) -> Vec<u8> {
        let file = self.system.path().join("backup.vg");
        self.quiet(&["vgcfgbackup", "-f", file.to_str().unwrap(), vg]);
        fs::read(&file).unwrap()
    }
}

fn attach(image: &Path) -> PathBuf {
    let output = Command::new("losetup")
        .args(["--find", "--show", "--partscan"])
        .arg(image)
        .output()
        .expect("losetup must be there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

impl Drop for Lvm {
    fn drop(&mut self) {
        for device in &self.devices {
            // Nothing can be done about a device that will not go; the next run would notice.
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
    }
}
