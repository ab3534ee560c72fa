//! In the worker: the only file that touches ctap-hid-fido2.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use base16ct::lower::{decode_vec, encode_string};
use ceremony::authenticator::hidraw;
use ceremony::credential::printable;
use ctap_hid_fido2::fidokey::FidoKeyHid;
use ctap_hid_fido2::fidokey::credential_management::credential_management_params::{
    Credential, CredentialProtectionPolicy, Rp,
};
use ctap_hid_fido2::public_key::PublicKeyType;
use ctap_hid_fido2::public_key_credential_descriptor::PublicKeyCredentialDescriptor;
use ctap_hid_fido2::public_key_credential_user_entity::PublicKeyCredentialUserEntity;
use ctap_hid_fido2::{Cfg, FidoKeyHidFactory, HidParam};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdout, getppid};
use zeroize::Zeroizing;

use super::lines::{
    Failed, Fingerprint, HeldCredential, HeldForSsh, HeldKind, HeldSshKey, Line, Outcome, Request,
    Work,
};
use crate::failure::Failure;

/// The longest request. It holds two PINs, an id and a name.
const LONGEST_REQUEST: u64 = 64 * 1024;

/// How long the sensor waits for one touch.
const SAMPLE_MS: u16 = 10_000;

/// How often in a row nobody need touch the sensor before we give up.
const MOST_IDLE: u8 = 3;

/// `CTAP2_ENROLL_FEEDBACK_NO_USER_ACTIVITY` (CTAP 2.1 §6.7.4).
const NO_USER_ACTIVITY: u8 = 0x0d;

/// `CTAP2_ERR_NO_CREDENTIALS`: how a key says that it keeps none.
const NO_CREDENTIALS: u8 = 0x2e;

/// `CTAP2_ERR_INVALID_OPTION`: how a key says that it knows no finger.
const NO_FINGERPRINTS: u8 = 0x2c;

/// Does what the request on stdin asks, and says on stdout what came of it.
pub(crate) fn work() -> Result<(), Failure> {
    let failed = |problem: &dyn Display| {
        Failure::new(
            format!("the worker could not begin: {problem}"),
            "run the command again that started it",
        )
    };
    // Whoever waits for us may be killed; a key must not be left to us then.
    // Before we look who that is, or who died before this would not be missed.
    set_pdeathsig(Signal::SIGKILL).map_err(|problem| failed(&problem))?;
    if !started_by_passkey() {
        return Err(Failure::new(
            "the worker is started by passkey and by nobody else",
            "see what you can do with a key: passkey key --help",
        ));
    }
    // A core would have a PIN in it.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|problem| failed(&problem))?;
    let mut lines = Lines::take_stdout().map_err(|problem| failed(&problem))?;
    let request = request().map_err(|problem| failed(&problem))?;
    let last = match perform(&request, &mut lines) {
        Ok(outcome) => Line::Done(outcome),
        Err(why) => Line::Failed(why),
    };
    lines.say(&last);
    Ok(())
}

/// Whether both ends are pipes and our parent is the same program as we are.
fn started_by_passkey() -> bool {
    let is_pipe = |name: &str| {
        let status = fs::metadata(format!("/proc/self/fd/{name}"));
        status.is_ok_and(|status| status.file_type().is_fifo())
    };
    let program = |process: &str| {
        let status = fs::metadata(format!("/proc/{process}/exe"));
        status.ok().map(|status| (status.dev(), status.ino()))
    };
    let ours = program("self");
    is_pipe("0") && is_pipe("1") && ours.is_some() && program(&getppid().to_string()) == ours
}

fn request() -> io::Result<Request> {
    // Allocated once: a growing buffer would leave copies, and only the heap's
    // own forgetting would wipe them.
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    io::stdin().take(LONGEST_REQUEST).read_to_end(&mut line)?;
    // Its errors quote nothing of the line.
    serde_json::from_slice(&line).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Where our lines go, and nobody else's: what the crate prints goes nowhere.
struct Lines(File);

impl Lines {
    fn take_stdout() -> io::Result<Self> {
        let ours = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let nowhere = File::options().write(true).open("/dev/null")?;
        dup2_stdout(&nowhere)?;
        dup2_stderr(&nowhere)?;
        Ok(Self(ours))
    }

    /// Says `line`. Where nobody reads any more there is nothing left to do.
    fn say(&mut self, line: &Line) {
        let Ok(mut text) = serde_json::to_string(line) else {
            std::process::exit(1);
        };
        text.push('\n');
        if self.0.write_all(text.as_bytes()).is_err() {
            std::process::exit(1);
        }
    }
}

type Performed = Result<Outcome, Failed>;

fn perform(request: &Request, lines: &mut Lines) -> Performed {
    // The node must still be that key's: it is about to be given a PIN.
    let found = hidraw::find()
        .into_iter()
        .find(|key| key.node == request.node && key.to_string() == request.key)
        .ok_or(Failed::Gone)?;
    drop(found.open().map_err(|_| Failed::Gone)?);
    let mut configuration = Cfg::init();
    configuration.enable_log = false;
    configuration.enable_keep_alive_msg = false;
    configuration.use_pre_bio_enrollment = request.preview;
    configuration.use_pre_credential_management = request.preview;
    let node = request.node.to_str().ok_or(Failed::Gone)?;
    let key = FidoKeyHidFactory::create_by_params(&[HidParam::Path(node.into())], &configuration)
        .map_err(|_| Failed::Gone)?
        .with_pin_protocol_version(request.protocol);
    let channel = key.get_cid().map_err(|problem| why(&problem))?;
    lines.say(&Line::Channel(channel));
    match &request.work {
        Work::SetPin { new } => nothing(key.set_new_pin(new.text())),
        Work::ChangePin { old, new } => nothing(key.change_pin(old.text(), new.text())),
        Work::ListCredentials { pin } => list_credentials(&key, pin.text()),
        Work::RemoveCredential { pin, id } => {
            let credential = descriptor(id)?;
            nothing(key.credential_management_delete_credential(Some(pin.text()), credential))
        }
        Work::ListSshKeys { pin } => list_ssh_keys(&key, pin.text()),
        Work::RenameCredential {
            pin,
            id,
            user_id,
            name,
        } => {
            let credential = descriptor(id)?;
            let user =
                PublicKeyCredentialUserEntity::new(Some(&bytes(user_id)?), Some(name), Some(name));
            nothing(key.credential_management_update_user_information(
                Some(pin.text()),
                credential,
                user,
            ))
        }
        Work::ListFingerprints { pin } => list_fingerprints(&key, pin.text()),
        Work::AddFingerprint { pin, name } => {
            add_fingerprint(&key, pin.text(), name.as_deref(), lines)
        }
        Work::RenameFingerprint { pin, id, name } => {
            nothing(key.bio_enrollment_set_friendly_name(pin.text(), &bytes(id)?, name))
        }
        Work::RemoveFingerprint { pin, id } => {
            nothing(key.bio_enrollment_remove(pin.text(), &bytes(id)?))
        }
    }
}

fn descriptor(id: &str) -> Result<PublicKeyCredentialDescriptor, Failed> {
    Ok(PublicKeyCredentialDescriptor {
        id: bytes(id)?,
        ctype: "public-key".into(),
    })
}

/// The relying parties for which it keeps anything.
fn parties(key: &FidoKeyHid, pin: &str) -> Result<Vec<Rp>, Failed> {
    match key.credential_management_enumerate_rps(Some(pin)) {
        Ok(parties) => Ok(parties),
        Err(problem) => match why(&problem) {
            Failed::Status(NO_CREDENTIALS) => Ok(Vec::new()),
            other => Err(other),
        },
    }
}

fn credentials_of(key: &FidoKeyHid, pin: &str, party: &Rp) -> Result<Vec<Credential>, Failed> {
    key.credential_management_enumerate_credentials(Some(pin), &party.rpid_hash)
        .map_err(|problem| why(&problem))
}

fn list_credentials(key: &FidoKeyHid, pin: &str) -> Performed {
    let mut held = Vec::new();
    for party in parties(key, pin)? {
        let credentials = credentials_of(key, pin, &party)?;
        let rp_id = printable(&party.public_key_credential_rp_entity.id, 255);
        held.extend(credentials.into_iter().map(|credential| {
            let user = credential.public_key_credential_user_entity;
            HeldCredential {
                id: encode_string(&credential.public_key_credential_descriptor.id),
                rp_id: rp_id.clone(),
                user_name: shown(&user.name),
                user_display_name: shown(&user.display_name),
            }
        }));
    }
    Ok(Outcome::Credentials(held))
}

/// What it keeps for SSH. Others' credentials are not asked for, and one relying
/// party that cannot be listed does not hide the next.
fn list_ssh_keys(key: &FidoKeyHid, pin: &str) -> Performed {
    let mut held = HeldForSsh::default();
    for party in parties(key, pin)? {
        let rp_id = &party.public_key_credential_rp_entity.id;
        if !is_of_ssh(rp_id) {
            continue;
        }
        match credentials_of(key, pin, &party) {
            Ok(credentials) => held
                .keys
                .extend(credentials.iter().map(|it| for_ssh(&party, it))),
            Err(Failed::Status(status)) => {
                let why = format!("it answers with status 0x{status:02x}");
                held.not_listed.push((rp_id.clone(), why));
            }
            Err(Failed::Words(why)) => held.not_listed.push((rp_id.clone(), why)),
            Err(other) => return Err(other),
        }
    }
    // What a key does not say need not hide what it keeps.
    let room = key.credential_management_get_creds_metadata(Some(pin));
    held.slots_left = room
        .ok()
        .map(|room| room.max_possible_remaining_resident_credentials_count);
    Ok(Outcome::SshKeys(held))
}

/// Whether a relying party is SSH's, as OpenSSH sees it: in whatever case.
fn is_of_ssh(rp_id: &str) -> bool {
    rp_id
        .get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("ssh:"))
}

fn for_ssh(party: &Rp, credential: &Credential) -> HeldSshKey {
    let user = &credential.public_key_credential_user_entity;
    HeldSshKey {
        id: credential.public_key_credential_descriptor.id.clone(),
        rp_id: party.public_key_credential_rp_entity.id.clone(),
        rp_id_hash: party.rpid_hash.clone(),
        user_id: user.id.clone(),
        user_name: user.name.clone(),
        user_display_name: user.display_name.clone(),
        kind: match credential.public_key.key_type {
            PublicKeyType::Ecdsa256 => HeldKind::Ec2,
            PublicKeyType::Ed25519 => HeldKind::Okp,
            PublicKeyType::Unknown => HeldKind::Other,
        },
        public_key: credential.public_key.der.clone(),
        cred_protect: match credential.cred_protect {
            CredentialProtectionPolicy::Unknown => 0,
            CredentialProtectionPolicy::UserVerificationOptional => 1,
            CredentialProtectionPolicy::UserVerificationOptionalWithCredentialIdList => 2,
            CredentialProtectionPolicy::UserVerificationRequired => 3,
        },
    }
}

fn list_fingerprints(key: &FidoKeyHid, pin: &str) -> Performed {
    match key.bio_enrollment_enumerate_enrollments(pin) {
        Ok(known) => {
            let known = known.iter().map(|template| Fingerprint {
                id: encode_string(&template.template_id),
                name: shown(
                    template
                        .template_friendly_name
                        .as_deref()
                        .unwrap_or_default(),
                ),
            });
            Ok(Outcome::Fingerprints(known.collect()))
        }
        Err(problem) => match why(&problem) {
            Failed::Status(NO_FINGERPRINTS) => Ok(Outcome::Fingerprints(Vec::new())),
            other => Err(other),
        },
    }
}

fn add_fingerprint(
    key: &FidoKeyHid,
    pin: &str,
    name: Option<&str>,
    lines: &mut Lines,
) -> Performed {
    let sensor = key
        .bio_enrollment_get_fingerprint_sensor_info()
        .map_err(|problem| why(&problem))?;
    if let Some(name) = name
        && name.len() > sensor.max_template_friendly_name as usize
    {
        return Err(Failed::Words(format!(
            "it takes names of at most {} bytes",
            sensor.max_template_friendly_name
        )));
    }
    lines.say(&Line::Sensor {
        samples: sensor.max_capture_samples_required_for_enroll,
    });
    let (begun, mut sample) = key
        .bio_enrollment_begin(pin, Some(SAMPLE_MS))
        .map_err(|problem| why(&problem))?;
    let mut idle = 0;
    loop {
        lines.say(&Line::Sample {
            status: sample.status,
            remaining: sample.remaining_samples,
        });
        if sample.is_finish {
            break;
        }
        idle = match sample.status {
            NO_USER_ACTIVITY => idle + 1,
            _ => 0,
        };
        let next = if idle < MOST_IDLE {
            key.bio_enrollment_next(&begun, Some(SAMPLE_MS))
                .map_err(|problem| why(&problem))
        } else {
            Err(Failed::NoFinger)
        };
        match next {
            Ok(next) => sample = next,
            Err(failed) => {
                // What it has learnt so far is of no use to anybody.
                let _ = key.bio_enrollment_cancel();
                return Err(failed);
            }
        }
    }
    if let Some(name) = name {
        key.bio_enrollment_set_friendly_name(pin, &begun.template_id, name)
            .map_err(|problem| why(&problem))?;
    }
    Ok(Outcome::Fingerprints(vec![Fingerprint {
        id: encode_string(&begun.template_id),
        name: shown(name.unwrap_or_default()),
    }]))
}

fn nothing<E: Display>(done: Result<(), E>) -> Performed {
    done.map(|()| Outcome::Nothing)
        .map_err(|problem| why(&problem))
}

/// Why it failed, by the crate's words: it knows no error but a text, in which
/// the status stands first.
fn why(problem: &dyn Display) -> Failed {
    let text = problem.to_string();
    if let Some((_, status)) = text.split_once("response_status err = 0x") {
        let digits: String = status.chars().take_while(char::is_ascii_hexdigit).collect();
        if let Ok(status) = u8::from_str_radix(&digits, 16) {
            return Failed::Status(status);
        }
    }
    if text.starts_with("read err") || text.starts_with("write err") {
        return Failed::Gone;
    }
    if text.starts_with("Nonce") {
        return Failed::Disturbed;
    }
    Failed::Words(format!(
        "its answer is malformed ({})",
        printable(&text, 100)
    ))
}

/// Words of a key, made fit to be shown.
fn shown(text: &str) -> String {
    printable(text, 64)
}

fn bytes(hexadecimal: &str) -> Result<Vec<u8>, Failed> {
    decode_vec(hexadecimal).map_err(|_| Failed::Words("an id that is none".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_out_of_the_crates_words() {
        let text = "response_status err = 0x31 CTAP2_ERR_PIN_INVALID   PIN Invalid.";
        assert!(matches!(why(&text), Failed::Status(0x31)));
        assert!(matches!(
            why(&"response_status err = 0xF2"),
            Failed::Status(0xf2)
        ));
        assert!(matches!(why(&"read err = 0xFE"), Failed::Gone));
        assert!(matches!(why(&"write error"), Failed::Gone));
        assert!(matches!(
            why(&"Nonce verification failed"),
            Failed::Disturbed
        ));
        assert!(matches!(why(&"ciborium parse error"), Failed::Words(_)));
    }

    #[test]
    fn what_is_of_ssh_begins_so_in_whatever_case() {
        for rp_id in ["ssh:", "ssh:work", "SSH:work", "ssh:\u{1b}[2J"] {
            assert!(is_of_ssh(rp_id), "{rp_id:?}");
        }
        for rp_id in ["", "ssh", "ssh.example", "pam://laptop", "ßß:"] {
            assert!(!is_of_ssh(rp_id), "{rp_id:?}");
        }
    }
}
