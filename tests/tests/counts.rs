//! What a login may cost at most. `make bench` prints what it does cost, beside `pam_u2f`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "also in a test's helpers")]

use tests::counts::{Drawer, Module, SCENES, Scene, login_with_pin};

/// Whether all of so many ids go into one request of 1024 bytes, the size every key takes.
#[derive(Clone, Copy)]
enum Ids {
    /// 241 bytes: three go in.
    Long,
    /// 32 bytes: twenty go in.
    Short,
}

/// The most transactions, over all keys.
fn budget(scene: Scene, ids: Ids) -> usize {
    match (scene.credentials, scene.keys, ids) {
        (1, 1, _) | (8, 1, Ids::Short) => 2,
        (8, 1, Ids::Long) => 3,
        (24, 1, _) => 5,
        (4, 4, Ids::Short) => 8,
        (4, 4, Ids::Long) => 12,
        _ => 20, // 24 × 4
    }
}

/// All scenes on one machine: enrolling the keys is what takes long.
fn assert_all_within_budget(drawer: &Drawer, ids: Ids) {
    let mut over = Vec::new();
    for scene in SCENES {
        let count = drawer.login(scene);
        println!("{scene:?}: {count:?}");
        let budget = budget(scene, ids);
        if count.transactions > budget {
            over.push(format!(
                "{scene:?} took {}, not {budget}",
                count.transactions
            ));
        }
        assert_eq!(count.opens, scene.keys, "a key is opened once: {scene:?}");
        assert_eq!(count.most_opens, 1, "a key is opened once: {scene:?}");
        assert_eq!(count.mouse_opens, 0, "a mouse is no key: {scene:?}");
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[test]
fn a_touch_with_long_ids_stays_within_its_budget() {
    assert_all_within_budget(&Drawer::with(Module::PamPasskey, 24), Ids::Long);
}

#[test]
fn a_touch_with_short_ids_stays_within_its_budget() {
    let drawer = Drawer::with(Module::PamPasskeyDiscoverable, 24);
    assert_all_within_budget(&drawer, Ids::Short);
}

#[test]
fn a_pin_and_a_touch_stay_within_their_budget() {
    for module in [Module::PamPasskey, Module::PamPasskeyDiscoverable] {
        let count = login_with_pin(module);
        assert!(count.transactions <= 7, "{count:?}");
        assert_eq!((count.opens, count.mouse_opens), (1, 0), "{count:?}");
    }
}
