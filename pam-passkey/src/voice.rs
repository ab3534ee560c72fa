//! The one way to the person: sentences, in their language, through the host's
//! conversation.
#![forbid(unsafe_code)]

use ceremony::sentence::Sentence;
use pam::constants::{PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_TEXT_INFO, PamMessageStyle};
use pam::conv::Conv;
use pam::secret::SecretBytes;

use crate::language::Language;

/// Says sentences to whoever the host speaks with.
pub(crate) struct Voice<'c> {
    conversation: Option<&'c Conv<'c>>,
    language: Language,
}

impl<'c> Voice<'c> {
    /// A voice in `conversation`, where there is one.
    pub(crate) fn new(conversation: Option<&'c Conv<'c>>, language: Language) -> Self {
        Self {
            conversation,
            language,
        }
    }

    /// A voice that nobody hears.
    pub(crate) fn none() -> Self {
        Self::new(None, Language::ENGLISH)
    }

    /// Whether there is a conversation.
    pub(crate) fn is_heard(&self) -> bool {
        self.conversation.is_some()
    }

    /// Says what goes well, or on: one sentence a line, all at once.
    pub(crate) fn tell(&self, sentences: &[Sentence]) {
        let lines = sentences.iter().map(|sentence| self.language.say(sentence));
        let _ = self.send(PAM_TEXT_INFO, &lines.collect::<Vec<_>>().join("\n"));
    }

    /// Says what went wrong.
    pub(crate) fn complain(&self, sentence: &Sentence) {
        let _ = self.send(PAM_ERROR_MSG, &self.language.say(sentence));
    }

    /// Asks for what is not to be seen. `None` where there is no answer.
    pub(crate) fn ask(&self, question: &Sentence) -> Option<SecretBytes> {
        self.send(PAM_PROMPT_ECHO_OFF, &self.language.say(question))
    }

    /// A host that shows nothing may still have someone at the key, so that it
    /// failed is nobody's affair.
    fn send(&self, style: PamMessageStyle, text: &str) -> Option<SecretBytes> {
        self.conversation?.send(style, text).ok()?
    }
}
