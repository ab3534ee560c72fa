//! A whole ceremony through the race, against one or two peers that play the
//! input as packets.
//!
//! The race finds its keys in sysfs and opens their nodes, so there is a
//! machine for it in which both are ours, and a peer for each node. A script
//! that has come to its end makes its key fail, so that most sessions take no
//! longer than their packets; one that leaves the person waiting takes until
//! the deadline.
#![forbid(unsafe_code)]

mod node;
mod peer;
mod request;
mod stick;

use std::cell::OnceCell;
use std::thread;
use std::time::{Duration, Instant};

use ceremony::assertion::Candidate;
use ceremony::authentication::{Approval, Terms, authenticate};
use ceremony::authenticator::claim::Claims;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::race::{Course, Field};
use ceremony::authenticator::{Interaction, NoPin, Notice, PinQuestion};
use ceremony::challenge::{Challenge, Request};
use ceremony::credential::{Credential, CredentialId, CredentialName, UserVerification};
use ceremony::pin::Pin;
use ceremony::policy::{CounterRule, SyncedCredentials};
use ceremony::public_key::Algorithm;
use ceremony::receipt::Receipt;
use ceremony::registration::{Discoverable, Wanted, register};
use sha2::{Digest, Sha256};

use self::node::Node;
use self::peer::{Deeds, Left, Peer};
use self::stick::{Character, PIN, Stick};
use crate::honest_key::{EDDSA, ES256, HonestKey, RELYING_PARTY, authenticator_data};
use crate::input::Input;
use crate::private_machine;

/// How long a session has: enough for an honest one, and little more to wait for.
const DEADLINE: Duration = Duration::from_millis(100);

/// How much longer it may take on a machine with other things to do.
const SLACK: Duration = Duration::from_secs(5);

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A person was let in.
    Approved,
    /// A credential was made.
    Enrolled,
    /// Nobody was let in, and nothing was made.
    Refused,
}

pub(crate) fn session(bytes: &[u8]) {
    play(bytes, DEADLINE);
}

thread_local! {
    static MACHINE: OnceCell<Option<Claims>> = const { OnceCell::new() };
}

/// Plays a session that has until `deadline`, and says what came of it.
pub fn play(bytes: &[u8], deadline: Duration) -> Outcome {
    MACHINE.with(|machine| {
        let claims = machine.get_or_init(|| {
            private_machine::enter();
            Claims::open("sudo for alice").ok()
        });
        let before = private_machine::descriptors();
        let outcome = Session::told_by(&mut Input::new(bytes)).run(deadline, claims.as_ref());
        assert_eq!(private_machine::descriptors(), before, "a descriptor leaks");
        outcome
    })
}

/// What a session is about, and who is in it.
struct Session<'s> {
    registers: bool,
    terms: Terms,
    stored_counter: Option<u32>,
    /// The first two are on the keys, where they are plugged in.
    credentials: Vec<Credential>,
    types: Types,
    /// The keys plugged in: what they are like, and what they do.
    sticks: Vec<(Character, Input<'s>)>,
}

/// What the person does when asked for a PIN.
#[derive(Clone, Copy)]
enum Types {
    Right,
    Wrong,
    Nothing(NoPin),
}

impl<'s> Session<'s> {
    fn told_by(input: &mut Input<'s>) -> Self {
        let choices = input.byte();
        let has = |bit: u8| choices & 1 << bit != 0;
        let person = input.byte();
        let registers = has(0);
        let first = Character(u16::from_be_bytes(input.array()));
        let sticks = if has(7) && !registers {
            let script = Input::new(input.counted());
            let second = Character(u16::from_be_bytes(input.array()));
            vec![(first, script), (second, Input::new(input.rest()))]
        } else {
            vec![(first, Input::new(input.rest()))]
        };
        Self {
            registers,
            terms: Terms {
                user_verification: if has(1) {
                    UserVerification::Required
                } else {
                    UserVerification::Discouraged
                },
                synced: if has(2) {
                    SyncedCredentials::Refuse
                } else {
                    SyncedCredentials::Allow
                },
                counter: if has(3) {
                    CounterRule::Refuse
                } else {
                    CounterRule::Warn
                },
            },
            stored_counter: has(4).then_some(8),
            credentials: credentials([1, 2, 9, 30][usize::from(person >> 6)], has(5)),
            types: match person % 8 {
                0..4 => Types::Right,
                4 => Types::Wrong,
                5 => Types::Nothing(NoPin::NotGiven),
                6 => Types::Nothing(NoPin::UsedUp {
                    wrong_before: false,
                }),
                _ => Types::Nothing(NoPin::NotAsked),
            },
            sticks,
        }
    }

    fn run(self, patience: Duration, claims: Option<&Claims>) -> Outcome {
        let challenge = Challenge::new(&Request {
            service: "sudo".into(),
            user: "alice".into(),
            host: "laptop".into(),
            command: None,
            tty: None,
        })
        .expect("a challenge");
        let hash = challenge.client_data_hash();
        let deeds = Deeds::default();
        let mut person = Person {
            types: self.types,
            deeds: &deeds,
            registers: self.registers,
            hides: self.credentials.iter().any(|it| !it.answers_silently),
            asked: 0,
        };
        let mut nodes = Vec::new();
        let mut peers = Vec::new();
        for (number, (character, script)) in self.sticks.into_iter().enumerate() {
            let least = if character.sends_short_reports() {
                1
            } else {
                64
            };
            let (node, cable) = Node::plug_in(number, least);
            let stick = Stick::new(number, character, key_of(number));
            let asked = (!self.registers).then_some(hash);
            nodes.push(node);
            peers.push(Peer::new(stick, cable, script, &deeds, asked));
        }
        let candidates: Vec<Candidate<'_>> = self
            .credentials
            .iter()
            .map(|credential| Candidate {
                credential,
                stored_counter: self.stored_counter,
            })
            .collect();
        let began = Instant::now();
        let course = Course {
            field: Field::EveryKey,
            deadline: began + patience,
            claims,
            interruption: None,
        };
        thread::scope(|scope| {
            let peers: Vec<_> = peers
                .into_iter()
                .map(|peer| scope.spawn(|| peer.play()))
                .collect();
            let outcome = if self.registers {
                make_a_credential(self.terms, &candidates, &course, &mut person)
            } else {
                let approved =
                    authenticate(&candidates, &challenge, &self.terms, &course, &mut person);
                match approved {
                    Ok(approval) => {
                        assert_earned(&approval, self.terms, hash, &deeds);
                        let receipt = Receipt::new(challenge, &approval.verified);
                        assert!(receipt.and_then(|it| it.to_line()).is_ok());
                        Outcome::Approved
                    }
                    Err(_) => Outcome::Refused,
                }
            };
            let took = began.elapsed();
            assert!(took < patience + SLACK, "it took {took:?}");
            for node in &nodes {
                node.close_behind_everybody();
            }
            for peer in peers {
                let Left { blinking } = peer.join().expect("the peer ends well");
                assert!(!blinking, "a key still waits for its person");
            }
            outcome
        })
    }
}

fn key_of(number: usize) -> &'static HonestKey {
    if number == 0 { &ES256[0] } else { &EDDSA[0] }
}

/// One for each key, and others of keys that are not here.
fn credentials(many: u8, hide: bool) -> Vec<Credential> {
    (0..many)
        .map(|number| {
            let mut credential = key_of(usize::from(number)).credential.clone();
            if number > 1 {
                credential.name =
                    CredentialName::parse(&format!("at home {number}")).expect("a name");
                credential.id = CredentialId::new(&[number; 48]).expect("an id");
            }
            credential.answers_silently = !(hide && number == 0);
            credential
        })
        .collect()
}

fn make_a_credential(
    terms: Terms,
    exclude: &[Candidate<'_>],
    course: &Course<'_>,
    person: &mut Person<'_>,
) -> Outcome {
    // Who enrols a key has others; those that are not plugged in here.
    let exclude: Vec<&CredentialId> = exclude.iter().skip(1).map(|it| &it.credential.id).collect();
    let wanted = Wanted {
        relying_party: ES256[0].credential.public_key.relying_party(),
        user_name: "alice",
        user_id: &[0x1d; 32],
        algorithm: Algorithm::Es256,
        exclude: &exclude,
        discoverable: Discoverable::No,
        user_verification: terms.user_verification,
        protection: None,
        challenge: &[0xc4; 32],
    };
    match register(&wanted, course, person) {
        Ok(made) => {
            assert!(made.flags.user_present());
            let demanded = terms.user_verification == UserVerification::Required;
            assert!(made.flags.user_verified() || !demanded);
            assert_eq!(made.public_key.algorithm(), Algorithm::Es256);
            assert_eq!(made.public_key.relying_party().as_str(), RELYING_PARTY);
            Outcome::Enrolled
        }
        Err(_) => Outcome::Refused,
    }
}

/// An approval stands on something that the very key it names has signed, with
/// this credential's private half, over this challenge.
fn assert_earned(approval: &Approval<'_>, terms: Terms, hash: [u8; 32], deeds: &Deeds) {
    let verified = &approval.verified;
    let rp_id_hash = Sha256::digest(RELYING_PARTY).into();
    let data = authenticator_data(&rp_id_hash, verified.flags.0, verified.sign_count);
    let by_this_key = |stick| node::path(stick) == approval.key.node;
    let id = verified.credential.id.as_bytes();
    assert!(
        deeds.any_signed(|signed| {
            by_this_key(signed.stick)
                && signed.hash == hash
                && signed.data == data
                && signed.credential_id == id
        }),
        "approved what nobody signed: {approval:?}"
    );
    assert!(verified.flags.user_present());
    let demanded = terms.user_verification == UserVerification::Required;
    assert!(verified.flags.user_verified() || !demanded);
    if approval.answers_silently == Some(true) {
        assert!(deeds.shown(|signed| by_this_key(signed.stick) && signed.credential_id == id));
    }
}

/// Whoever sits in front of the machine, and watches over their PIN.
struct Person<'p> {
    types: Types,
    deeds: &'p Deeds,
    registers: bool,
    hides: bool,
    asked: u8,
}

impl Interaction for Person<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        if let Notice::Dropped { why, .. } = notice {
            assert!(!why.contains(char::is_control), "{why:?}");
        }
    }

    fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Result<Pin, NoPin> {
        assert!(question.tries_left >= 2, "the last try");
        match &question.proven {
            Some(name) => assert!(
                self.deeds.shown(|signed| {
                    node::path(signed.stick) == key.node && is_of(&signed.credential_id, name)
                }),
                "asked for the PIN of a key that has shown nothing"
            ),
            None => assert!(self.hides || self.registers, "asked unproven"),
        }
        self.asked += 1;
        match self.types {
            // Whoever is asked again and again gives up.
            _ if self.asked > 8 => Err(NoPin::UsedUp {
                wrong_before: false,
            }),
            Types::Right => Pin::typed(PIN, 4).map_err(|_| NoPin::NotGiven),
            Types::Wrong => Pin::typed(b"4321", 4).map_err(|_| NoPin::NotGiven),
            Types::Nothing(why) => Err(why),
        }
    }
}

fn is_of(id: &[u8], name: &CredentialName) -> bool {
    (0..2).any(|number| {
        let credential = &key_of(number).credential;
        credential.id.as_bytes() == id && credential.name == *name
    })
}
