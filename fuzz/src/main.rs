//! What libFuzzer calls: the target that `FUZZ_TARGET` names, and nothing of the
//! others. It looks at every counter that is linked in, after every execution.
#![no_main]
#![forbid(unsafe_code)]

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

const TARGET: Target = fuzz::target(env!("FUZZ_TARGET"));

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
