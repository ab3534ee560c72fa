//! Keys that never come to an end, or to one too early.

#![forbid(unsafe_code)]

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use tests::liar::{Act, Lie, Moment, Packets};
use tests::login::assert_outcome;
use tests::machine::PluggedIn;
use tests::{Liar, Pam, Presence, Profile, VirtualKey};

use crate::scene::{Expected, PIN, Scene};

const NOT_ANSWERING: Expected = Expected::AtDeadline(
    Pam::AuthErr,
    "does not answer. Unplug it, plug it in and try again.",
);
const NOBODY_TOUCHED: Expected = Expected::AtDeadline(
    Pam::AuthErr,
    "Nobody touched the security key in time. Try again.",
);
/// The node of an unplugged key may take a while to go; a key may still come.
const UNPLUGGED: Expected = Expected::AtDeadline(
    Pam::AuthinfoUnavail,
    "No security key was plugged in. Plug yours in and try again.",
);

const ON_THE_WAY_TO_A_PIN: [Moment; 6] = [
    Moment::GetInfo,
    Moment::Probe,
    Moment::PinRetries,
    Moment::KeyAgreement,
    Moment::PinToken,
    Moment::GetAssertion,
];

fn silence(moment: Moment) -> Lie {
    Lie::packets(moment, |_| Vec::new())
}

fn for_ever(moment: Moment, status: u8, pause: Duration) -> Lie {
    Lie::packets(moment, move |packets: &Packets| {
        vec![Act::SendForEver(packets.keepalive(status), pause)]
    })
}

#[test]
fn silence_is_bounded_by_the_deadline() {
    let mut scene = Scene::touch();
    for moment in [Moment::Init, Moment::GetAssertion] {
        scene.tries(
            &format!("silence at {moment:?}"),
            silence(moment),
            NOT_ANSWERING,
        );
    }
}

#[test]
#[ignore = "long: make hostile"]
fn silence_on_the_way_to_a_pin_is_bounded_by_the_deadline() {
    let mut scene = Scene::pin();
    for moment in ON_THE_WAY_TO_A_PIN {
        scene.tries(
            &format!("silence at {moment:?}"),
            silence(moment),
            NOT_ANSWERING,
        );
    }
}

#[test]
fn keepalives_do_not_keep_a_login_alive() {
    let mut scene = Scene::touch();
    for (pause, name) in [(300, "0.3 ms"), (100_000, "100 ms")] {
        let pause = Duration::from_micros(pause);
        scene.tries(
            &format!("at work every {name}"),
            for_ever(Moment::GetAssertion, 1, pause),
            NOT_ANSWERING,
        );
        scene.tries(
            &format!("waits for a touch every {name}"),
            for_ever(Moment::GetAssertion, 2, pause),
            NOBODY_TOUCHED,
        );
    }
    scene.tries(
        "a keepalive that is none, for ever",
        for_ever(Moment::GetAssertion, 3, Duration::from_millis(100)),
        Expected::faulty("it answered with command 0xbb."),
    );
}

#[test]
#[ignore = "long: make hostile"]
fn keepalives_on_the_way_to_a_pin_do_not_keep_a_login_alive() {
    let mut scene = Scene::pin();
    for moment in ON_THE_WAY_TO_A_PIN {
        for status in [1, 2] {
            let fault = format!("keepalive {status} every 0.3 ms at {moment:?}");
            let lie = for_ever(moment, status, Duration::from_micros(300));
            match (status, moment) {
                // With a PIN for it typed, a key that wants a touch is waited for.
                (2, Moment::PinToken | Moment::GetAssertion) => {
                    scene.alone(&fault, lie, NOBODY_TOUCHED);
                }
                // What takes no person is no reason to ask for a touch.
                _ => scene.tries(&fault, lie, NOT_ANSWERING),
            }
        }
    }
}

#[test]
fn an_answer_that_trickles_in_is_bounded_by_the_deadline() {
    let mut scene = Scene::touch();
    scene.tries(
        "a packet every second",
        Lie::packets(Moment::GetAssertion, |packets| {
            let packets = packets.sent().into_iter();
            packets
                .flat_map(|act| [Act::Wait(Duration::from_secs(1)), act])
                .collect()
        }),
        NOT_ANSWERING,
    );
}

#[test]
fn floods_of_others_do_not_keep_a_login_alive() {
    let mut scene = Scene::touch();
    scene.tries(
        "packets of another channel for ever",
        Lie::packets(Moment::GetAssertion, |_| {
            let foreign = tests::liar::packet(0x0A0A_0A0A, &[0x90, 0, 1, 0]);
            vec![Act::SendForEver(foreign, Duration::from_micros(100))]
        }),
        NOT_ANSWERING,
    );
}

#[test]
fn a_late_word_while_nothing_is_asked_is_nobodys() {
    // A key that never answers has the liar wait, ready for its PIN, with nothing under way.
    let scene = Scene::pin();
    let mute = Liar::named("Mute");
    mute.lies(silence(Moment::Init));
    let _mute = scene.machine().plug_in_cable(mute.name(), mute.power_on());
    let late = |bytes: &'static [u8]| {
        Lie::packets(Moment::Probe, |packets| {
            let late = [
                Act::Wait(Duration::from_millis(300)),
                Act::Send(packets.packet(bytes)),
            ];
            packets.sent().into_iter().chain(late).collect()
        })
    };
    for (fault, bytes) in [
        ("an answer", &[0x90, 0, 1, 0][..]),
        ("an answer that does not end", &[0x90, 0, 200, 0]),
        ("a continuation", &[0, 1, 2, 3]),
        ("a keepalive", &[0xBB, 0, 1, 2]),
        ("an error", &[0xBF, 0, 1, 1]),
        ("BUSY", &[0xBF, 0, 1, 6]),
        ("a strange command", &[0x81, 0, 1, 0]),
    ] {
        let login = scene.login_with(late(bytes));
        assert_eq!(login.code(), Pam::Success, "{fault}: {login:#?}");
        assert_eq!(login.questions().len(), 1, "{fault}: {login:#?}");
    }
}

/// How many packets a whole login takes.
fn packets_of_a_login(scene: &Scene) -> usize {
    let login = scene.login_with(Lie::None);
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    scene.liar().packets_sent()
}

/// Unplugged before the first packet of a login, and after each of them but the last.
fn unplugged_everywhere(mut scene: Scene) {
    for packets in 0..packets_of_a_login(&scene) {
        scene.tries(
            &format!("unplugged after {packets} packets"),
            Lie::UnplugAfter(packets),
            UNPLUGGED,
        );
    }
}

#[test]
fn a_key_unplugged_between_the_packets_of_a_touch_lets_nobody_in() {
    unplugged_everywhere(Scene::touch());
}

#[test]
#[ignore = "long: make hostile"]
fn a_key_unplugged_between_any_packets_on_the_way_to_a_pin_lets_nobody_in() {
    unplugged_everywhere(Scene::pin());
}

#[test]
fn a_key_replugged_as_another_under_the_same_node_answers_nothing() {
    for scene in [Scene::touch(), Scene::pin()] {
        // What the one was asked the other must not answer.
        let asked = scene.last_question();
        scene.liar().lies(silence(asked));
        scene.liar().forget();
        let other = Liar::named("Other");
        let port = scene.plug_liar_in();
        let node = port.node();
        let login = scene
            .machine()
            .login("sudo", "alice")
            .answers([PIN, PIN])
            .start();
        scene.liar().wait_until_asked(asked);
        drop(port);
        let port = scene
            .machine()
            .plug_in_cable(other.name(), other.power_on());
        assert_eq!(port.node(), node);
        let login = login.finish();
        let sentence = "\"Other\" (/dev/hidraw0) is not enrolled for alice.";
        assert_outcome(&login, Pam::AuthErr, sentence);
        assert!(
            !other.heard().contains(&Moment::PinToken),
            "{:?}",
            other.heard()
        );
        assert!(other.is_dark());
    }
}

#[test]
fn a_key_that_is_told_to_stop_and_blinks_on_keeps_nobody() {
    use tests::liar::WhenCancelled::{AnswersAllTheSame, BlinksOn, StopsAfter};

    // Another key wins; whatever the liar does with its CANCEL, the login is over.
    let scene = Scene::touch();
    for when in [
        BlinksOn,
        AnswersAllTheSame,
        StopsAfter(Duration::from_secs(5)),
    ] {
        scene.liar().lies(Lie::Cancelled(when));
        scene.liar().touched(None);
        scene.liar().forget();
        let _port = scene.plug_liar_in();
        let blue = scene.machine().plug_in(scene.blue().clone());
        blue.presence(Presence::after_ms(300));
        let login = scene.login();
        assert_outcome(&login, Pam::Success, "Touch ");
        assert_eq!(scene.liar().cancels(), 1, "{when:?}");
    }
}

#[test]
fn a_key_that_blinks_on_is_told_once() {
    // It stood aside for blue, and blinks on when the login is over.
    let scene = Scene::pin();
    scene
        .liar()
        .lies(Lie::Cancelled(tests::liar::WhenCancelled::BlinksOn));
    scene.liar().touched(None);
    let _port = scene.plug_liar_in();
    let blue = scene.machine().plug_in(scene.blue().clone());
    blue.presence(Presence::after_ms(300));
    let login = scene.login();
    assert_outcome(&login, Pam::Success, "Touch \"blue key\"");
    assert!(!scene.liar().is_dark());
    assert_eq!(scene.liar().cancels(), 1);
}

/// A key that wants a PIN where a touch is enough of the others.
fn strict_key(scene: &Scene) -> PluggedIn {
    let strict = VirtualKey::named("Strict").posing_as(Profile::fido_2_1().always_uv());
    let strict = scene.machine().plug_in(strict.with_pin(PIN));
    let machine = scene.machine();
    machine.enroll_for(&strict, "alice", "strict key", PIN, &["--touch-only"]);
    strict
}

#[test]
fn a_key_that_is_slow_to_stop_goes_on_where_the_chosen_one_fails() {
    let scene = Scene::touch();
    // Chosen by its touch, it turns out to have one try left, and is out at once.
    let strict = strict_key(&scene);
    strict.set_pin_tries_left(1);
    let slow = tests::liar::WhenCancelled::StopsAfter(Duration::from_secs(1));
    scene.liar().lies(Lie::Cancelled(slow));
    scene.liar().touched(None);
    scene.liar().forget();
    let _port = scene.plug_liar_in();
    let login = scene.machine().login("sudo", "alice").start();
    assert_eq!(scene.liar().cancels(), 1);
    scene.liar().touched(Some(Duration::from_millis(100)));
    let login = login.finish();
    assert_outcome(&login, Pam::Success, "");
    assert!(
        login.logged().contains("accepted key=\"liar\""),
        "{login:#?}"
    );
    assert_eq!(scene.liar().interruptions(), 0);
}

#[test]
fn a_key_that_came_late_goes_on_where_the_chosen_one_fails() {
    let scene = Scene::touch();
    let strict = strict_key(&scene);
    strict.presence(Presence::Never);
    scene.liar().touched(Some(Duration::from_secs(2)));
    scene.liar().forget();
    let login = scene.machine().login("sudo", "alice");
    let login = login.answers([PIN]).start();
    strict.wait_until_it_blinks();
    let _port = scene.plug_liar_in();
    scene.liar().wait_until_asked(Moment::GetAssertion);
    drop(strict);
    // It is not asked again what it was asked already.
    let login = login.finish();
    assert_outcome(&login, Pam::Success, "");
    assert_eq!(scene.liar().interruptions(), 0);
}

#[test]
fn a_key_that_stood_aside_is_asked_again_once_it_has_stopped() {
    use tests::liar::WhenCancelled::StopsAfter;

    let when = StopsAfter(Duration::from_millis(1500));
    let scene = Scene::pin();
    scene.liar().lies(Lie::Cancelled(when));
    scene.liar().touched(None);
    let _port = scene.plug_liar_in();
    let blue = scene.machine().plug_in(scene.blue().clone());
    blue.presence(Presence::after_ms(300));
    let mut login = scene
        .machine()
        .login("sudo", "alice")
        .answers_later()
        .start();
    // Both blink; blue is touched, and pulled out before its PIN is typed.
    login.wait_until_said("PIN of \"blue key\"");
    assert_eq!(scene.liar().cancels(), 1, "{when:?}");
    let said_before = login.complained();
    drop(blue.unplug());
    login.type_line(PIN);
    scene.liar().touched(Some(Duration::from_millis(100)));
    login.wait_until_said("PIN of \"liar\"");
    let said_between = login.complained();
    let said_between = &said_between[said_before.len()..];
    login.type_line(PIN);
    let login = login.finish();
    assert_outcome(&login, Pam::Success, "Touch \"liar\"");
    assert_eq!(
        scene.liar().interruptions(),
        0,
        "{:?}",
        scene.liar().heard()
    );
    assert!(
        !said_between.contains("Touch"),
        "it blinked on: {said_between}"
    );
}

/// It serves another program, whenever it is asked this.
fn busy(moment: Moment) -> Lie {
    Lie::packets(moment, |packets| {
        vec![Act::Send(packets.packet(&[0xBF, 0, 1, 6]))]
    })
}

#[test]
fn a_chosen_key_that_is_busy_for_ever_keeps_no_other() {
    let scene = Scene::pin();
    for moment in [Moment::PinRetries, Moment::KeyAgreement] {
        scene.beside_an_honest_key(&format!("BUSY at {moment:?}"), busy(moment));
    }
}

#[test]
#[ignore = "long: make hostile"]
fn a_key_that_has_answered_is_not_dropped_because_the_loop_was_held_up() {
    let scene = Scene::pin();
    scene
        .liar()
        .lies(Lie::packets(Moment::KeyAgreement, |packets| {
            [vec![Act::Wait(Duration::from_secs(1))], packets.sent()].concat()
        }));
    scene.liar().forget();
    let _port = scene.plug_liar_in();
    let blue = scene.machine().plug_in(scene.blue().clone());
    blue.presence(Presence::Never);
    let login = scene
        .machine()
        .login("sudo", "alice")
        .answers([PIN])
        .start();
    scene.liar().wait_until_asked(Moment::KeyAgreement);
    // Stands for whatever holds the loop up: a device that keeps the kernel waiting, a text.
    let device = scene.machine().path("/sys/class/hidraw/hidraw7/device");
    fs::create_dir_all(&device).unwrap();
    let held_up = device.join("report_descriptor");
    mkfifo(&held_up, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    fs::write(scene.machine().path("/dev/hidraw7"), "").unwrap();
    thread::sleep(Duration::from_secs(6));
    drop(fs::File::options().write(true).open(&held_up).unwrap());
    fs::remove_dir_all(device.parent().unwrap()).unwrap();
    let login = login.finish();
    assert_outcome(&login, Pam::Success, "");
    assert!(
        !login.logged().contains("is out: it does not answer"),
        "{login:#?}"
    );
}
