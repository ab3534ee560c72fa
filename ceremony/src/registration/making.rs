//! The key's side of the registration ceremony.
#![forbid(unsafe_code)]

use crate::attestation::{self, NewCredential};
use crate::authenticator::client_pin::{PinUvAuthParam, PinUvAuthProtocol};
use crate::authenticator::ctap2::{
    self, AttestationObject, Discovered, GetAssertion, Info, MakeCredential, Permission, Status,
    UserPresence,
};
use crate::authenticator::ctaphid::LARGEST_MESSAGE;
use crate::authenticator::dialogue::{Dialogue, Step};
use crate::authenticator::verification::{
    Authorization, Progress, Proof, Verification, built_in_failed,
};
use crate::authenticator::{Gesture, NoPin};
use crate::credential::{CredentialId, CredentialName, UserVerification};
use crate::pin::Pin;
use crate::relying_party::RelyingParty;

use super::{Discoverable, Refused, Wanted, random_bytes};

/// The key's side of the ceremony.
pub(super) struct Making<'w, R> {
    wanted: &'w Wanted<'w, R>,
    client_data_hash: [u8; 32],
    info: Option<Info>,
    /// The ids to exclude, as many to a list as the key takes; the first list
    /// goes into the request itself.
    exclude: Vec<Vec<&'w CredentialId>>,
    verification: Option<Verification<'w>>,
    stage: Stage,
}

/// What the key was last asked.
enum Stage {
    /// What it takes.
    Informing,
    /// Whether it holds one of those ids that do not fit into the request.
    Excluding,
    /// Who its person is.
    Verifying,
    /// Whether it keeps a credential that would be lost; how many of its answers
    /// are still to come, once it has said so.
    Looking {
        authorization: Option<Authorization>,
        left: Option<u64>,
    },
    /// To make the credential; whether by the way it was to check its person.
    Making { built_in: bool },
}

type Next<R> = Step<NewCredential<R>, Refused>;

impl<R: RelyingParty> Dialogue for Making<'_, R> {
    type Outcome = NewCredential<R>;
    type Dropped = Refused;

    fn begin(&mut self) -> Next<R> {
        Step::Ask(Info::request())
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next<R> {
        match (&self.stage, answer) {
            (Stage::Verifying, answer) => self.verify_by(|it| it.answered(answer)),
            (Stage::Informing, Ok(data)) => self.informed(data),
            (Stage::Making { .. }, Ok(data)) => self.judge(data),
            (Stage::Making { built_in: true }, Err(failed)) if built_in_failed(failed) => {
                self.verify_by(|it| it.built_in_refused(failed))
            }
            // What it says of itself is not always so.
            (Stage::Making { .. }, Err(Status::UnsupportedOption)) if self.keeps_it() => {
                Step::Drop(Refused::CannotKeep)
            }
            (Stage::Looking { .. }, answer) => self.looked(answer),
            (Stage::Excluding, Ok(_)) => Step::Drop(Refused::AlreadyEnrolled),
            // It has none of these, or does not say so silently.
            (Stage::Excluding, Err(_)) => self.exclude(),
            (_, Err(status)) => Step::Drop(Refused::from(status)),
        }
    }

    fn choose(&mut self) -> Next<R> {
        self.verify_by(Verification::choose)
    }

    fn chosen(&mut self) -> Next<R> {
        self.verify_by(Verification::chosen)
    }

    fn pin(&mut self, pin: Result<Pin, NoPin>) -> Next<R> {
        self.verify_by(|it| it.pin(pin))
    }

    fn waits_for(&self) -> Option<Gesture> {
        match (&self.stage, &self.verification) {
            (Stage::Verifying | Stage::Making { built_in: true }, Some(it)) => it.waits_for(),
            (Stage::Making { .. }, _) => Some(Gesture::Touch),
            (Stage::Informing | Stage::Excluding | Stage::Looking { .. } | Stage::Verifying, _) => {
                None
            }
        }
    }

    fn proven(&self) -> Option<&CredentialName> {
        None
    }
}

impl<'w, R: RelyingParty> Making<'w, R> {
    /// At a key that has not been asked anything yet.
    pub(super) fn new(wanted: &'w Wanted<'w, R>, client_data_hash: [u8; 32]) -> Self {
        Self {
            wanted,
            client_data_hash,
            info: None,
            exclude: Vec::new(),
            verification: None,
            stage: Stage::Informing,
        }
    }

    fn informed(&mut self, data: &[u8]) -> Next<R> {
        let info = match Info::parse(data) {
            Ok(info) => info,
            Err(problem) => return Step::Drop(Refused::Faulty(problem.to_string())),
        };
        if !info.versions.fido2 {
            return Step::Drop(Refused::OnlyU2f);
        }
        if !info.supports(self.wanted.algorithm) {
            return Step::Drop(Refused::UnsupportedAlgorithm);
        }
        // CTAP 2.1 §6.4: `rk` is false where nothing is said.
        if self.keeps_it() && !info.options.rk {
            return Step::Drop(Refused::CannotKeep);
        }
        if self.wanted.protection.is_some() && !info.cred_protect {
            return Step::Drop(Refused::CannotProtect);
        }
        self.exclude = self.exclude_lists(&info);
        self.info = Some(info);
        self.exclude()
    }

    /// Whether the key is to keep the credential itself.
    fn keeps_it(&self) -> bool {
        self.wanted.discoverable != Discoverable::No
    }

    /// All ids to exclude, in lists that this key takes.
    fn exclude_lists(&self, info: &Info) -> Vec<Vec<&'w CredentialId>> {
        // The longest request that any of them may go into.
        let longest = PinUvAuthParam {
            protocol: PinUvAuthProtocol::Two,
            mac: vec![0; 32],
        };
        let fits = |ids: &[&CredentialId]| {
            let message = self.request(ids, ctap2::Verification::Token(&longest));
            let most = info.max_credential_count_in_list.unwrap_or(usize::MAX);
            let bytes = info.max_msg_size.min(LARGEST_MESSAGE);
            ids.len() <= most && message.is_some_and(|message| message.len() <= bytes)
        };
        let mut lists: Vec<Vec<&'w CredentialId>> = Vec::new();
        for &id in self.wanted.exclude {
            if let Some(list) = lists.last_mut() {
                list.push(id);
                if fits(list) {
                    continue;
                }
                list.pop();
            }
            // One that does not fit alone cannot be this key's.
            if fits(&[id]) {
                lists.push(vec![id]);
            }
        }
        lists
    }

    /// Looks for the ids of every list but the first, one list after the other,
    /// before anything is asked of the person.
    fn exclude(&mut self) -> Next<R> {
        let list = match self.exclude.len() {
            0 | 1 => return self.verify_or_make(),
            _ => self.exclude.pop().unwrap_or_default(),
        };
        let worthless = match random_bytes() {
            Ok(worthless) => worthless,
            Err(refused) => return Step::Drop(refused),
        };
        self.stage = Stage::Excluding;
        let probe = GetAssertion {
            rp_id: self.wanted.relying_party.id(),
            client_data_hash: worthless,
            allow_list: &list,
            user_presence: UserPresence::Silent,
            verification: ctap2::Verification::None,
        };
        Step::ask_or_drop(probe.request(), unwritten)
    }

    fn verify_or_make(&mut self) -> Next<R> {
        let Some(info) = &self.info else {
            return Step::Drop(unwritten());
        };
        if !self.needs_verification(info) {
            return self.look_or_make(None);
        }
        // Nothing can be proven by a key that is not enrolled yet; its person
        // has just named it.
        let permission = match self.wanted.discoverable {
            Discoverable::UnlessTaken => Permission::LookAndMakeCredential,
            Discoverable::No | Discoverable::Yes => Permission::MakeCredential,
        };
        let verification =
            Verification::new(info, permission, self.wanted.relying_party.id(), None);
        self.verification = Some(verification);
        self.verify_by(Verification::begin)
    }

    /// CTAP 2.1 §6.1.2: a key that can verify its person wants to, unless it
    /// says otherwise of credentials that it need not keep.
    fn needs_verification(&self, info: &Info) -> bool {
        let options = info.options;
        let protected = options.client_pin || options.uv;
        let not_required =
            options.make_cred_uv_not_rqd && self.wanted.discoverable == Discoverable::No;
        self.wanted.user_verification == UserVerification::Required
            || options.always_uv
            || (protected && !not_required)
    }

    fn verify_by(&mut self, step: impl FnOnce(&mut Verification<'w>) -> Progress) -> Next<R> {
        self.stage = Stage::Verifying;
        match self.verification.as_mut().map(step) {
            Some(Progress::Ask(message)) => Step::Ask(message),
            Some(Progress::Ready) => Step::Ready,
            Some(Progress::Chosen) => Step::Chosen,
            Some(Progress::AskPin(question)) => Step::AskPin(question),
            Some(Progress::Verified(authorization)) => self.look_or_make(Some(authorization)),
            Some(Progress::Failed(why)) => Step::Drop(match why.by_the_person() {
                Some(status) => Refused::from(status),
                None => Refused::CannotVerify(why),
            }),
            None => Step::Drop(Refused::Faulty("it answered what nobody asked".to_owned())),
        }
    }

    /// Looks whether a credential would be lost, where that must not be.
    fn look_or_make(&mut self, authorization: Option<Authorization>) -> Next<R> {
        if self.wanted.discoverable != Discoverable::UnlessTaken {
            return self.make(authorization.as_ref());
        }
        let worthless = match random_bytes() {
            Ok(worthless) => worthless,
            Err(refused) => return Step::Drop(refused),
        };
        // Where the key checks its person by itself, it would do so twice.
        let by_token = authorization
            .as_ref()
            .filter(|it| matches!(it, Authorization::Token(_)));
        let Some(proof) = Proof::of(by_token, &worthless) else {
            return Step::Drop(unwritten());
        };
        let look = GetAssertion {
            rp_id: self.wanted.relying_party.id(),
            client_data_hash: worthless,
            allow_list: &[],
            user_presence: UserPresence::Silent,
            verification: proof.as_member(),
        };
        let message = look.request();
        self.stage = Stage::Looking {
            authorization,
            left: None,
        };
        Step::ask_or_drop(message, unwritten)
    }

    /// Reads one of the credentials that the key keeps.
    fn looked(&mut self, answer: Result<&[u8], Status>) -> Next<R> {
        let Stage::Looking {
            authorization,
            left,
        } = std::mem::replace(&mut self.stage, Stage::Verifying)
        else {
            return Step::Drop(unwritten());
        };
        let found = match answer {
            Ok(data) => Discovered::parse(data),
            Err(Status::NoCredentials) => return self.make_unless_hidden(authorization.as_ref()),
            Err(_) => return Step::Drop(Refused::PerhapsTaken),
        };
        let found = match found {
            Ok(found) => found,
            Err(problem) => return Step::Drop(Refused::Faulty(problem.to_string())),
        };
        if found.user_id == self.wanted.user_id {
            return Step::Drop(Refused::Taken);
        }
        // CTAP 2.1 §6.2.2 lets no key leave it out; some do.
        if found.user_id.is_empty() {
            return Step::Drop(Refused::PerhapsTaken);
        }
        // Only the first answer says how many there are.
        let left = left.unwrap_or(found.number).saturating_sub(1);
        if left == 0 {
            return self.make_unless_hidden(authorization.as_ref());
        }
        self.stage = Stage::Looking {
            authorization,
            left: Some(left),
        };
        Step::Ask(GetAssertion::next())
    }

    /// Makes it, now that no credential was found that would be lost.
    fn make_unless_hidden(&mut self, authorization: Option<&Authorization>) -> Next<R> {
        // It was asked without knowing its person, and hides from strangers what
        // credProtect guards (CTAP 2.1 §12.1): as SSH keys are guarded.
        if matches!(authorization, Some(Authorization::BuiltIn)) {
            return Step::Drop(Refused::PerhapsTaken);
        }
        self.make(authorization)
    }

    fn make(&mut self, authorization: Option<&Authorization>) -> Next<R> {
        let Some(proof) = Proof::of(authorization, &self.client_data_hash) else {
            return Step::Drop(unwritten());
        };
        self.stage = Stage::Making {
            built_in: matches!(proof, Proof::BuiltIn),
        };
        let exclude = self.exclude.first().map_or(&[][..], Vec::as_slice);
        Step::ask_or_drop(self.request(exclude, proof.as_member()), unwritten)
    }

    fn request(
        &self,
        exclude: &[&CredentialId],
        verification: ctap2::Verification<'_>,
    ) -> Option<Vec<u8>> {
        MakeCredential {
            client_data_hash: self.client_data_hash,
            rp_id: self.wanted.relying_party.id(),
            user_name: self.wanted.user_name,
            user_id: self.wanted.user_id,
            algorithm: self.wanted.algorithm,
            exclude_list: exclude,
            discoverable: self.keeps_it(),
            protection: self.wanted.protection,
            verification,
        }
        .request()
    }

    fn judge(&self, data: &[u8]) -> Next<R> {
        let object = match AttestationObject::parse(data) {
            Ok(object) => object,
            Err(problem) => return Step::Drop(Refused::Faulty(problem.to_string())),
        };
        let verdict = attestation::verify(
            &object,
            &self.client_data_hash,
            self.wanted.relying_party,
            self.wanted.algorithm,
            self.wanted.protection,
        );
        match verdict {
            Err(refusal) => Step::Drop(Refused::Invalid(refusal)),
            Ok(credential)
                if self.wanted.user_verification == UserVerification::Required
                    && !credential.flags.user_verified() =>
            {
                Step::Drop(Refused::NotVerified)
            }
            Ok(credential) => Step::Win(credential),
        }
    }
}

fn unwritten() -> Refused {
    Refused::Faulty(ctap2::Malformed("the request could not be written").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::ctap2::CredentialProtection;
    use crate::public_key::Algorithm;
    use crate::relying_party::RelyingPartyId;
    use crate::test_key::TestKey;

    const HASH: [u8; 32] = [0x77; 32];

    fn wanted<'a>(
        relying_party: &'a RelyingPartyId,
        exclude: &'a [&'a CredentialId],
    ) -> Wanted<'a> {
        Wanted {
            relying_party,
            user_name: "alice",
            user_id: &[0x11; 32],
            algorithm: Algorithm::Es256,
            exclude,
            discoverable: Discoverable::No,
            user_verification: UserVerification::Discouraged,
            protection: None,
            challenge: &[],
        }
    }

    fn making<'w, R: RelyingParty>(wanted: &'w Wanted<'w, R>) -> Making<'w, R> {
        Making::new(wanted, HASH)
    }

    #[test]
    fn a_key_that_can_verify_does_so_unless_it_and_the_credential_need_not() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let touch_alone = wanted(&laptop, &[]);
        let discoverable = Wanted {
            discoverable: Discoverable::Yes,
            ..touch_alone.clone()
        };
        let required = Wanted {
            user_verification: UserVerification::Required,
            ..touch_alone.clone()
        };
        let needed = |wanted: &Wanted<'_>, change: fn(&mut Info)| {
            let mut info = Info::default();
            change(&mut info);
            making(wanted).needs_verification(&info)
        };
        assert!(!needed(&touch_alone, |_| ()));
        assert!(needed(&required, |_| ()));
        assert!(needed(&touch_alone, |it| it.options.always_uv = true));
        assert!(needed(&touch_alone, |it| it.options.client_pin = true));
        assert!(needed(&touch_alone, |it| it.options.uv = true));
        let not_required = |it: &mut Info| {
            it.options.client_pin = true;
            it.options.make_cred_uv_not_rqd = true;
        };
        assert!(!needed(&touch_alone, not_required));
        assert!(needed(&discoverable, not_required));
        assert!(needed(&required, not_required));
    }

    #[test]
    fn a_key_that_was_to_verify_its_person_and_did_not_is_not_enrolled() {
        let key = TestKey::new(Algorithm::Es256, 1);
        let touch_alone = wanted(&key.relying_party, &[]);
        let required = Wanted {
            user_verification: UserVerification::Required,
            ..touch_alone.clone()
        };
        // UP and AT, without UV and with it.
        let made = |flags| {
            let mut made = key.data(flags, 0);
            made.extend([0xaa; 16]);
            made.extend([0, 48]);
            made.extend([0xbb; 48]);
            made.extend(key.cose_key());
            let mut data = Vec::new();
            let mut e = minicbor::Encoder::new(&mut data);
            e.map(2).unwrap().u8(1).unwrap().str("none").unwrap();
            e.u8(2).unwrap().bytes(&made).unwrap();
            data
        };
        assert!(matches!(
            making(&required).judge(&made(0x41)),
            Step::Drop(Refused::NotVerified)
        ));
        for (wanted, flags) in [(&required, 0x45), (&touch_alone, 0x41)] {
            assert!(matches!(making(wanted).judge(&made(flags)), Step::Win(_)));
        }
    }

    #[test]
    fn a_key_is_told_of_as_many_credentials_as_it_takes() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let ids: Vec<CredentialId> = (1..=9)
            .map(|seed| CredentialId::new(&[seed; 100]).unwrap())
            .collect();
        let exclude: Vec<&CredentialId> = ids.iter().collect();
        let wanted = wanted(&laptop, &exclude);
        let lists = |most_ids, most_bytes| -> Vec<usize> {
            let making = making(&wanted);
            let lists = making.exclude_lists(&Info {
                max_credential_count_in_list: most_ids,
                max_msg_size: most_bytes,
                ..Info::default()
            });
            for list in &lists {
                let message = making.request(list, ctap2::Verification::None);
                assert!(message.unwrap().len() <= most_bytes);
            }
            assert_eq!(lists.concat(), exclude);
            lists.iter().map(Vec::len).collect()
        };
        assert_eq!(lists(None, 7609), [9]);
        assert_eq!(lists(Some(4), 7609), [4, 4, 1]);
        assert!((2..9).contains(&lists(None, 1024).len()));
        // One that fits into no request cannot be this key's.
        let none = making(&wanted).exclude_lists(&Info {
            max_msg_size: 200,
            ..Info::default()
        });
        assert!(none.is_empty());
    }

    #[test]
    fn a_key_whose_versions_hold_no_fido2_makes_nothing() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let wanted = wanted(&laptop, &[]);
        let mut data = b"\xa2\x01\x81\x66U2F_V2\x03\x50".to_vec();
        data.extend([0; 16]);
        assert!(matches!(
            making(&wanted).informed(&data),
            Step::Drop(Refused::OnlyU2f)
        ));
    }

    /// getInfo of a key without a PIN, which knows credProtect or not.
    fn info(cred_protect: bool) -> Vec<u8> {
        let mut data = Vec::new();
        let mut e = minicbor::Encoder::new(&mut data);
        e.map(4).unwrap();
        e.u8(1).unwrap().array(1).unwrap().str("FIDO_2_0").unwrap();
        e.u8(2).unwrap().array(1).unwrap();
        let name = if cred_protect {
            "credProtect"
        } else {
            "hmac-secret"
        };
        e.str(name).unwrap();
        e.u8(3).unwrap().bytes(&[0; 16]).unwrap();
        e.u8(4).unwrap().map(1).unwrap();
        e.str("rk").unwrap().bool(true).unwrap();
        data
    }

    #[test]
    fn a_key_that_keeps_nothing_is_not_asked_to_keep_a_credential() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let mut says_no = info(true);
        *says_no.last_mut().unwrap() = 0xf4;
        let says_nothing = [&[0xa3], &says_no[1..says_no.len() - 6]].concat();
        for discoverable in [
            Discoverable::No,
            Discoverable::Yes,
            Discoverable::UnlessTaken,
        ] {
            let wanted = Wanted {
                discoverable,
                ..wanted(&laptop, &[])
            };
            for info in [&says_no, &says_nothing] {
                let next = making(&wanted).informed(info);
                let refused = matches!(next, Step::Drop(Refused::CannotKeep));
                assert_eq!(refused, discoverable != Discoverable::No);
            }
            // It says that it does, and then refuses.
            let mut asked_to = making(&wanted);
            asked_to.informed(&info(true));
            if discoverable == Discoverable::UnlessTaken {
                let none = asked_to.answered(Err(Status::NoCredentials));
                assert_eq!(asked(&none), MAKE);
            }
            let next = asked_to.answered(Err(Status::UnsupportedOption));
            let refused = matches!(next, Step::Drop(Refused::CannotKeep));
            assert_eq!(refused, discoverable != Discoverable::No);
        }
    }

    #[test]
    fn a_key_that_cannot_guard_a_credential_makes_none_that_is_to_be_guarded() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let wanted = Wanted {
            protection: Some(CredentialProtection::Verification),
            ..wanted(&laptop, &[])
        };
        assert!(matches!(
            making(&wanted).informed(&info(false)),
            Step::Drop(Refused::CannotProtect)
        ));
        assert!(matches!(
            making(&wanted).informed(&info(true)),
            Step::Ask(_)
        ));
    }

    /// An answer to the look for credentials that the key keeps.
    fn found(user_id: &[u8], number: Option<u64>) -> Vec<u8> {
        let mut data = Vec::new();
        let mut e = minicbor::Encoder::new(&mut data);
        e.map(1 + u64::from(number.is_some())).unwrap();
        e.u8(4).unwrap().map(1).unwrap();
        e.str("id").unwrap().bytes(user_id).unwrap();
        if let Some(number) = number {
            e.u8(5).unwrap().u64(number).unwrap();
        }
        data
    }

    const MAKE: u8 = 0x01;
    const LOOK: u8 = 0x02;
    const NEXT: u8 = 0x08;

    /// The command byte of what is asked next.
    #[track_caller]
    fn asked<R: RelyingParty>(next: &Next<R>) -> u8 {
        match next {
            Step::Ask(message) => message[0],
            _ => panic!("nothing is asked"),
        }
    }

    #[test]
    fn a_credential_that_would_be_lost_is_looked_for_one_after_the_other() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let wanted = Wanted {
            discoverable: Discoverable::UnlessTaken,
            ..wanted(&laptop, &[])
        };
        let looking = || {
            let mut making = making(&wanted);
            assert_eq!(asked(&making.informed(&info(true))), LOOK);
            making
        };
        let (ours, other) = ([0x11; 32], [0x22; 32]);

        assert!(matches!(
            looking().answered(Ok(&found(&ours, None))),
            Step::Drop(Refused::Taken)
        ));
        let mut second = looking();
        assert_eq!(asked(&second.answered(Ok(&found(&other, Some(2))))), NEXT);
        assert!(matches!(
            second.answered(Ok(&found(&ours, None))),
            Step::Drop(Refused::Taken)
        ));

        // None is lost.
        assert_eq!(asked(&looking().answered(Err(Status::NoCredentials))), MAKE);
        let mut others = looking();
        assert_eq!(asked(&others.answered(Ok(&found(&other, Some(2))))), NEXT);
        assert_eq!(asked(&others.answered(Ok(&found(&other, None)))), MAKE);

        // Nobody knows.
        for answer in [Err(Status::PuatRequired), Ok(&found(&[], None)[..])] {
            assert!(matches!(
                looking().answered(answer),
                Step::Drop(Refused::PerhapsTaken)
            ));
        }
    }

    #[test]
    fn what_a_key_hides_from_strangers_is_not_replaced_by_one_that_checks_its_person_later() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let wanted = Wanted {
            discoverable: Discoverable::UnlessTaken,
            ..wanted(&laptop, &[])
        };
        for answer in [
            Err(Status::NoCredentials),
            Ok(&found(&[0x22; 32], None)[..]),
        ] {
            let mut making = making(&wanted);
            making.stage = Stage::Looking {
                authorization: Some(Authorization::BuiltIn),
                left: None,
            };
            assert!(matches!(
                making.answered(answer),
                Step::Drop(Refused::PerhapsTaken)
            ));
        }
    }

    #[test]
    fn nobody_looks_for_what_may_be_lost() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        for discoverable in [Discoverable::No, Discoverable::Yes] {
            let wanted = Wanted {
                discoverable,
                ..wanted(&laptop, &[])
            };
            assert_eq!(asked(&making(&wanted).informed(&info(true))), MAKE);
        }
    }
}
