//! What a key keeps itself, listed and removed.

use sk_cbor::{cbor_array_vec, cbor_map};
use tests::Machine;
use tests::household::answering;
use tests::machine::{Finished, PluggedIn};
use tests::virtual_key::Channel;

use crate::desk::{PIN, assert_failed, blue, fido2_token, key, with};

/// A key that keeps a credential of alice's and one of bob's, for the same relying party.
pub(crate) fn keeping_two() -> (Machine, PluggedIn) {
    let machine = Machine::lived_on();
    let blue = machine.plug_in(blue().with_pin("2468"));
    for user in ["alice", "bob"] {
        machine.enroll_for(&blue, user, "blue key", "2468", &["--discoverable"]);
    }
    (machine, blue)
}

/// The ids in a list's rows, in order.
fn ids(listed: &Finished) -> Vec<String> {
    let rows = listed.stdout.lines().filter(|line| line.contains("pam://"));
    rows.map(|row| row.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn credentials_on_a_key_are_listed_and_removed_by_a_piece_of_their_id() {
    let (machine, blue) = keeping_two();
    let list = || answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    let listed = list();
    let ids = ids(&listed);
    assert_eq!(ids.len(), 2, "{listed:#?}");
    assert!(
        listed.stdout.contains("alice") && listed.stdout.contains("bob"),
        "{listed:#?}"
    );
    if let Some(judged) = fido2_token(&machine, &["-L", "-r", &blue.node()], "2468") {
        assert!(judged.stdout.contains("pam://"), "{judged:#?}");
    }
    let json = answering(key(&machine, &["credentials", "list", "--json"]), &[PIN]);
    assert!(json.stdout.contains("\"user_name\":\"alice\""), "{json:#?}");

    let of_alice = listed
        .stdout
        .lines()
        .find(|line| line.contains("alice"))
        .unwrap();
    let id = of_alice.split_whitespace().next().unwrap();
    let upper = id.to_uppercase();
    let remove = key(&machine, &["credentials", "remove", &upper]);
    let kept = answering(
        remove,
        &[PIN, ("Type \"remove\" to remove it for good: ", "yes")],
    );
    assert_failed(&kept, "nothing was removed", "run again");
    assert!(
        kept.stdout
            .contains("This is lost: the login of \"alice\" at pam://"),
        "{kept:#?}"
    );
    assert_eq!(list().stdout.matches("pam://").count(), 2);

    let remove = key(&machine, &["credentials", "remove", id]);
    answering(remove, &[PIN, ("Type \"remove\"", "remove")]).expect_success();
    let left = list();
    assert!(
        !left.stdout.contains("alice") && left.stdout.contains("bob"),
        "{left:#?}"
    );
    if let Some(judged) = fido2_token(&machine, &["-L", "-r", &blue.node()], "2468") {
        judged.expect_success();
    }
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("room for 149 more"), "{info:#?}");
}

#[test]
fn a_piece_of_an_id_means_one_credential_or_none() {
    let (machine, _blue) = keeping_two();
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]);
    let ids = ids(&listed);
    let absent = "0123456789abcdef"
        .chars()
        .find(|digit| ids.iter().all(|id| !id.starts_with(*digit)));
    let absent = absent.unwrap().to_string();
    let ended = answering(key(&machine, &["credentials", "remove", &absent]), &[PIN]);
    assert_failed(
        &ended,
        "keeps no credential whose id begins with",
        "credentials list",
    );
    assert!(!ended.stdout.contains("Type \"remove\""), "{ended:#?}");
}

/// A key that keeps a credential for each of these users of a relying party of their own.
fn keeping(users: &[&str]) -> (Machine, PluggedIn) {
    let key = blue();
    let channel = Channel::open(&key);
    for (number, user) in (0_u8..).zip(users) {
        let rp_id = format!("pam://{user}");
        let request = cbor_map! {
            1 => vec![7; 32],
            2 => cbor_map! { "id" => rp_id.as_str() },
            3 => cbor_map! { "id" => vec![number], "name" => *user },
            4 => cbor_array_vec!(vec![cbor_map! { "alg" => -7, "type" => "public-key" }]),
            7 => cbor_map! { "rk" => true },
        };
        channel.ask(MAKE_CREDENTIAL, Some(request)).unwrap();
    }
    drop(channel);
    with(key.with_pin("2468"))
}

const MAKE_CREDENTIAL: u8 = 0x01;

#[test]
fn a_piece_of_an_id_that_means_several_credentials_removes_none() {
    // More than there are digits: two of the ids begin with the same one.
    let users = "abcdefghijklmnopq"
        .split("")
        .filter(|name| !name.is_empty());
    let (machine, _blue) = keeping(&users.collect::<Vec<_>>());
    let list = || answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    let all = ids(&list());
    assert_eq!(all.len(), 17);
    let digits = "0123456789abcdef".chars().map(String::from);
    let shared = |digit: &String| all.iter().filter(|id| id.starts_with(digit)).count() > 1;
    let digit = digits.into_iter().find(shared).unwrap();
    let ended = answering(key(&machine, &["credentials", "remove", &digit]), &[PIN]);
    assert_failed(
        &ended,
        &format!("have ids that begin with {digit}"),
        "type more of the id",
    );
    assert!(!ended.stdout.contains("Type \"remove\""), "{ended:#?}");
    assert_eq!(ids(&list()), all);
}

#[test]
fn words_on_a_key_are_made_fit_to_be_shown() {
    let (machine, _blue) = keeping(&["\u{1b}[2J\u{202e}root\n\"alice", "bob"]);
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    assert!(
        listed.stdout.contains("pam://?[2J?root??alice"),
        "{listed:#?}"
    );
    let strange = |c: char| (c.is_control() && !"\r\n".contains(c)) || c == '\u{202e}';
    assert_eq!(listed.stdout.find(strange), None, "{listed:#?}");
    let row = listed
        .stdout
        .lines()
        .find(|line| line.contains("?root"))
        .unwrap();
    let id = row.split_whitespace().next().unwrap();
    let remove = key(&machine, &["credentials", "remove", id]);
    let removed = answering(remove, &[PIN, ("Type \"remove\"", "remove")]).expect_success();
    assert_eq!(removed.stdout.find(strange), None, "{removed:#?}");
}

#[test]
fn a_key_that_keeps_nothing_says_so() {
    let (machine, _blue) = with(blue().with_pin("2468"));
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    assert!(
        listed.stdout.contains("keeps no credentials itself"),
        "{listed:#?}"
    );
}
