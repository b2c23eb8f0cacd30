//! A copy under way: what is read, summed up and written are three threads, so that none waits for the
//! others. It can be stopped and taken up again, also by another process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::host::copy::map::{CopyMap, Range};
use crate::host::copy::sink::Sink;
use crate::host::copy::{HOLE, Stretch, hash, read_from};
use crate::host::{ActError, HostError, Progress, ReadHost};
use crate::ids::Digest;
use crate::operation::act::Content;
use crate::units::Bytes;

/// How many pieces wait for each of the threads.
const WAITING: usize = 3;
/// How often it is written down how far the copy has come.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// How many places that cannot be read a report names.
const BAD_SHOWN: usize = 20;

/// What came of a copy.
pub struct Copied {
    /// The digest of what was written.
    pub sha256: Digest,
    /// How long it is.
    pub size: Bytes,
    /// How much was written, holes not counted.
    pub written: Bytes,
    /// What could not be read, and is zeros.
    pub bad: Vec<Range>,
    /// Where it was taken up, when it had begun before.
    pub taken_up_at: Option<Bytes>,
}

/// How a copy is written down and stopped.
pub struct Way<'a> {
    /// Where it stands how far it has come.
    pub map: &'a str,
    /// Whether somebody asked to stop.
    pub stop: &'a AtomicBool,
}

/// A copy that came so far is kept when its target fails.
const KEPT_FROM: Bytes = Bytes::new(256 << 20);

/// What the threads get.
#[derive(Clone)]
enum Next {
    Piece(Bytes, Arc<Stretch>),
    /// How far it has come is to be written down.
    Mark,
}

/// Copies the content, from where an earlier try of the same copy got to.
pub fn copy(
    host: &dyn ReadHost,
    content: &Content,
    mut sink: Sink<'_>,
    way: &Way<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, ActError> {
    let doing = |cause| HostError::new("copy", format!("LV {}", content.name), cause);
    let total = content.len.bytes().ok_or_else(|| doing(io::ErrorKind::FileTooLarge.into()))?;
    let source = source_of(content);
    let known = CopyMap::load(way.map, source, total);
    let (map, hasher) = take_up(&mut sink, known, CopyMap::new(source, total)).map_err(doing)?;
    let begun = Some(map.done).filter(|done| !done.is_zero());
    sink.begin(map.done).map_err(doing)?;
    let (read, hasher, written) = thread::scope(|scope| {
        let (to_sum, summed) = sync_channel::<Next>(WAITING);
        let (to_write, writes) = sync_channel::<Next>(WAITING);
        let (marks, marked) = channel();
        let hashing = scope.spawn(move || sum_up(hasher, summed, &marks));
        let start = map.done;
        let writing = scope.spawn(move || {
            let mut map = map;
            let written = write_all(&mut sink, &mut map, way.map, (writes, &marked));
            (sink, map, written)
        });
        let read = read_all(host, content, start, way.stop, progress, &[to_sum, to_write]);
        (read, joined(hashing), joined(writing))
    });
    let (mut sink, map, written) = written?;
    let is_worth_keeping = begun.is_some() || map.done >= KEPT_FROM;
    match written {
        Ok(()) => {}
        // A full or lost target may be mended; what was read from a failing disk may not be had again.
        Err(cause) if is_worth_keeping => {
            return Err(ActError::Interrupted(doing(cause).in_full()));
        }
        Err(cause) => return Err(doing(cause).into()),
    }
    match read {
        Ok(Read::All) => {}
        Ok(Read::Stopped) => return Err(ActError::Interrupted("asked to stop".to_owned())),
        // A disk that went away may come back.
        Err(error) if !map.done.is_zero() => return Err(ActError::Interrupted(error.in_full())),
        Err(error) => return Err(error.into()),
    }
    let sha256 = Digest::from_raw(hasher?.finalize().into());
    sink.finish(total).and_then(|()| sink.verify(total, sha256)).map_err(doing)?;
    Ok(Copied { sha256, size: total, written: sink.written(), bad: map.bad, taken_up_at: begun })
}

impl Copied {
    /// What is worth knowing of it; `beside` says where all of what could not be read stands.
    pub fn notes(&self, beside: &str) -> Vec<String> {
        let taken_up = self.taken_up_at.map(|at| {
            format!("taken up at {at}, where it was stopped: what lies before was read then")
        });
        let mut notes: Vec<String> = taken_up.into_iter().collect();
        if self.bad.is_empty() {
            return notes;
        }
        let lost: Bytes = self.bad.iter().map(|(_, len)| *len).sum();
        let (count, size) = (self.bad.len(), self.size);
        notes.push(format!(
            "{lost} of {size}, in {count} places, COULD NOT BE READ: zeros stand there; {beside}"
        ));
        let shown = self.bad.iter().take(BAD_SHOWN);
        notes.extend(shown.map(|(at, len)| format!("unreadable: {len} from byte {}", at.get())));
        if let Some(more) = count.checked_sub(BAD_SHOWN).filter(|more| *more > 0) {
            notes.push(format!("unreadable: {more} places more"));
        }
        notes
    }
}

/// What is copied: where it lies, as far as that is known to stay.
fn source_of(content: &Content) -> Digest {
    Digest::of(
        format!("{} {} {} {:?}", content.vg, content.lv, content.len.get(), content.from.place())
            .as_bytes(),
    )
}

/// What an earlier try wrote is gone on with where it still is what was read then; else it is begun anew.
fn take_up(
    sink: &mut Sink<'_>,
    known: Option<CopyMap>,
    new: CopyMap,
) -> io::Result<(CopyMap, Sha256)> {
    let Some(known) = known.filter(|map| !map.done.is_zero()) else {
        return Ok((new, Sha256::new()));
    };
    let mut hasher = Sha256::new();
    // It is summed up from there: the source may not be readable so far any more.
    match again(sink, known.done, &mut hasher) {
        Ok(kept) if known.sha256 == Some(Digest::from_raw(hasher.clone().finalize().into())) => {
            sink.count(kept);
            Ok((known, hasher))
        }
        Ok(_) => Ok((new, Sha256::new())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((new, Sha256::new())),
        Err(error) => Err(error),
    }
}

/// Sums up what an earlier try wrote; tells how much of it is not holes.
fn again(sink: &mut Sink<'_>, done: Bytes, hasher: &mut Sha256) -> io::Result<Bytes> {
    let mut kept = Bytes::ZERO;
    sink.read_back(done, &mut |bytes| {
        hasher.update(bytes);
        for block in bytes.chunks(HOLE).filter(|block| block.iter().any(|byte| *byte != 0)) {
            kept = kept.saturating_add(Bytes::of_len(block.len()));
        }
    })?;
    Ok(kept)
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> Result<T, HostError> {
    handle.join().map_err(|_| HostError::because("copy", "it", "BUG: a thread of the copy died"))
}

#[derive(PartialEq, Eq)]
enum Read {
    All,
    Stopped,
}

fn read_all(
    host: &dyn ReadHost,
    content: &Content,
    start: Bytes,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
    takers: &[SyncSender<Next>],
) -> Result<Read, HostError> {
    let (mut ended, mut marked) = (Read::All, Instant::now());
    let read = read_from(host, content, start, progress, &mut |at, stretch| {
        if stop.load(Ordering::Relaxed) {
            ended = Read::Stopped;
            return Ok(false);
        }
        let piece = Next::Piece(at, Arc::new(stretch));
        // A thread that is gone has failed, and says why itself.
        let mut goes_on = takers.iter().all(|taker| taker.send(piece.clone()).is_ok());
        if goes_on && marked.elapsed() >= SAVE_EVERY {
            marked = Instant::now();
            goes_on = takers.iter().all(|taker| taker.send(Next::Mark).is_ok());
        }
        Ok(goes_on)
    });
    for taker in takers {
        let _ = taker.send(Next::Mark);
    }
    read.map(|_| ended)
}

fn sum_up(mut hasher: Sha256, pieces: Receiver<Next>, marks: &Sender<Digest>) -> Sha256 {
    for next in pieces {
        match next {
            Next::Piece(_, stretch) => hash(&mut hasher, &stretch),
            Next::Mark => {
                let _ = marks.send(Digest::from_raw(hasher.clone().finalize().into()));
            }
        }
    }
    hasher
}

/// Writes what comes, and writes down how far it has come, where that is asked for.
fn write_all(
    sink: &mut Sink<'_>,
    map: &mut CopyMap,
    path: &str,
    (pieces, marks): (Receiver<Next>, &Receiver<Digest>),
) -> io::Result<()> {
    for next in pieces {
        let Next::Piece(at, stretch) = next else {
            sink.sync(map.done)?;
            map.sha256 = marks.recv().ok();
            map.save(path)?;
            continue;
        };
        match stretch.as_ref() {
            Stretch::Zeros(len) | Stretch::Bad(len) => sink.write_zeros(at, *len)?,
            Stretch::Data(bytes) => sink.write(at, bytes)?,
        }
        map.advance(stretch.len(), matches!(stretch.as_ref(), Stretch::Bad(_)));
    }
    Ok(())
}
