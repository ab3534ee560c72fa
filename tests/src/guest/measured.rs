//! What a login costs in a guest, measured in there by `yardstick` and told by `make bench`.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::counts::Count;

/// Of `pam_passkey` and of `pam_u2f`, in this order.
pub type Both<T> = [T; 2];

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// In the order in which they were set.
    pub scenes: Vec<InScene>,
    /// Libraries that are in the host with the module, and not with `pam_permit.so`.
    pub libraries: Both<Vec<String>>,
}

/// What was measured with so many credentials in the file and so many keys plugged in.
#[derive(Debug, Serialize, Deserialize)]
pub struct InScene {
    /// Credentials in the file.
    pub credentials: usize,
    /// Keys plugged in.
    pub keys: usize,
    /// Messages and opens, the same in every run.
    pub counts: Both<Count>,
    /// One run of each, and the next.
    pub runs: Vec<Both<Run>>,
    /// The most memory that su ever had (`VmHWM`), less that with `pam_permit.so`.
    pub peaks_kib: Both<Vec<u64>>,
    /// Instructions of pam-host from its start to its end, less those with `pam_permit.so`.
    pub instructions: Both<Vec<u64>>,
}

/// One login, by the clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Run {
    /// From `pam_start`, which loads the module, to `pam_authenticate`.
    pub loading_us: u64,
    /// From the call of `pam_authenticate` until a key waits for its person.
    pub until_a_key_waits_us: u64,
    /// The same, for the key that is touched.
    pub until_its_key_waits_us: u64,
    /// From the touch until `pam_authenticate` returns.
    pub from_touch_us: u64,
}

/// The one in the middle.
///
/// # Panics
///
/// Where there are no numbers.
pub fn median<T: PartialOrd + Copy>(mut numbers: Vec<T>) -> T {
    numbers.sort_by(|one, other| one.partial_cmp(other).expect("numbers"));
    numbers[numbers.len() / 2]
}
