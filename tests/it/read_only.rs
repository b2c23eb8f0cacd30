//! Commands that only look: seen from outside, by strace, they open nothing for writing and make no
//! file but the one that `-o` names.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::program::Desk;

const RECOVER: &str = "version: 1\nname: p\nvolume_group: {name: vg}\nlogical_volumes:\n  precious: {state: present}\ntasks: [copy: {from: precious, to: {file: $DESK/out.img}}]\n";
/// System calls that open, make, remove or change files by name.
const CALLS: &str = "trace=open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,\
                     link,linkat,symlink,symlinkat,truncate,ftruncate,chmod,fchmodat,utimensat,fallocate,ioctl,pwrite64,write";

/// Runs a command under strace; returns what it did that could change something.
fn changes(desk: &Desk, arguments: &[&str], code: i32) -> Vec<String> {
    let plain = desk.command(arguments);
    let log = desk.path().join("strace.log");
    let mut traced = Command::new("strace");
    traced.current_dir(desk.path()).env_clear().env("LC_ALL", "C");
    traced.args(["-f", "-y", "-e", CALLS, "-o"]).arg(&log).arg("--").arg(plain.get_program());
    traced.args(plain.get_args());
    let ended = desk.ended(&traced.output().expect("strace must be installed"));
    ended.with_code(code);
    let trace = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert!(trace.contains("openat("), "strace saw nothing");
    trace.lines().filter(|line| is_change(line)).map(str::to_owned).collect()
}

fn is_change(line: &str) -> bool {
    let call = line.split_once(' ').map_or(line, |(_, rest)| rest.trim_start());
    let name = call.split('(').next().unwrap_or_default();
    match name {
        "open" | "openat" | "openat2" => {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| call.contains(flag))
        }
        // Standard output and error are pipes here.
        "write" => !(call.starts_with("write(1<pipe:") || call.starts_with("write(2<pipe:")),
        "ioctl" => !call.contains("TCGETS") && !call.contains("TIOCGWINSZ"),
        _ => name.bytes().all(|b| b.is_ascii_alphanumeric()) && !name.is_empty() && name != "exit",
    }
}

/// Size, times and content of everything on the desk.
fn state(desk: &Desk) -> Vec<(String, i64, i64, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(desk.path()).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::metadata(&path).unwrap();
        if meta.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.push((name, meta.mtime(), meta.mtime_nsec(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn commands_that_look_change_nothing() {
    let desk = Desk::with("deleted-lv");
    desk.put("plan.yaml", RECOVER);
    desk.run(&["plan", "plan.yaml", "-o", "sealed.json"]).with_code(2);
    let before = state(&desk);
    let commands: [(&[&str], i32); 12] = [
        (&["inspect"], 0),
        (&["inspect", "-a", "vg", "--format", "json"], 0),
        (&["history", "list", "vg"], 0),
        (&["history", "list", "vg", "--lv", "precious"], 0),
        (&["history", "show", "vg", "6"], 0),
        (&["history", "diff", "vg", "6", "current"], 0),
        (&["validate", "plan.yaml"], 0),
        (&["plan", "plan.yaml"], 2),
        (&["plan", "sealed.json", "--format", "mermaid"], 4),
        (&["show", "sealed.json"], 0),
        (&["runs", "list"], 0),
        (&["apply", "plan.yaml"], 64),
    ];
    for (arguments, code) in commands {
        let with_images: Vec<&str> = match arguments[0] {
            "validate" | "show" | "runs" => arguments.to_vec(),
            _ => desk.with_images(arguments),
        };
        let mut found = changes(&desk, &with_images, code);
        // Asking for leave comes after the state directory was made: the one thing `apply` does
        // before it is told to go ahead.
        if arguments[0] == "apply" {
            found.retain(|line| !line.contains("mkdir") && !line.contains("fsync"));
        }
        assert_eq!(found, Vec::<String>::new(), "{arguments:?}");
        assert_eq!(state(&desk), before, "{arguments:?}");
    }
}

#[test]
fn the_only_file_that_is_made_is_the_one_that_is_named() {
    let desk = Desk::with("missing-pv");
    desk.put("plan.yaml", "version: 1\nname: p\nvolume_group: {name: vg}\nphysical_volumes: {'*': {state: attached}}\n");
    let arguments = desk.with_images(&["plan", "plan.yaml", "-o", "new.json"]);
    let found = changes(&desk, &arguments, 2);
    assert!(!found.is_empty());
    assert!(found.iter().all(|line| line.contains("new.json")), "{found:#?}");
}
