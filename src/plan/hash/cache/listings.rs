//! Listings of patterns in their written form, decoded one by one as they are asked for.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, OnceLock},
};

use crate::{
    base::digest::Digest,
    plan::hash::{
        cache::frame::{Fields, Section, put_signature, put_text, signature},
        listing::{Listing, Visited},
    },
};

/// Written: for each its key, its length, itself.
#[derive(Default)]
pub(super) struct Listings {
    written: Section,
    places: OnceLock<HashMap<Digest, Range<usize>>>,
    fresh: HashMap<Digest, Arc<Listing>>,
}

impl Listings {
    pub(super) fn new(written: Section) -> Self {
        Listings { written, ..Listings::default() }
    }

    /// Where each stands. Nothing is anywhere if the section is damaged: what patterns mean is then
    /// listed anew.
    fn places(&self) -> (&[u8], &HashMap<Digest, Range<usize>>) {
        let written: &[u8] = self.written.get().map_or(&[], |it| it);
        let places = self.places.get_or_init(|| {
            let mut places = HashMap::new();
            let mut fields = Fields(written);
            while let (Some(key), Some(body)) = (fields.take(32), fields.text()) {
                let end = written.len() - fields.0.len();
                places.insert(Digest(key.try_into().expect("32 bytes were taken")), end - body.len()..end);
            }
            places
        });
        (written, places)
    }

    pub(super) fn get(&self, key: &Digest) -> Option<Arc<Listing>> {
        if let Some(fresh) = self.fresh.get(key) {
            return Some(fresh.clone());
        }
        let (written, places) = self.places();
        decode(written.get(places.get(key)?.clone())?).map(Arc::new)
    }

    pub(super) fn set(&mut self, key: Digest, listing: Arc<Listing>) {
        self.fresh.insert(key, listing);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (written, places) = self.places();
        let mut keys: Vec<_> = places.keys().chain(self.fresh.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut out = Vec::new();
        for key in keys {
            out.extend_from_slice(&key.0);
            match self.fresh.get(key) {
                Some(fresh) => put_text(&mut out, &encode(fresh)),
                None => put_text(&mut out, &written[places[key].clone()]),
            }
        }
        out
    }
}

fn encode(listing: &Listing) -> Vec<u8> {
    let mut out = Vec::new();
    for Visited { path, stamp, names } in &listing.visited {
        put_text(&mut out, path);
        put_text(&mut out, names);
        out.push(u8::from(stamp.is_some()));
        if let Some((stamp, racy)) = stamp {
            out.extend_from_slice(&stamp.dev.to_le_bytes());
            put_signature(&mut out, stamp, *racy);
        }
    }
    out
}

fn decode(bytes: &[u8]) -> Option<Listing> {
    let mut fields = Fields(bytes);
    let mut visited = Vec::new();
    while !fields.0.is_empty() {
        let (path, names) = (fields.text()?.into(), fields.text()?.into());
        let stamp = match fields.byte()? {
            0 => None,
            _ => {
                let dev = fields.number()?;
                Some(signature(&mut fields, dev)?)
            }
        };
        visited.push(Visited { path, stamp, names });
    }
    Some(Listing { visited })
}
