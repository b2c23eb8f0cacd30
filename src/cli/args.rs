//! Flags. The comments are the help.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::host::thin_trial::SCRATCH;

/// Mends LVM: a plan says what state a volume group should be in; lvmend shows what that takes,
/// does it with a journal and checkpoints, and can put everything back.
#[derive(Debug, Parser)]
#[command(name = "lvmend", version, max_term_width = 100)]
pub struct Args {
    /// A disk image to look at or work on, instead of this machine; repeat it for more
    #[arg(long, global = true, value_name = "FILE")]
    pub image: Vec<String>,

    /// Where runs are kept
    #[arg(long, global = true, value_name = "DIR", default_value = crate::host::state::STATE_DIR_DEFAULT)]
    pub state_dir: String,

    /// Accept a state directory that does not survive a reboot
    #[arg(long, global = true)]
    pub volatile_state: bool,

    /// Where copies of thin metadata are made for the time being; the file system must know direct I/O
    #[arg(long, global = true, value_name = "DIR", default_value = SCRATCH)]
    pub scratch_dir: String,

    /// A directory of LVM backup files (/etc/lvm/backup of the machine the disks belong to)
    #[arg(long, global = true, value_name = "DIR")]
    pub backup_dir: Option<String>,

    /// A directory of LVM archive files (/etc/lvm/archive of the machine the disks belong to)
    #[arg(long, global = true, value_name = "DIR")]
    pub archive_dir: Option<String>,

    /// How to answer
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs; see `lvmend schema`
    Json,
    /// The graph for Graphviz (`plan` only)
    Dot,
    /// The graph for merge requests (`plan` only)
    Mermaid,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is there and what is wrong
    Inspect(Inspect),
    /// Show the versions of metadata that still stand
    History(History),
    /// Check a plan document alone
    Validate(PlanFile),
    /// Show what a plan would do, without touching a byte
    Plan(PlanArgs),
    /// Show a sealed plan, on any machine
    Show(PlanFile),
    /// Do what a plan says
    Apply(Apply),
    /// Show what was run, and how it ended
    Runs(Runs),
    /// Go on with a run that stopped on the way
    Resume(RunName),
    /// Put back everything a run did
    Rollback(RunName),
    /// Give a run up and leave everything as it is
    Abandon(Abandon),
    /// Print a JSON Schema
    Schema(SchemaName),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page
    Man(Man),
}

/// Show what is there and what is wrong.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// Only this volume group, by name or UUID
    pub vg: Option<String>,
    /// Show hidden LVs too, as `lvs -a`
    #[arg(short, long)]
    pub all: bool,
}

/// Show the versions of metadata that still stand.
#[derive(Debug, clap::Args)]
pub struct History {
    /// What to show
    #[command(subcommand)]
    pub command: HistoryCommand,
}

/// What to show of the history.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Every version, newest first
    List(HistoryList),
    /// One version
    Show(HistoryShow),
    /// What changed between two versions
    Diff(HistoryDiff),
}

/// Every version, newest first.
#[derive(Debug, clap::Args)]
pub struct HistoryList {
    /// The volume group, by name or UUID
    pub vg: String,
    /// Only when this LV appeared, changed and vanished
    #[arg(long, value_name = "NAME")]
    pub lv: Option<String>,
}

/// One version.
#[derive(Debug, clap::Args)]
pub struct HistoryShow {
    /// The volume group, by name or UUID
    pub vg: String,
    /// SEQNO, SEQNO:DIGEST where versions share a seqno, or `current`
    pub version: String,
}

/// What changed between two versions.
#[derive(Debug, clap::Args)]
pub struct HistoryDiff {
    /// The volume group, by name or UUID
    pub vg: String,
    /// The older version: SEQNO, SEQNO:DIGEST or `current`
    pub from: String,
    /// The newer version
    pub to: String,
}

/// A file.
#[derive(Debug, clap::Args)]
pub struct PlanFile {
    /// The file
    pub file: PathBuf,
}

/// Show what a plan would do.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The plan document
    pub plan: PathBuf,
    /// Seal the plan into this file, for review and for `apply`
    #[arg(short, long, value_name = "SEALED")]
    pub output: Option<String>,
}

/// Do what a plan says.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A plan document, or a sealed plan
    pub plan: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Save a second copy of the evidence here
    #[arg(long, value_name = "DIR")]
    pub evidence_copy: Option<String>,
}

/// Show what was run, and how it ended.
#[derive(Debug, clap::Args)]
pub struct Runs {
    /// What to show
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// What to show of runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// All runs
    List,
    /// One run
    Show(RunName),
    /// Remove runs that are over, with their evidence
    Prune(Prune),
}

/// A run.
#[derive(Debug, clap::Args)]
pub struct RunName {
    /// The name of the run
    pub run: String,
}

/// Remove runs that are over, with their evidence.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// How many of the newest runs to keep, whatever became of them
    #[arg(long, default_value_t = 10)]
    pub keep: usize,
}

/// Give a run up.
#[derive(Debug, clap::Args)]
pub struct Abandon {
    /// The name of the run
    pub run: String,
    /// Why, for the next reader
    #[arg(long, value_name = "TEXT")]
    pub because: String,
}

/// Print a JSON Schema.
#[derive(Debug, clap::Args)]
pub struct SchemaName {
    /// Which; without a name that of plan documents
    #[arg(default_value = "recovery-plan")]
    pub name: String,
}

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Print the manual page.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Of this command; without a name that of lvmend itself
    pub command: Option<String>,
}
