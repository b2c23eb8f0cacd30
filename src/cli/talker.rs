//! Telling people on stderr how a run goes on.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::talk;
use crate::execute::{Event, Listener};
use crate::host::Progress;
use crate::ids::ForeignText;
use crate::units::Bytes;

/// How often a long act says how far it is, where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Steps that are done sooner do not say how long they took.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// Tells people on stderr how a run goes on.
pub struct Talker {
    bar: Option<ProgressBar>,
    is_terminal: bool,
    last_line: Instant,
    /// When the step began that is being done.
    begun: Instant,
}

impl Talker {
    /// Begins to tell.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { bar: None, is_terminal: io::stderr().is_terminal(), last_line: now, begun: now }
    }

    fn progress(&mut self, progress: Progress) {
        let (done, total) = match progress {
            Progress::Bytes { done, total } => (done, total),
            Progress::Waiting { pid, seconds } => {
                talk(&format!("     waiting for process {pid}, {seconds} s by now"));
                return;
            }
        };
        if self.is_terminal {
            let bar = self.bar.get_or_insert_with(|| {
                let style = "     {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
                let style = ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(total.get()).with_style(style)
            });
            bar.set_position(done.get());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            talk(&self.line(done, total));
        }
    }
}

impl Talker {
    /// How far a long act is, how fast it goes, and how long the rest takes at that speed.
    fn line(&self, done: Bytes, total: Bytes) -> String {
        let seconds = self.begun.elapsed().as_secs().max(1);
        let rate = Bytes::new(done.get() / seconds);
        let left = total.saturating_sub(done).get().checked_div(rate.get());
        let left = left.map_or_else(String::new, |left| format!(", {left} s left"));
        format!("     {done} of {total}, {rate}/s{left}")
    }
}

impl Listener for Talker {
    fn tell(&mut self, event: Event) {
        if !matches!(event, Event::Progress(_))
            && let Some(bar) = self.bar.take()
        {
            bar.finish_and_clear();
        }
        match event {
            Event::StepBegins { number, of, title } => {
                (self.last_line, self.begun) = (Instant::now(), Instant::now());
                talk(&format!("{number}/{of}  {title}"));
            }
            Event::StepDone => {
                let took = self.begun.elapsed();
                if took >= WORTH_TELLING {
                    talk(&format!("     done in {:.1} s", took.as_secs_f64()));
                }
            }
            Event::StepFailed(why) => {
                talk(&format!("     failed: {}", ForeignText::from(why)));
            }
            Event::Waits(why) => talk(&format!("     waiting: {}", ForeignText::from(why))),
            Event::TriesAgain { attempt, of, why } => {
                let why = ForeignText::from(why);
                talk(&format!("     attempt {attempt} of {of} failed: {why}"));
            }
            Event::Progress(progress) => self.progress(progress),
            Event::RollbackBegins(why) => {
                talk(&format!("going back: {}", ForeignText::from(why)));
            }
            Event::UndoBegins(title) => talk(&format!("undo  {title}")),
        }
    }
}
