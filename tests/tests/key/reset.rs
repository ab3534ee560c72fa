//! A key that forgets everything, and keys that are swapped or pulled out.

use tests::household::answering;
use tests::{Command, Machine, Presence, VirtualKey};

use crate::credentials::keeping_two;
use crate::desk::{PIN, assert_failed, blue, key, with};

#[test]
fn a_key_is_reset_after_a_word_and_a_replug_and_a_touch() {
    let (machine, blue) = keeping_two();
    blue.presence(Presence::after_ms(200));
    let mut reset = key(&machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("PIN of \"Blue\" (/dev/hidraw0), to count what is on it, 8 tries left");
    reset.type_line("2468");
    reset.wait_for("the 2 credentials that it keeps itself");
    reset.wait_for("every login enrolled with it");
    reset.wait_for("Type \"reset\" to erase it: ");
    reset.type_line("reset");
    reset.wait_for("Unplug \"Blue\" (/dev/hidraw0) now (60 s).");
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    reset.wait_for("Touch \"Blue\" (/dev/hidraw0) to erase it (30 s).");
    let reset = reset.finish().expect_success();
    assert!(
        reset.stdout.contains("has forgotten everything"),
        "{reset:#?}"
    );
    let removed = reset.stdout.find("sudo passkey remove NAME");
    let set = reset.stdout.find("passkey key pin set");
    let enrolled = reset.stdout.find("sudo passkey enroll");
    // while it is on record, an only key would have to vouch for itself
    assert!(
        removed.is_some() && removed < set && set < enrolled,
        "{reset:#?}"
    );
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("PIN           not set"), "{info:#?}");
    assert!(info.stdout.contains("room for 150 more"), "{info:#?}");
    drop(blue);
}

/// A reset that has come to the point at which the key is unplugged.
fn reset_until_unplugged(machine: &Machine) -> tests::machine::Running<'_> {
    let mut reset = key(machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("Type \"reset\" to erase it: ");
    reset.type_line("reset");
    reset.wait_for("Unplug \"Blue\"");
    reset
}

#[test]
fn without_the_word_nothing_is_erased() {
    let (machine, blue) = with(blue());
    for other in ["", "yes", "resett"] {
        let ended = answering(key(&machine, &["reset"]), &[("Type \"reset\"", other)]);
        assert_failed(&ended, "was not reset", "run again");
    }
    assert!(!blue.commands().contains(&Command::Reset));
}

#[test]
fn another_key_in_its_place_is_not_erased() {
    let (machine, blue) = with(blue());
    let reset = reset_until_unplugged(&machine);
    drop(blue);
    reset.wait_for("Plug it in again");
    let green = machine.plug_in(VirtualKey::named("Green"));
    assert_failed(
        &reset.finish(),
        "which is another key than \"Blue\"",
        "nothing was erased",
    );
    assert!(!green.commands().contains(&Command::Reset));

    // nor one of the same name and another model
    let blue = machine.plug_in(VirtualKey::named("Blue").of_model([7; 16]));
    drop(green);
    let reset = key(&machine, &["reset", "--key", "/dev/hidraw1"]);
    let mut reset = reset.on_a_terminal().start();
    reset.wait_for("Type \"reset\"");
    reset.type_line("reset");
    reset.wait_for("Unplug");
    drop(blue);
    reset.wait_for("Plug it in again");
    let other = machine.plug_in(VirtualKey::named("Blue").of_model([8; 16]));
    assert_failed(
        &reset.finish(),
        "which is another key than",
        "nothing was erased",
    );
    assert!(!other.commands().contains(&Command::Reset));
}

#[test]
fn a_reset_that_nobody_touches_for_erases_nothing() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.presence(Presence::Deny);
    let mut reset = key(&machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("nothing: do not count): ");
    reset.type_line("");
    reset.wait_for("every credential that it keeps itself");
    reset.wait_for("Type \"reset\"");
    reset.type_line("reset");
    reset.wait_for("Unplug");
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    assert_failed(&reset.finish(), "denied", "nothing was erased");
    assert!(blue.is_dark());
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("PIN           set"), "{info:#?}");
}

#[test]
fn ctrl_c_in_a_reset_leaves_no_key_blinking() {
    let (machine, blue) = with(blue());
    blue.presence(Presence::Never);
    let mut reset = reset_until_unplugged(&machine);
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    reset.wait_for("Touch \"Blue\"");
    reset.wait_until_it_holds_back(nix::sys::signal::Signal::SIGINT);
    reset.type_keys("\x03");
    assert_eq!(reset.finish().signal(), Some(2));
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_key_that_was_pulled_out_meanwhile_is_missed() {
    let (machine, blue) = with(blue().with_pin("2468"));
    for command in [&["credentials", "list"][..], &["config", "always-uv", "on"]] {
        let blue = machine.plug_in(VirtualKey::named("Other").with_pin("2468"));
        let node = blue.node();
        let command: Vec<&str> = command.iter().copied().chain(["--key", &node]).collect();
        let run = machine.passkey(["key"].into_iter().chain(command.iter().copied()));
        let mut running = run.on_a_terminal().start();
        running.wait_for("8 tries left: ");
        drop(blue);
        running.type_line("2468");
        assert_failed(
            &running.finish(),
            "was unplugged",
            "plug it in and run again",
        );
    }
    drop(blue);
}

#[test]
fn a_key_that_took_anothers_place_is_given_no_pin() {
    for command in [&["credentials", "list"][..], &["config", "always-uv", "on"]] {
        let (machine, blue) = with(blue().with_pin("2468"));
        let mut running = key(&machine, command).on_a_terminal().start();
        running.wait_for(PIN.0);
        drop(blue);
        let green = machine.plug_in(VirtualKey::named("Green").with_pin("2468"));
        assert_eq!(green.node(), "/dev/hidraw0");
        running.type_line("2468");
        let ended = running.finish();
        assert_eq!(ended.code(), Some(1), "{ended:#?}");
        assert!(
            ended.stdout.contains("plug it in and run again"),
            "{ended:#?}"
        );
        assert!(!green.commands().contains(&Command::ClientPin));
    }
}
