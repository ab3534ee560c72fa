//! What libFuzzer calls: the target that `FUZZ_TARGET` names.
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        let (_, target) = fuzz::TARGETS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("FUZZ_TARGET is one of fuzz::TARGETS");
        TARGET.get_or_init(|| *target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);
