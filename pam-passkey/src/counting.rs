//! Signature counters around one login: read before the request, raised after
//! the answer.
//!
//! Where policy only warns of a counter that has not grown, one that cannot be
//! kept is a line in the log. Where policy refuses, it refuses that as well:
//! else whoever makes a write fail would have switched the rule off.
#![forbid(unsafe_code)]

use ceremony::assertion::Candidate;
use ceremony::authentication::Approval;
use ceremony::credential::Credential;
use ceremony::policy::CounterRule;
use ceremony::signature_counter::{CounterError, SignatureCounters};

use crate::log::Log;

/// The counters, and what it means when they fail.
pub(crate) struct Counting {
    rule: CounterRule,
    counters: Option<SignatureCounters>,
}

impl Counting {
    /// Opens the counters.
    pub(crate) fn begin(rule: CounterRule, log: &mut Log) -> Result<Self, CounterError> {
        let counters = match SignatureCounters::open() {
            Ok(counters) => Some(counters),
            Err(problem) => {
                failed(rule, problem, log)?;
                None
            }
        };
        Ok(Self { rule, counters })
    }

    /// A credential with the largest counter seen so far.
    pub(crate) fn candidate<'c>(
        &self,
        credential: &'c Credential,
        log: &mut Log,
    ) -> Result<Candidate<'c>, CounterError> {
        let stored_counter = match self.counters.as_ref().map(|it| it.read(credential)) {
            None => None,
            Some(Ok(stored)) => stored,
            Some(Err(problem)) => {
                failed(self.rule, problem, log)?;
                None
            }
        };
        Ok(Candidate {
            credential,
            stored_counter,
        })
    }

    /// Raises the stored counter, for keys that keep one.
    pub(crate) fn remember(
        &self,
        approval: &Approval<'_>,
        log: &mut Log,
    ) -> Result<(), CounterError> {
        let verified = &approval.verified;
        match &self.counters {
            Some(counters) if verified.sign_count > 0 => counters
                .raise(verified.credential, verified.sign_count)
                .or_else(|problem| failed(self.rule, problem, log)),
            _ => Ok(()),
        }
    }
}

fn failed(rule: CounterRule, problem: CounterError, log: &mut Log) -> Result<(), CounterError> {
    match rule {
        CounterRule::Refuse => Err(problem),
        CounterRule::Warn => {
            let line = format!("a signature counter is not kept: {problem}");
            // A screen locker that runs as the user never can; root always
            // should.
            if nix::unistd::geteuid().is_root() {
                log.warning(&line);
            } else {
                log.info(&line);
            }
            Ok(())
        }
    }
}
