//! What the key remembers without power: its secrets, its PIN, its counter.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opensk::api::persist::{Persist, PersistIter};
use opensk::ctap::status_code::CtapResult;

/// A key-value store that outlives the key's power, and, kept in a file, the process too.
#[derive(Clone, Default)]
pub(super) struct Storage(Arc<Mutex<Cells>>);

#[derive(Default)]
struct Cells {
    values: BTreeMap<usize, Vec<u8>>,
    file: Option<PathBuf>,
}

impl Storage {
    /// Reads the file if there is one, and keeps every change in it from now on.
    pub(super) fn keep_in(&self, file: &Path) {
        let mut cells = self.cells();
        if let Ok(text) = fs::read_to_string(file) {
            cells.values = text.lines().map(cell_from_line).collect();
        }
        cells.file = Some(file.to_owned());
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let mut text = String::new();
        for (key, value) in &self.values {
            let _ = write!(text, "{key} ");
            for byte in value {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        // Write a neighbour and rename: a test that is killed leaves the old key or the new one.
        let directory = file.parent().expect("a state file lies in a directory");
        let mut neighbour = tempfile::NamedTempFile::new_in(directory).expect("state directory");
        neighbour.write_all(text.as_bytes()).expect("state file");
        neighbour.persist(file).expect("state file");
    }
}

fn cell_from_line(line: &str) -> (usize, Vec<u8>) {
    let (key, hex) = line
        .split_once(' ')
        .expect("state file: number, space, hex");
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("state file: hex");
    (
        key.parse().expect("state file: number"),
        (0..hex.len()).step_by(2).map(byte).collect(),
    )
}

impl Persist for Storage {
    fn find(&self, key: usize) -> CtapResult<Option<Vec<u8>>> {
        Ok(self.cells().values.get(&key).cloned())
    }

    fn insert(&mut self, key: usize, value: &[u8]) -> CtapResult<()> {
        let mut cells = self.cells();
        cells.values.insert(key, value.to_vec());
        cells.save();
        Ok(())
    }

    fn remove(&mut self, key: usize) -> CtapResult<()> {
        let mut cells = self.cells();
        cells.values.remove(&key);
        cells.save();
        Ok(())
    }

    fn iter(&self) -> CtapResult<PersistIter<'_>> {
        let keys: Vec<usize> = self.cells().values.keys().copied().collect();
        Ok(Box::new(keys.into_iter().map(Ok)))
    }
}
