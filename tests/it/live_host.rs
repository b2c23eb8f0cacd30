//! This machine, looked at through loop devices. Other disks may be there, and faults of theirs;
//! device-mapper may be missing.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard};

use lvmend::host::ReadHost;
use lvmend::host::linux::LinuxHost;
use lvmend::ids::DeviceName;
use lvmend::model::inventory::Realm;
use lvmend::units::Bytes;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::lvm::Lvm;

static LOOPS: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    LOOPS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn images(directory: &TempDir, count: usize) -> Vec<PathBuf> {
    let make = |index: usize| {
        let path = directory.path().join(format!("{index}.img"));
        fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
        path
    };
    (0..count).map(make).collect()
}

/// A name that no other VG of this machine has.
fn own_name(what: &str) -> String {
    format!("lvmend_{what}_{}", std::process::id())
}

/// A VG of this name on two loop devices.
fn vg_on_two(directory: &TempDir, name: &str) -> Lvm {
    let lvm = Lvm::attach(&images(directory, 2));
    let [a, b] = [0, 1].map(|index: usize| lvm.devices[index].to_str().unwrap().to_owned());
    for command in [
        vec!["vgcreate", "-q", name, &a, &b],
        vec!["lvcreate", "-q", "-an", "-Zn", "-Wn", "-l4", "-n", "first", name, &a],
        vec!["lvcreate", "-q", "-an", "-Zn", "-Wn", "-l4", "-n", "second", name, &b],
    ] {
        let said = lvm.run(&command);
        assert!(said.success, "{}", said.stderr);
    }
    lvm
}

/// What `lvmend` prints, where LVM2 is configured so.
fn lvmend(lvm: &Lvm, arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lvmend"))
        .args(arguments)
        .env("LVM_SYSTEM_DIR", lvm.system_dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, text)
}

#[test]
fn a_vg_on_this_machine() {
    let _one = one_at_a_time();
    let directory = TempDir::new().unwrap();
    let name = own_name("seen");
    let lvm = vg_on_two(&directory, &name);
    let (code, json, _) = lvmend(&lvm, &["inspect", &name, "--format", "json"]);
    assert!(code == 0 || code == 2, "{json:#}");
    let vg = &json["volume_groups"][0];
    assert_eq!(vg["name"], name.as_str());
    let devices: Vec<&Value> =
        vg["physical_volumes"].as_array().unwrap().iter().map(|pv| &pv["devices"][0]).collect();
    let expected: Vec<&str> = lvm.devices.iter().map(|device| device.to_str().unwrap()).collect();
    assert_eq!(devices, expected);
    assert_eq!(vg["logical_volumes"][0]["live"]["state"], "inactive");
    let version = json["live"]["lvm"].as_str().unwrap();
    assert!(version.starts_with("2.03."), "{version}");
    let ours = |fault: &&Value| fault["vg"] == vg["uuid"];
    assert_eq!(json["faults"].as_array().unwrap().iter().filter(ours).count(), 0, "{json:#}");
    let (code, _, text) = lvmend(&lvm, &["history", "list", &name]);
    assert_eq!(code, 0);
    assert!(text.contains("lvcreate"), "{text}");
}

#[test]
fn a_pv_that_a_filter_leaves_out() {
    let _one = one_at_a_time();
    let directory = TempDir::new().unwrap();
    let name = own_name("filtered");
    let lvm = vg_on_two(&directory, &name);
    let second = lvm.devices[1].to_str().unwrap().to_owned();
    let config = lvm.system_dir().join("lvm.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("filter=[", &format!("filter=[\"r|^{second}$|\", "))).unwrap();
    let (code, json, _) = lvmend(&lvm, &["inspect", &name, "--format", "json"]);
    assert_eq!(code, 2);
    let is_it =
        |fault: &&Value| fault["kind"] == "left-out-pv" && fault["device"] == second.as_str();
    let faults = json["faults"].as_array().unwrap();
    let fault = faults.iter().find(is_it).unwrap_or_else(|| panic!("{json:#}"));
    assert_eq!(fault["severity"], "critical");
    let found = fault["found"].as_str().unwrap();
    assert!(found.ends_with("device is rejected by filter config"), "{found}");
}

#[test]
fn reads_see_what_was_written_and_end_with_the_device() {
    let _one = one_at_a_time();
    let directory = TempDir::new().unwrap();
    let images = images(&directory, 1);
    let file = fs::OpenOptions::new().write(true).open(&images[0]).unwrap();
    file.write_all_at(b"hello", (1 << 20) + 3).unwrap();
    file.sync_all().unwrap();
    let lvm = Lvm::attach(&images);
    let host = LinuxHost::open().unwrap();
    assert_eq!(host.realm(), Realm::Live);
    let name = DeviceName::whole(lvm.devices[0].to_str().unwrap());
    let device = host.devices().into_iter().find(|device| device.name == name).unwrap();
    assert_eq!(device.size, Bytes::new(64 << 20));
    let read = |offset, len| host.read(&name, Bytes::new(offset), Bytes::new(len));
    assert_eq!(read((1 << 20) + 3, 5).unwrap(), b"hello");
    assert_eq!(read((64 << 20) - 512, 512).unwrap(), [0; 512]);
    let past = read((64 << 20) - 512, 513).unwrap_err();
    assert!(past.in_full().contains("reach past its end"), "{}", past.in_full());
    let gone = host.read(&DeviceName::whole("/dev/no-such"), Bytes::ZERO, Bytes::new(1));
    assert!(gone.unwrap_err().in_full().contains("there is no such device"));
}

#[test]
fn looking_again_takes_what_does_not_change_from_before() {
    let host = LinuxHost::open().unwrap();
    let first = host.live(None).unwrap();
    assert!(first.lvm.version.to_string().starts_with("2.03."));
    let mut known = first.clone();
    known.kernel = "from before".into();
    let second = host.live(Some(&known)).unwrap();
    assert_eq!(second.kernel.raw(), "from before");
    assert_eq!(second.lvm, first.lvm);
    assert_eq!(second.mapped_is_complete, first.mapped_is_complete);
    let own = std::process::id();
    assert!(second.openers.iter().all(|opener| opener.pid != own));
}

#[test]
fn only_root_may_look() {
    // The program is where others may not go: it is looked at through a copy.
    let directory = TempDir::new().unwrap();
    let program = directory.path().join("lvmend");
    fs::copy(env!("CARGO_BIN_EXE_lvmend"), &program).unwrap();
    for path in [directory.path(), &program] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, mode).unwrap();
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "--"])
        .arg(&program)
        .arg("inspect")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("reading block devices takes root"), "{stderr}");
}

/// What a command did that could change a file or a device, its children included.
fn changes(lvm: &Lvm, arguments: &[&str]) -> Vec<String> {
    let log = lvm.system_dir().join("strace.log");
    let calls = "trace=open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,\
                 mkdirat,link,linkat,symlink,symlinkat,truncate,ftruncate,pwrite64,io_submit";
    let output = Command::new("strace")
        .args(["-f", "-qq", "-z", "-e", calls, "-e", "signal=none", "-o"])
        .arg(&log)
        .arg("--")
        .arg(env!("CARGO_BIN_EXE_lvmend"))
        .args(arguments)
        .env("LVM_SYSTEM_DIR", lvm.system_dir())
        .output()
        .expect("strace must be installed");
    assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    let trace = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert!(trace.contains("O_DIRECT"), "strace saw nothing");
    let is_change = |line: &&str| {
        let opens = line.contains("open") || line.contains("io_submit");
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "IOCB_CMD_PWRITE"];
        let is_meant = ["\"/dev/null\"", "\"/dev/mapper/control\""];
        (!opens || writes.iter().any(|flag| line.contains(flag)))
            && !is_meant.iter().any(|path| line.contains(path))
    };
    trace.lines().filter(is_change).map(str::to_owned).collect()
}

#[test]
fn looking_leaves_no_trace() {
    let _one = one_at_a_time();
    let directory = TempDir::new().unwrap();
    let name = own_name("traced");
    let lvm = vg_on_two(&directory, &name);
    assert_eq!(changes(&lvm, &["inspect"]), Vec::<String>::new());
    assert_eq!(changes(&lvm, &["history", "list", &name]), Vec::<String>::new());
    // With a devices file in which a device has another name, LVM2 would write that file anew.
    let config = lvm.system_dir().join("lvm.conf");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("use_devicesfile=0", "use_devicesfile=1")).unwrap();
    let devices = lvm.system_dir().join("devices/system.devices");
    fs::create_dir(devices.parent().unwrap()).unwrap();
    let first = lvm.devices[0].to_str().unwrap();
    let said = lvm.run(&["lvmdevices", "-y", "--adddev", first]);
    assert!(said.success, "{}", said.stderr);
    let listed = fs::read_to_string(&devices).unwrap();
    let renamed = listed.replace(&format!("DEVNAME={first} "), "DEVNAME=/dev/loop99 ");
    assert_ne!(renamed, listed);
    fs::write(&devices, &renamed).unwrap();
    assert_eq!(changes(&lvm, &["inspect"]), Vec::<String>::new());
    assert_eq!(fs::read_to_string(&devices).unwrap(), renamed);
}
