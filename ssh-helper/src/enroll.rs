//! `passkey enroll`: a key becomes one of an account's.
//!
//! In this order, and nothing is written before the last step: whose account,
//! a proof that its person asks, which key, the new credential, a test login
//! with it, the record.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime};

use ceremony::account::Account;
use ceremony::attestation::{Kind, NewCredential};
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::race::Field;
use ceremony::challenge::rfc3339;
use ceremony::credential::{Credential, CredentialName};
use ceremony::credential_file::{CannotAdd, CredentialFile, Store};
use ceremony::policy::{Config, Policy, SyncedCredentials};
use ceremony::relying_party::RelyingPartyId;
use ceremony::signature_counter::SignatureCounters;
use serde::Serialize;

use crate::cli;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name;
use crate::login::Login;
use crate::machine::{self, CONFIG};
use crate::proof::{Proof, Proving};
use crate::registering::Registering;
use crate::screen::{Report, Screen};
use crate::spare;
use crate::terminal;
use crate::touch::Purpose;
use crate::touch_alone;
use crate::which_key::Choosing;
use crate::whose_account::{self, Administered, Root};

/// Enrols a key; after an account's first one, offers to enrol a spare.
pub(crate) fn enroll(wanted: &cli::Enroll, screen: &mut Screen) -> Result<(), Failure> {
    let enrolled = enroll_one(wanted, None, screen)?;
    let Some(spare) = spare::offer(wanted, &enrolled, screen) else {
        return Ok(());
    };
    enroll_one(&spare, Some(&enrolled.key), screen)
        .map(|_| ())
        .inspect_err(|_| {
            let first = &enrolled.credential.name;
            screen.say(&format!(
                "\"{first}\" is enrolled; only the spare key is not."
            ));
        })
}

/// `first`: the key that was enrolled a moment ago, and is no spare for itself.
fn enroll_one(
    wanted: &cli::Enroll,
    first: Option<&FoundKey>,
    screen: &mut Screen,
) -> Result<Enrolled, Failure> {
    let words = wanted.words();
    let Administered { account, root } = whose_account::to_change(wanted.user.as_deref(), &words)?;
    let enrolment = Enrolment::prepare(wanted, account, root, screen)?;
    let proof = enrolment.proving().ask(screen)?;
    let registering = enrolment.registering();
    let key = Choosing {
        to_make: &registering,
        asked: match root {
            Root::OnBehalf(_) => true,
            // A script of root's, which can write the file without us.
            Root::Directly => terminal::somebody_is_there(),
        },
        has_it: proof.key().or(first).cloned(),
        timeout: enrolment.timeout,
        again: &enrolment.again,
    }
    .ask(screen)?;
    let new = registering.ask(&key, screen)?;
    enrolment.refuse_unwanted_copies(&new)?;
    let attestation = new.attestation;
    let credential = enrolment.credential(new, &key)?;
    let (credential, number) = enrolment.test_and_record(credential, &key, &proof, screen)?;
    let enrolled = Enrolled {
        user: enrolment.account.name.to_string(),
        file: enrolment
            .store
            .path_of(&enrolment.account)
            .display()
            .to_string(),
        credential: Entry::of(&credential),
        attestation: attestation_word(attestation),
        number,
        undo: enrolment.undo(&credential.name),
        account: enrolment.account.clone(),
        root,
        key,
    };
    enrolment.report(&enrolled, screen)?;
    Ok(enrolled)
}

/// An enrolment, before any key is asked.
struct Enrolment<'w> {
    wanted: &'w cli::Enroll,
    account: Account,
    root: Root,
    store: Store,
    config: Config,
    counters: Option<SignatureCounters>,
    /// The credentials that may vouch, as they were when we began.
    enrolled: Vec<Credential>,
    /// Whether the file also has records that cannot be read.
    some_are_faulty: bool,
    relying_party: RelyingPartyId,
    timeout: Duration,
    /// What to type to begin again.
    again: String,
}

impl<'w> Enrolment<'w> {
    /// Everything that can go wrong before a person is asked for anything.
    fn prepare(
        wanted: &'w cli::Enroll,
        account: Account,
        root: Root,
        screen: &mut Screen,
    ) -> Result<Self, Failure> {
        let again = root.command(&wanted.words(), &account);
        if let Root::OnBehalf(through) = root
            && !terminal::somebody_is_there()
        {
            return Err(Failure::new(
                format!(
                    "to enrol through {through} a person is asked, and there is no terminal to \
                     answer at"
                ),
                format!("run it in a terminal: {again}"),
            ));
        }
        let store = machine::store_to_write()?;
        let config = machine::config()?;
        let file = machine::credentials_of(&account, &store, screen)?;
        let file = file.unwrap_or_else(|| CredentialFile::new(&account));
        let enrolled: Vec<Credential> = file.credentials().cloned().collect();
        if let Some(name) = &wanted.name
            && enrolled.iter().any(|credential| credential.name == *name)
        {
            let taken = CannotAdd::SameName(name.clone());
            return Err(cannot_add(
                &taken,
                &account,
                root,
                &wanted.but(|it| it.name = None).words(),
            ));
        }
        let relying_party = match &wanted.rp_id {
            Some(id) => id.clone(),
            None => RelyingPartyId::for_host(&machine::hostname()?).map_err(|problem| {
                Failure::new(
                    format!("this machine's name makes no relying party id: {problem}"),
                    format!("choose one with: {again} --rp-id pam://NAME"),
                )
            })?,
        };
        let timeout = wanted
            .timeout()
            .unwrap_or_else(|| Self::default_policy(&config).timeout);
        Ok(Self {
            counters: machine::counters(screen),
            some_are_faulty: file.faulty().next().is_some(),
            wanted,
            account,
            root,
            store,
            config,
            enrolled,
            relying_party,
            timeout,
            again,
        })
    }

    fn default_policy(config: &Config) -> Policy {
        config.for_service("passkey enroll")
    }

    fn proving(&self) -> Proving<'_> {
        Proving {
            account: &self.account,
            root: self.root,
            credentials: &self.enrolled,
            some_are_faulty: self.some_are_faulty,
            // As strong as what sudo asks: whoever passes that is root anyway.
            policy: self.config.for_service("sudo"),
            timeout: self.timeout,
            counters: self.counters.as_ref(),
            again: &self.again,
        }
    }

    fn registering(&self) -> Registering<'_> {
        Registering {
            wanted: self.wanted,
            account: &self.account,
            root: self.root,
            relying_party: &self.relying_party,
            enrolled: &self.enrolled,
            timeout: self.timeout,
            again: &self.again,
        }
    }

    fn refuse_unwanted_copies(&self, new: &NewCredential) -> Result<(), Failure> {
        let policy = Self::default_policy(&self.config);
        match (new.flags.backup_eligible(), policy.synced) {
            (true, SyncedCredentials::Refuse) => Err(Failure::new(
                "what this key made can be copied to other devices, which the policy refuses",
                format!(
                    "use a key that keeps its credentials, or set synced = \"allow\" in {CONFIG}"
                ),
            )),
            (true, SyncedCredentials::Allow) | (false, _) => Ok(()),
        }
    }

    /// The record of what `key` made.
    fn credential(&self, new: NewCredential, key: &FoundKey) -> Result<Credential, Failure> {
        let taken: Vec<&CredentialName> = self.enrolled.iter().map(|it| &it.name).collect();
        Ok(Credential {
            name: self.name(key, &taken)?,
            public_key: new.public_key,
            id: new.id,
            user_verification: self.wanted.user_verification(),
            discoverable: self.wanted.discoverable,
            synced: new.flags.backup_eligible(),
            // Not known before the test login.
            answers_silently: false,
            aaguid: new.aaguid,
            enrolled: rfc3339(SystemTime::now()).ok_or_else(|| {
                Failure::new(
                    "the clock shows a time that no record can carry",
                    format!("set it (see `timedatectl`) and run again: {}", self.again),
                )
            })?,
        })
    }

    fn name(&self, key: &FoundKey, taken: &[&CredentialName]) -> Result<CredentialName, Failure> {
        match &self.wanted.name {
            Some(name) => Ok(name.clone()),
            None => key_name::unique(&key.product, taken).ok_or_else(|| {
                Failure::new(
                    "no name could be made up for this key",
                    format!("choose one: {} --name NAME", self.again),
                )
            }),
        }
    }

    /// A verified login with the new credential, by that key alone; then, and
    /// only then, the record.
    fn test_and_record(
        &self,
        mut credential: Credential,
        key: &FoundKey,
        proof: &Proof,
        screen: &mut Screen,
    ) -> Result<(Credential, usize), Failure> {
        let policy = Self::default_policy(&self.config);
        let only = std::slice::from_ref(&credential);
        let approved = Login {
            account: &self.account,
            purpose: Purpose::FirstLogin,
            credentials: only,
            field: Field::Only(key.clone()),
            user_verification: credential.user_verification,
            policy: &policy,
            timeout: self.timeout,
            counters: None,
            again: &self.again,
        }
        .ask(screen)?;

        let answers_silently = approved.approval.answers_silently == Some(true);
        let tested = Credential {
            answers_silently,
            ..credential.clone()
        };
        let (name, number) = self.record(&tested, key, proof)?;
        if let Some(counters) = &self.counters {
            approved.remember(counters, screen);
        }
        drop(approved);
        credential.name = name;
        credential.answers_silently = answers_silently;
        Ok((credential, number))
    }

    /// Writes the record, under a name that is still free; returns that, and
    /// how many keys the account has now.
    ///
    /// Without a screen: while we hold the store, a terminal that takes no
    /// more text (Ctrl-S, a pipe nobody reads) would hold it, too.
    fn record(
        &self,
        credential: &Credential,
        key: &FoundKey,
        proof: &Proof,
    ) -> Result<(CredentialName, usize), Failure> {
        let (lock, mut file) = machine::locked(&self.account, &self.store)?;
        if !proof.holds_for(&file) {
            return Err(Failure::new(
                format!("the keys of {} were changed meanwhile", self.account.name),
                format!(
                    "nothing was written; see them with `passkey list`, and run again: {}",
                    self.again
                ),
            ));
        }
        let taken: Vec<&CredentialName> = file.credentials().map(|it| &it.name).collect();
        let name = self.name(key, &taken)?;
        file.add(Credential {
            name: name.clone(),
            ..credential.clone()
        })
        .map_err(|problem| {
            cannot_add(
                &problem,
                &self.account,
                self.root,
                &self.wanted.but(|it| it.name = None).words(),
            )
        })?;
        let saved = self.store.save(&lock, &self.account, &file);
        saved.map_err(|problem| machine::unusable(&problem))?;
        Ok((name, file.credentials().count()))
    }

    /// What was done, where, and how to undo it.
    fn report(&self, enrolled: &Enrolled, screen: &mut Screen) -> Result<(), Failure> {
        screen.say(&format!("Written to {}.", enrolled.file));
        if enrolled.credential.synced {
            screen.say(
                "This key's credential can be copied to other devices; it is recorded as synced.",
            );
        }
        if self.wanted.touch_only {
            for line in touch_alone::advice(&self.config) {
                screen.say(&line);
            }
        }
        screen.report(enrolled)?;
        screen.say(&format!("Undo with: {}", enrolled.undo));
        Ok(())
    }

    fn undo(&self, name: &CredentialName) -> String {
        let remove = self.root.command("remove", &self.account);
        format!("{remove} {}", key_name::as_argument(name))
    }
}

/// `words`: the command without a name.
fn cannot_add(problem: &CannotAdd, account: &Account, root: Root, words: &str) -> Failure {
    let again = root.command(words, account);
    let what_to_do = match problem {
        CannotAdd::SameKey(_) => {
            format!("plug in another key, and run again: {again}")
        }
        CannotAdd::SameName(_) => format!(
            "see the names {} has with `passkey list`; choose another: {again} --name NAME",
            account.name
        ),
        CannotAdd::Full => {
            let remove = root.command("remove", account);
            format!("see them with `passkey list`, then: {remove} NAME")
        }
        CannotAdd::PublicKey(_) | CannotAdd::Unreadable(_) => {
            "nothing was written; take another key, and report this with what the key is".to_owned()
        }
    };
    Failure::new(problem.to_string(), what_to_do)
}

/// What was enrolled.
#[derive(Debug, Serialize)]
pub(crate) struct Enrolled {
    pub(crate) user: String,
    file: String,
    pub(crate) credential: Entry,
    attestation: &'static str,
    /// How many keys the account has now.
    pub(crate) number: usize,
    undo: String,
    /// Whose it is, and how we came to change it.
    #[serde(skip)]
    pub(crate) account: Account,
    #[serde(skip)]
    pub(crate) root: Root,
    #[serde(skip)]
    key: FoundKey,
}

impl Report for Enrolled {
    fn lines(&self, _: Ink) -> Vec<String> {
        let Entry {
            name,
            algorithm,
            aaguid,
            ..
        } = &self.credential;
        vec![
            format!("Enrolled \"{name}\" for {}.", self.user),
            format!(
                "Algorithm {algorithm}; attestation: {}; AAGUID {aaguid}",
                self.attestation
            ),
        ]
    }
}

/// What the attestation is worth; no more is claimed than was checked.
fn attestation_word(attestation: Kind) -> &'static str {
    match attestation {
        Kind::None => "none",
        Kind::PackedSelf => "self",
        Kind::PackedX5c => "certificate, not checked against a root",
        Kind::Unread => "of a kind that is not read here",
    }
}
