//! The files of a new SSH key: their places kept beforehand, and filled once it
//! is there.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::path::{Path, PathBuf};

use ceremony::attestation::NewCredential;
use ceremony::ssh_application::SshApplication;

use super::attestation;
use super::backup::Backup;
use super::directory;
use super::key_file::KeyFile;
use super::new_file::{self, CannotWrite, Existing, NewFile};
use super::pair::{NotFilled, Pair};
use super::passphrase::Passphrase;
use super::plan::Plan;
use crate::cli::ssh::Enroll;
use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;

/// Where they will be.
pub(super) struct Places {
    pair: Pair,
    attestation: Option<NewFile>,
    backup: Option<Backup>,
}

impl Places {
    /// Keeps them, or says what is in the way.
    pub(super) fn reserve(plan: &Plan<'_>) -> Result<Self, Failure> {
        let wanted = plan.wanted;
        if wanted.output.is_none() && wanted.spare_of.is_none() {
            new_file::make_directory(&directory::of_this_user()?)
                .map_err(|problem| in_the_way(&problem, plan))?;
        }
        let existing = Existing::by(wanted.force);
        let places = Self {
            pair: Pair::reserve(&plan.output, existing)
                .map_err(|problem| in_the_way(&problem, plan))?,
            attestation: match wanted.attestation.as_deref() {
                Some(path) => {
                    let cannot = |problem| attestation_in_the_way(&problem, plan);
                    let place = NewFile::reserve(path, existing).map_err(cannot)?;
                    // The challenge stands in it, in base64.
                    let longer = u32::try_from(plan.challenge.len() * 2).unwrap_or(u32::MAX);
                    place.make_room_beside(longer).map_err(cannot)?;
                    Some(place)
                }
                None => None,
            },
            backup: match &wanted.backup {
                Some(path) => {
                    let otherwise = wanted.but(|it| it.backup = None).words();
                    Some(Backup::reserve(
                        path,
                        &format!("{otherwise} --backup FILE"),
                    )?)
                }
                None => None,
            },
        };
        places.are_apart(plan)?;
        Ok(places)
    }

    /// No file is written over another of these, nor over the key that the new
    /// one is to be a spare for, whatever may be replaced.
    fn are_apart(&self, plan: &Plan<'_>) -> Result<(), Failure> {
        let backup = self.backup.as_ref().map(Backup::place);
        let all = [
            Some(&self.pair.private),
            Some(&self.pair.public),
            self.attestation.as_ref(),
            backup,
        ];
        let all: Vec<&NewFile> = all.into_iter().flatten().collect();
        let twice = (1..).zip(&all).find_map(|(next, one)| {
            let others = all.get(next..)?;
            others.iter().any(|other| one.is_at(other)).then_some(*one)
        });
        let shown = |place: &NewFile| quoted_if_need_be(&place.path().display().to_string());
        if let Some(place) = twice {
            return Err(Failure::new(
                format!("two files would be called {}", shown(place)),
                "give each of --output FILE (and FILE.pub), --attestation and --backup a name \
                 of its own",
            ));
        }
        let first = plan.wanted.spare_of.as_deref();
        if let Some(place) = first.and_then(|it| all.iter().find(|place| place.replaces(it))) {
            let elsewhere = plan.wanted.but(|it| it.output = None).words();
            return Err(Failure::new(
                format!(
                    "{} is the key that this is to be a spare for, and it would be lost",
                    shown(place)
                ),
                format!("choose another: {elsewhere} --output FILE"),
            ));
        }
        Ok(())
    }

    /// Writes them; the private key first, from which the others can be had.
    pub(super) fn fill(
        self,
        plan: &Plan<'_>,
        file: &KeyFile,
        made: &NewCredential<SshApplication>,
        passphrase: Option<&Passphrase>,
    ) -> Result<Written, Failure> {
        let written = Written {
            private: self.pair.private.path().to_owned(),
            public: self.pair.public.path().to_owned(),
            attestation: self.attestation.as_ref().map(|it| it.path().to_owned()),
            backup: plan.wanted.backup.clone(),
        };
        let incomplete = |problem: &dyn Display| incomplete(problem, &written.private);
        self.pair
            .fill(file, &plan.wanted.encryption, passphrase)
            .map_err(|problem| match problem {
                NotFilled::Public(problem) => incomplete(&problem),
                neither => lost(&neither, plan),
            })?;
        if let Some(place) = self.attestation {
            let contents = attestation::contents(made, &plan.challenge)
                .map_err(|problem| incomplete(&problem))?;
            place
                .fill(&contents, 0o644)
                .map_err(|problem| incomplete(&problem))?;
        }
        if let Some(backup) = self.backup {
            let private = quoted_if_need_be(&written.private.display().to_string());
            backup.add(file, &format!("passkey ssh backup {private} --to FILE"))?;
        }
        Ok(written)
    }
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
    pub(super) attestation: Option<PathBuf>,
    pub(super) backup: Option<PathBuf>,
}

fn in_the_way(problem: &CannotWrite, plan: &Plan<'_>) -> Failure {
    let elsewhere = plan.wanted.but(|it| {
        it.output = None;
        it.force = false;
    });
    let forced = plan.wanted.but(|it| it.force = true);
    problem.failure(
        &forced.words(),
        &format!("{} --output FILE", elsewhere.words()),
    )
}

/// The same of the attestation file, for which another --output is no help.
fn attestation_in_the_way(problem: &CannotWrite, plan: &Plan<'_>) -> Failure {
    let elsewhere = plan.wanted.but(|it| {
        it.attestation = None;
        it.force = false;
    });
    let forced = plan.wanted.but(|it| it.force = true);
    problem.failure(
        &forced.words(),
        &format!("{} --attestation FILE", elsewhere.words()),
    )
}

/// The security key has made the key, and its private-key file could not be
/// written.
fn lost(problem: &dyn Display, plan: &Plan<'_>) -> Failure {
    let what_to_do = if plan.flags.is_resident() {
        "the security key keeps the key itself; write its files elsewhere: \
         passkey ssh import DIRECTORY"
            .to_owned()
    } else {
        format!("nothing is left of that key; make another: {}", plan.again)
    };
    Failure::new(problem.to_string(), what_to_do)
}

/// The private-key file stands, and what should stand beside it does not.
fn incomplete(problem: &dyn Display, private: &Path) -> Failure {
    let private = quoted_if_need_be(&private.display().to_string());
    Failure::new(
        problem.to_string(),
        format!("the key itself is made, and in {private}: passkey ssh show {private}"),
    )
}

/// Whether ssh tries a private key of this name by itself.
pub(super) fn is_tried_by_itself(path: &Path, wanted: &Enroll) -> bool {
    directory::of_this_user()
        .is_ok_and(|it| path == it.join(directory::usual_name(wanted.key_type.into())))
}
