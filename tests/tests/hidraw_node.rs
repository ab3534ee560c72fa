//! A virtual node is what a hidraw node is: found, opened, counted, pulled out.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use tests::machine::PluggedIn;
use tests::{Machine, Reply, VirtualKey};

#[test]
fn every_node_counts_its_own_opens_and_sysfs_costs_none() {
    let machine = Machine::new();
    let mouse = machine.plug_in_mouse();
    let keys = ["One", "Two", "Three", "Four"].map(|name| machine.plug_in(VirtualKey::named(name)));

    let names = "cat /sys/class/hidraw/*/device/report_descriptor > /dev/null; \
                 grep -h HID_NAME /sys/class/hidraw/*/device/uevent; stat /dev/hidraw*";
    let found = machine.sh(names).output().expect_success();
    for name in ["Bench Mouse", "One", "Two", "Three", "Four"] {
        assert!(
            found.stdout.contains(&format!("HID_NAME={name}\n")),
            "{}",
            found.stdout
        );
    }
    assert_eq!(mouse.opens(), 0);

    machine
        .sh(": < /dev/hidraw3; : < /dev/hidraw3")
        .output()
        .expect_success();
    assert_eq!(keys[2].node(), "/dev/hidraw3");
    assert_eq!(keys.each_ref().map(PluggedIn::opens), [0, 0, 2, 0]);
}

#[test]
fn a_key_plugged_in_late_gets_a_node_and_an_unplugged_one_loses_it() {
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    let waiting = machine.sh("until test -c /dev/hidraw1; do sleep 0.02; done; cat /sys/class/hidraw/hidraw1/device/uevent").start();
    let red = machine.plug_in(VirtualKey::named("Red Key"));
    let seen = waiting.finish().expect_success();
    assert!(seen.stdout.contains("HID_NAME=Red Key"), "{}", seen.stdout);

    assert_eq!(
        (blue.node(), red.node()),
        ("/dev/hidraw0".into(), "/dev/hidraw1".into())
    );
    drop(blue);
    let left = machine
        .run(["ls", "/sys/class/hidraw"])
        .output()
        .expect_success();
    assert_eq!(left.stdout, "hidraw1\n");
    assert!(
        !machine
            .run(["test", "-e", "/dev/hidraw0"])
            .output()
            .success()
    );
    assert_eq!(
        machine.plug_in(VirtualKey::named("Green Key")).node(),
        "/dev/hidraw0"
    );
}

#[test]
fn the_node_that_is_opened_has_the_number_that_sysfs_tells() {
    let machine = Machine::new();
    let _blue = machine.plug_in(VirtualKey::named("Blue Key"));
    let stat = machine.sh("exec 3<>/dev/hidraw0; printf '%d:%d\\n' 0x$(stat -L -c %t /dev/fd/3) 0x$(stat -L -c %T /dev/fd/3)")
        .output()
        .expect_success();
    let sysfs = machine
        .run(["cat", "/sys/class/hidraw/hidraw0/dev"])
        .output()
        .expect_success();
    assert_eq!(stat.stdout, sysfs.stdout);
}

#[test]
fn what_one_program_left_unread_is_not_there_for_the_next() {
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    let init = "printf '\\0\\377\\377\\377\\377\\206\\0\\010abcdefgh'; head -c 50 /dev/zero";
    let leave = format!("exec 3<>/dev/hidraw0; {{ {init}; }} >&3; sleep 0.2");
    machine.sh(leave).output().expect_success();
    assert_eq!(blue.transactions()[0].reply, Some(Reply::Done));

    let read = machine
        .sh("exec timeout 0.3 head -c 64 /dev/hidraw0")
        .output();
    assert_eq!((read.stdout.as_str(), read.code()), ("", Some(124)));
    assert_eq!(blue.opens(), 2);
}

#[test]
fn a_write_that_is_no_report_is_noticed_and_goes_nowhere() {
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    machine
        .sh("printf short > /dev/hidraw0; sleep 0.2")
        .output()
        .expect_success();
    assert_eq!(blue.malformed_writes(), 1);
    assert!(blue.commands().is_empty());
    machine
        .run(["test", "-c", "/dev/hidraw0"])
        .output()
        .expect_success();
}
