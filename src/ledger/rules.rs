//! What every ledger decides in the same way, as pure functions: which fence counts, who may take a lease, what an
//! append writes, where a page begins. A backend brings the transaction around them.

use std::time::Duration;

use super::{LeaseView, LedgerError, Location, Take};
use crate::domain::deployment::Holder;
use crate::domain::entry::{Draft, Entry, EntryError, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::id::{Fence, Stream};
use crate::domain::project::{Illegal, Records, project};
use crate::domain::record::{Key, Listing, Record, ServiceRecord};

/// How long a lease lasts that was imported: the entry does not say.
const IMPORTED: Duration = Duration::from_secs(60);

/// What one append writes.
pub(crate) struct Written {
    pub(crate) sealed: Sealed,
    pub(crate) head: Head,
    pub(crate) records: Records,
}

/// Seals the draft behind `head` and folds it over the records that [`crate::domain::project::reads`] named.
pub(crate) fn write(
    location: &Location,
    stream: &Stream,
    head: &Head,
    fence: u64,
    draft: Draft,
    before: &Records,
) -> Result<Written, LedgerError> {
    let of_service = before.get(&Key::of_service(&stream.service));
    if head.seq == 0
        && let Some(Record::Service(ServiceRecord { moved_to: Some(to), .. })) = of_service
    {
        // A stream that begins in a ledger that goes on elsewhere. It has no record of its own that says so.
        return Err(Illegal::Moved { stream: stream.clone(), to: to.clone() }.into());
    }
    let of_stream = before.get(&of_itself(stream));
    // A stream is open in one ledger at most: in the other one, until this one says that it goes on.
    let is_copied = of_stream.or(of_service).is_some_and(Record::is_importing);
    if is_copied && !matches!(draft.event, Event::LedgerImported { .. }) {
        return Err(Illegal::Importing(stream.clone()).into());
    }
    let sealed = Sealed::seal(stream, head, fence, draft).map_err(|source| entry(location, source))?;
    let records = project(&sealed.entry, before)?;
    let head = sealed.head(head);
    Ok(Written { sealed, head, records })
}

/// The key of the record that a stream has of itself.
fn of_itself(stream: &Stream) -> Key {
    match stream.environment {
        Some(_) => Key::of_environment(stream),
        None => Key::of_service(&stream.service),
    }
}

/// Checks an entry of another ledger against `head` and folds it over the records that it reads.
pub(crate) fn import(
    location: &Location,
    head: &Head,
    sealed: &Sealed,
    before: &Records,
) -> Result<Written, LedgerError> {
    sealed.follows(head).map_err(|source| entry(location, source))?;
    let mut records = project(&sealed.entry, before)?;
    let stream = &sealed.entry.stream;
    let key = of_itself(stream);
    let none = || match stream.environment {
        Some(_) => Record::Environment(Box::default()),
        None => Record::Service(ServiceRecord::default()),
    };
    let record = records.get(&key).or_else(|| before.get(&key)).cloned().unwrap_or_else(none);
    if let Some(marked) = record.importing() {
        records.insert(key, marked);
    }
    Ok(Written { sealed: sealed.clone(), head: sealed.head(head), records })
}

/// Whether an entry to import is there already: `found` is what has its place. Another one is a history of its own.
pub(crate) fn imported(
    location: &Location,
    sealed: &Sealed,
    found: Option<&Sealed>,
) -> Result<bool, LedgerError> {
    match found {
        None => Ok(false),
        Some(found) if found.hash == sealed.hash => Ok(true),
        Some(_) => {
            let Entry { stream, seq, .. } = &sealed.entry;
            Err(misuse(
                location,
                format!("its entry {seq} of {stream} is another one: it has a history of its own"),
            ))
        }
    }
}

/// The lease after an imported entry; none when it says nothing of it. Nobody renews it here: it is free once its
/// time is up, or as soon as the import gives it back.
pub(crate) fn imported_lease(sealed: &Sealed, lease: Option<LeaseView>) -> Option<LeaseView> {
    match &sealed.entry.event {
        Event::LeaseAcquired { holder, .. } => Some(LeaseView {
            fence: sealed.entry.fence,
            holder: holder.clone(),
            renewal: sealed.entry.eid.clone(),
            ttl: IMPORTED,
            released: false,
            holder_dead: false,
        }),
        Event::LeaseReleased {} => lease.map(|lease| LeaseView { released: true, ..lease }),
        _ => None,
    }
}

pub(crate) fn entry(location: &Location, source: EntryError) -> LedgerError {
    LedgerError::Entry { location: location.clone(), source }
}

fn misuse(location: &Location, reason: impl Into<String>) -> LedgerError {
    LedgerError::Unusable { location: location.clone(), reason: reason.into() }
}

/// Checks that an entry found under the draft's id is this draft, written before. Whether a lease was stolen is the
/// ledger's own finding and not compared.
pub(crate) fn same(location: &Location, written: &Sealed, draft: &Draft) -> Result<(), LedgerError> {
    let entry = &written.entry;
    let event = match (&entry.event, &draft.event) {
        (Event::LeaseAcquired { holder: a, .. }, Event::LeaseAcquired { holder: b, .. }) => a == b,
        (a, b) => a == b,
    };
    if event && entry.at == draft.at && entry.actor == draft.actor {
        return Ok(());
    }
    let what = format!("entry {} of {} has the id of another draft, {}", entry.seq, entry.stream, draft.eid);
    Err(misuse(location, what))
}

/// The fence to write into an entry: the one that was brought, when it is in force, and 0 where none is needed.
pub(crate) fn fence_of(
    location: &Location,
    stream: &Stream,
    lease: Option<&LeaseView>,
    brought: Option<&Fence>,
    event: &Event,
) -> Result<u64, LedgerError> {
    if matches!(event, Event::LeaseAcquired { .. } | Event::LeaseReleased {}) {
        return Err(misuse(location, format!("{} is not appended by hand", event.kind())));
    }
    match brought {
        None if event.needs_fence() => Err(fenced(stream, 0, lease)),
        None => Ok(0),
        Some(fence) => {
            in_force(stream, lease, fence)?;
            Ok(if event.needs_fence() { fence.number } else { 0 })
        }
    }
}

fn fenced(stream: &Stream, held: u64, lease: Option<&LeaseView>) -> LedgerError {
    LedgerError::Fenced { stream: stream.clone(), held, current: lease.map_or(0, |lease| lease.fence) }
}

/// Checks that a lease is the current one, its holder's, and was not given back.
pub(crate) fn in_force(stream: &Stream, lease: Option<&LeaseView>, fence: &Fence) -> Result<(), LedgerError> {
    match lease {
        Some(lease)
            if lease.fence == fence.number && lease.holder.nonce == fence.nonce && !lease.released =>
        {
            Ok(())
        }
        _ => Err(fenced(stream, fence.number, lease)),
    }
}

/// Whether a lease may be taken; `Ok(true)` when its holder had not given it back.
pub(crate) fn may_take(stream: &Stream, lease: Option<&LeaseView>, take: &Take) -> Result<bool, LedgerError> {
    let Some(lease) = lease.filter(|lease| !lease.released) else { return Ok(false) };
    let allowed = lease.holder_dead
        || match take {
            Take::IfFree => false,
            Take::IfUnchanged(seen) => *seen == lease.renewal,
            Take::Preempt => true,
        };
    if allowed {
        return Ok(true);
    }
    Err(LedgerError::Held { stream: stream.clone(), lease: Box::new(lease.clone()) })
}

/// The holder that a draft of `lease.acquired` names.
pub(crate) fn holder_of(location: &Location, draft: &Draft) -> Result<Holder, LedgerError> {
    match &draft.event {
        Event::LeaseAcquired { holder, .. } => Ok(holder.clone()),
        other => Err(misuse(location, format!("a lease is not taken by {}", other.kind()))),
    }
}

/// The same draft with what the ledger found out.
pub(crate) fn found(mut draft: Draft, was_held: bool) -> Draft {
    if let Event::LeaseAcquired { stolen, .. } = &mut draft.event {
        *stolen = was_held;
    }
    draft
}

/// Checks that a draft is `lease.released`.
pub(crate) fn gives_back(location: &Location, draft: &Draft) -> Result<(), LedgerError> {
    match &draft.event {
        Event::LeaseReleased {} => Ok(()),
        other => Err(misuse(location, format!("a lease is not given back by {}", other.kind()))),
    }
}

/// A stretch of one partition: `low` is in it, `high` is not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) partition: String,
    pub(crate) low: String,
    pub(crate) high: String,
}

/// The keys of a list strictly before `before`; none when nothing can be there.
pub(crate) fn range(listing: &Listing, before: Option<&Key>) -> Option<Range> {
    let Key { partition, sort: low } = listing.prefix();
    // Sort keys are ASCII, so this is greater than each that begins with the prefix.
    let mut high = format!("{low}\u{10ffff}");
    if let Some(before) = before {
        match before.partition.cmp(&partition) {
            std::cmp::Ordering::Less => return None,
            std::cmp::Ordering::Equal if before.sort <= low => return None,
            std::cmp::Ordering::Equal if before.sort < high => high.clone_from(&before.sort),
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => {}
        }
    }
    Some(Range { partition, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: &str, sort: &str) -> Key {
        Key { partition: partition.into(), sort: sort.into() }
    }

    #[test]
    fn a_range_is_the_list_and_nothing_of_its_neighbours() {
        let commits = |hex: &str| Listing::Commits("web".parse().unwrap(), hex.into());
        let whole = range(&commits("ab"), None).unwrap();
        let holds = |sort: &str| whole.low.as_str() <= sort && sort < whole.high.as_str();
        assert_eq!(whole.partition, "SVC#web");
        for sort in ["SHA#ab", "SHA#ab0", "SHA#abff#011.", "SHA#abzz"] {
            assert!(holds(sort), "{sort}");
        }
        for sort in ["SHA#aaff", "SHA#ac", "SHA#a", "REL#ab", "SHB#ab"] {
            assert!(!holds(sort), "{sort}");
        }
    }

    #[test]
    fn a_cursor_bounds_the_range_or_empties_it() {
        let all = Listing::Commits("web".parse().unwrap(), String::new());
        let high = |cursor: Key| range(&all, Some(&cursor)).map(|range| range.high);
        assert_eq!(high(key("SVC#web", "SHA#ab")), Some("SHA#ab".into()));
        assert_eq!(high(key("SVC#web", "SHA#")), None);
        assert_eq!(high(key("SVC#web", "REL#1")), None);
        assert_eq!(high(key("SVC#web", "ZZZ")), Some("SHA#\u{10ffff}".into()));
        assert_eq!(high(key("SVC#aaa", "SHA#ab")), None);
        assert_eq!(high(key("SVC#zzz", "A")), Some("SHA#\u{10ffff}".into()));
    }
}
