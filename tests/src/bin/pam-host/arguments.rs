//! The command line of pam-host.

#![forbid(unsafe_code)]

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;

use crate::libpam::Item;

/// After which call the host stops, once, for whoever wants to look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopAfter {
    Authenticate,
    End,
}

#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Arguments {
    pub(crate) service: CString,
    pub(crate) user: CString,
    pub(crate) confdir: Option<CString>,
    pub(crate) items: Vec<(Item, CString)>,
    /// `pam_authenticate` is called so often, or until it succeeds.
    pub(crate) calls: usize,
    /// The whole transaction, from `pam_start` to `pam_end`, takes place so often.
    pub(crate) logins: usize,
    pub(crate) setcred: bool,
    pub(crate) block_interrupts: bool,
    pub(crate) aloud: bool,
    pub(crate) stop_after: Option<StopAfter>,
    /// Leaves a copy of each answer on the heap, freed but not wiped.
    pub(crate) litter: bool,
    /// Takes the locale from the environment.
    pub(crate) locale: bool,
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let (mut service, mut user) = (None, None);
        let mut parsed = Self {
            calls: 1,
            logins: 1,
            ..Self::default()
        };
        while let Some(option) = arguments.next() {
            let mut value = || {
                // Bytes, not text: a name need not be UTF-8.
                let value = arguments
                    .next()
                    .ok_or_else(|| format!("{} needs a value", option.display()))?;
                CString::new(value.into_vec()).map_err(|_| "no value has a NUL".to_owned())
            };
            match option.to_str().unwrap_or_default() {
                "--service" => service = Some(value()?),
                "--user" => user = Some(value()?),
                "--confdir" => parsed.confdir = Some(value()?),
                "--rhost" => parsed.items.push((Item::Rhost, value()?)),
                "--tty" => parsed.items.push((Item::Tty, value()?)),
                "--ruser" => parsed.items.push((Item::Ruser, value()?)),
                "--calls" => parsed.calls = number(&value()?)?,
                "--logins" => parsed.logins = number(&value()?)?,
                "--setcred" => parsed.setcred = true,
                "--aloud" => parsed.aloud = true,
                "--block-interrupts" => parsed.block_interrupts = true,
                "--stop-after-authenticate" => parsed.stop_after = Some(StopAfter::Authenticate),
                "--stop-after-end" => parsed.stop_after = Some(StopAfter::End),
                "--litter" => parsed.litter = true,
                "--locale" => parsed.locale = true,
                _ => return Err(format!("{} is no option", option.display())),
            }
        }
        parsed.service = service.ok_or("--service is missing")?;
        parsed.user = user.ok_or("--user is missing")?;
        Ok(parsed)
    }
}

fn number(text: &CStr) -> Result<usize, String> {
    let number = text.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{text:?} is no number"))
}
