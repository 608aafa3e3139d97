//! The strict in-memory ledger: the fake of unit tests, and the reference that others are compared with. It stores
//! texts as the real ones do, so what does not read back is found here as well, and it can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rules::{self, Written};
use super::{Lease, LeaseView, Ledger, LedgerError, Location, Page, Take};
use crate::domain::entry::{ChainHash, Draft, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::project::{Records, reads};
use crate::domain::record::{Key, Listing, Record};

/// A kind of call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Ledger::append`].
    Append,
    /// [`Ledger::acquire`].
    Acquire,
    /// [`Ledger::renew`].
    Renew,
    /// [`Ledger::release`].
    Release,
    /// Everything that only reads.
    Read,
}

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing happened.
    Before,
    /// It happened and the answer is lost.
    After,
}

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which calls.
    pub call: Call,
    /// How many of them pass first.
    pub skip: u32,
    /// How many fail then; `u32::MAX` for all.
    pub times: u32,
    /// When.
    pub moment: Moment,
    /// Whether the error says that trying again may help.
    pub transient: bool,
}

#[derive(Default)]
struct Strand {
    entries: Vec<(String, ChainHash)>,
    by_eid: BTreeMap<Token, u64>,
    fence: u64,
    lease: Option<LeaseView>,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<Stream, Strand>,
    records: BTreeMap<Key, String>,
    faults: Vec<Fault>,
}

/// A ledger that lives as long as the value.
pub struct MemoryLedger {
    id: Token,
    location: Location,
    state: Mutex<State>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(Self::default_id())
    }
}

impl MemoryLedger {
    /// An empty ledger of this id.
    pub fn new(id: Token) -> Self {
        Self::named(id, "memory")
    }

    /// The same under another name: where there are two, messages must tell them apart.
    pub fn named(id: Token, name: &str) -> Self {
        Self { id, location: Location(name.to_owned()), state: Mutex::default() }
    }

    /// The id of a ledger that nobody gave one.
    pub fn default_id() -> Token {
        Token::from_bits([7; 16])
    }

    /// Makes later calls fail. Several faults may wait at once; the first that fits counts.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Forgets the faults that still wait.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Lets the holder of a lease be dead, as the kernel of the same machine would tell.
    pub fn kill_holder(&self, stream: &Stream) {
        if let Some(lease) = self.state().streams.get_mut(stream).and_then(|strand| strand.lease.as_mut()) {
            lease.holder_dead = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut State) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut state = self.state();
        match state.fault(call) {
            None => work(&mut state),
            Some(Fault { moment, transient, .. }) => {
                if moment == Moment::After {
                    work(&mut state)?;
                }
                Err(LedgerError::Unavailable {
                    location: self.location.clone(),
                    transient,
                    source: "a fault was injected".into(),
                })
            }
        }
    }

    fn head_of(&self, state: &State, stream: &Stream) -> Head {
        let genesis = || Head { seq: 0, hash: ChainHash::genesis(&self.id, stream), fence: 0 };
        state.streams.get(stream).and_then(Strand::head).unwrap_or_else(genesis)
    }

    fn open(&self, state: &State, stream: &Stream, seq: u64) -> Result<Option<Sealed>, LedgerError> {
        let place = usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1));
        let found =
            state.streams.get(stream).and_then(|strand| place.and_then(|place| strand.entries.get(place)));
        let Some((body, hash)) = found else { return Ok(None) };
        Sealed::open(stream, seq, body.clone(), hash.clone())
            .map(Some)
            .map_err(|source| rules::entry(&self.location, source))
    }

    fn written(&self, state: &State, stream: &Stream, draft: &Draft) -> Result<Option<Sealed>, LedgerError> {
        let seq = state.streams.get(stream).and_then(|strand| strand.by_eid.get(&draft.eid)).copied();
        let Some(seq) = seq else { return Ok(None) };
        let sealed = self.open(state, stream, seq)?;
        if let Some(sealed) = &sealed {
            rules::same(&self.location, sealed, draft)?;
        }
        Ok(sealed)
    }

    fn record(&self, key: &Key, body: &str) -> Result<Record, LedgerError> {
        serde_json::from_str(body).map_err(|e| self.unusable(format!("record {key:?} does not read: {e}")))
    }

    fn unusable(&self, reason: String) -> LedgerError {
        LedgerError::Unusable { location: self.location.clone(), reason }
    }

    fn write(
        &self,
        state: &mut State,
        stream: &Stream,
        fence: u64,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        let before = self.before(state, stream, &draft.event)?;
        let head = self.head_of(state, stream);
        let written = rules::write(&self.location, stream, &head, fence, draft, &before)?;
        self.put(state, stream, written)
    }

    fn before(&self, state: &State, stream: &Stream, event: &Event) -> Result<Records, LedgerError> {
        let mut before = Records::new();
        for key in reads(stream, event) {
            if let Some(body) = state.records.get(&key) {
                before.insert(key.clone(), self.record(&key, body)?);
            }
        }
        Ok(before)
    }

    fn put(&self, state: &mut State, stream: &Stream, written: Written) -> Result<Sealed, LedgerError> {
        let mut texts = Vec::new();
        for (key, record) in &written.records {
            let body = serde_json::to_string(record)
                .map_err(|e| self.unusable(format!("record {key:?} cannot be written: {e}")))?;
            texts.push((key.clone(), body));
        }
        state.records.extend(texts);
        let strand = state.streams.entry(stream.clone()).or_default();
        strand.by_eid.insert(written.sealed.entry.eid.clone(), written.head.seq);
        strand.entries.push((written.sealed.body.clone(), written.sealed.hash.clone()));
        strand.fence = written.head.fence;
        Ok(written.sealed)
    }
}

impl Strand {
    fn head(&self) -> Option<Head> {
        let (_, hash) = self.entries.last()?;
        Some(Head { seq: self.entries.len() as u64, hash: hash.clone(), fence: self.fence })
    }
}

impl State {
    fn fault(&mut self, call: Call) -> Option<Fault> {
        let place = self.faults.iter().position(|fault| fault.call == call)?;
        let fault = &mut self.faults[place];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let now = *fault;
        if fault.times != u32::MAX {
            fault.times = fault.times.saturating_sub(1);
        }
        if fault.times == 0 {
            self.faults.remove(place);
        }
        (now.times > 0).then_some(now)
    }

    fn lease(&self, stream: &Stream) -> Option<&LeaseView> {
        self.streams.get(stream).and_then(|strand| strand.lease.as_ref())
    }

    fn put_lease(&mut self, stream: &Stream, lease: LeaseView) {
        self.streams.entry(stream.clone()).or_default().lease = Some(lease);
    }
}

#[async_trait::async_trait]
impl Ledger for MemoryLedger {
    fn location(&self) -> Location {
        self.location.clone()
    }

    async fn id(&self) -> Result<Token, LedgerError> {
        self.call(Call::Read, |_| Ok(self.id.clone()))
    }

    async fn streams(&self) -> Result<Vec<Stream>, LedgerError> {
        self.call(Call::Read, |state| Ok(state.streams.keys().cloned().collect()))
    }

    async fn head(&self, stream: &Stream) -> Result<Head, LedgerError> {
        self.call(Call::Read, |state| Ok(self.head_of(state, stream)))
    }

    async fn read(&self, stream: &Stream, after: u64, limit: u32) -> Result<Vec<Sealed>, LedgerError> {
        self.call(Call::Read, |state| {
            (1..=u64::from(limit))
                .map_while(|n| self.open(state, stream, after.checked_add(n)?).transpose())
                .collect()
        })
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, LedgerError> {
        self.call(Call::Read, |state| state.records.get(key).map(|body| self.record(key, body)).transpose())
    }

    async fn page(&self, listing: &Listing, before: Option<&Key>, limit: u32) -> Result<Page, LedgerError> {
        self.call(Call::Read, |state| {
            let Some(range) = rules::range(listing, before) else {
                return Ok(Page { records: Vec::new(), more: false });
            };
            let key = |sort| Key { partition: range.partition.clone(), sort };
            let mut keys = state.records.range(key(range.low.clone())..key(range.high.clone())).rev();
            let mut records = Vec::new();
            for (key, body) in keys.by_ref().take(limit as usize) {
                records.push((key.clone(), self.record(key, body)?));
            }
            Ok(Page { records, more: keys.next().is_some() })
        })
    }

    async fn append(
        &self,
        stream: &Stream,
        fence: Option<&Fence>,
        draft: Draft,
    ) -> Result<Sealed, LedgerError> {
        self.call(Call::Append, |state| {
            if let Some(sealed) = self.written(state, stream, &draft)? {
                return Ok(sealed);
            }
            let fence = rules::fence_of(&self.location, stream, state.lease(stream), fence, &draft.event)?;
            self.write(state, stream, fence, draft)
        })
    }

    async fn lease(&self, stream: &Stream) -> Result<Option<LeaseView>, LedgerError> {
        self.call(Call::Read, |state| Ok(state.lease(stream).cloned()))
    }

    async fn acquire(
        &self,
        stream: &Stream,
        take: &Take,
        ttl: Duration,
        draft: Draft,
    ) -> Result<Lease, LedgerError> {
        self.call(Call::Acquire, |state| {
            let holder = rules::holder_of(&self.location, &draft)?;
            if let Some(sealed) = self.written(state, stream, &draft)? {
                let fence = Fence { number: sealed.entry.fence, nonce: holder.nonce };
                rules::in_force(stream, state.lease(stream), &fence)?;
                return Ok(Lease { stream: stream.clone(), fence, ttl });
            }
            let stolen = rules::may_take(stream, state.lease(stream), take)?;
            let number = self.head_of(state, stream).fence + 1;
            let renewal = draft.eid.clone();
            self.write(state, stream, number, rules::found(draft, stolen))?;
            let fence = Fence { number, nonce: holder.nonce.clone() };
            let view = LeaseView { fence: number, holder, renewal, ttl, released: false, holder_dead: false };
            state.put_lease(stream, view);
            Ok(Lease { stream: stream.clone(), fence, ttl })
        })
    }

    async fn renew(&self, lease: &Lease, renewal: Token) -> Result<(), LedgerError> {
        self.call(Call::Renew, |state| {
            rules::in_force(&lease.stream, state.lease(&lease.stream), &lease.fence)?;
            if let Some(view) = state.lease(&lease.stream).cloned() {
                state.put_lease(&lease.stream, LeaseView { renewal, ..view });
            }
            Ok(())
        })
    }

    async fn release(&self, lease: &Lease, draft: Draft) -> Result<(), LedgerError> {
        self.call(Call::Release, |state| {
            rules::gives_back(&self.location, &draft)?;
            if self.written(state, &lease.stream, &draft)?.is_some() {
                return Ok(());
            }
            rules::in_force(&lease.stream, state.lease(&lease.stream), &lease.fence)?;
            self.write(state, &lease.stream, lease.fence.number, draft)?;
            if let Some(view) = state.lease(&lease.stream).cloned() {
                state.put_lease(&lease.stream, LeaseView { released: true, ..view });
            }
            Ok(())
        })
    }

    async fn import(&self, entry: &Sealed) -> Result<(), LedgerError> {
        self.call(Call::Append, |state| {
            let stream = &entry.entry.stream;
            let found = self.open(state, stream, entry.entry.seq)?;
            if rules::imported(&self.location, entry, found.as_ref())? {
                return Ok(());
            }
            let before = self.before(state, stream, &entry.entry.event)?;
            let head = self.head_of(state, stream);
            let written = rules::import(&self.location, &head, entry, &before)?;
            self.put(state, stream, written)?;
            if let Some(lease) = rules::imported_lease(entry, state.lease(stream).cloned()) {
                state.put_lease(stream, lease);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
