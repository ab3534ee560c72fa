//! The few functions of libpam that an application needs, made safe.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::slice;

use tests::login::Style;

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_CONV_ERR: c_int = 19;
const PAM_ESTABLISH_CRED: c_int = 2;

/// The longest answer with its NUL: `PAM_MAX_RESP_SIZE`.
const LONGEST_ANSWER: usize = 512;

/// An item that an application sets, by its number in `_pam_types.h`.
#[derive(Clone, Copy)]
pub(crate) enum Item {
    Tty = 3,
    Rhost = 4,
    Ruser = 8,
}

#[repr(C)]
struct PamMessage {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct PamResponse {
    text: *mut c_char,
    retcode: c_int,
}

#[repr(C)]
struct PamConv {
    conv: unsafe extern "C" fn(
        c_int,
        *mut *const PamMessage,
        *mut *mut PamResponse,
        *mut c_void,
    ) -> c_int,
    appdata: *mut c_void,
}

#[repr(C)]
struct PamHandle {
    _opaque: [u8; 0],
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conv: *const PamConv,
        handle: *mut *mut PamHandle,
    ) -> c_int;
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conv: *const PamConv,
        confdir: *const c_char,
        handle: *mut *mut PamHandle,
    ) -> c_int;
    fn pam_end(handle: *mut PamHandle, status: c_int) -> c_int;
    fn pam_authenticate(handle: *mut PamHandle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut PamHandle, flags: c_int) -> c_int;
    fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
}

unsafe extern "C" {
    fn calloc(count: usize, size: usize) -> *mut c_void;
}

/// Hears what the module says, and answers its prompts.
pub(crate) trait Conversation {
    /// A message. To a prompt the answer is written into `answer`, which is zeroed; false when
    /// there is nobody to answer.
    fn hear(&mut self, style: Style, text: &str, answer: Option<&mut [u8]>) -> bool;
}

/// A PAM transaction.
pub(crate) struct Transaction<C> {
    handle: NonNull<PamHandle>,
    last: c_int,
    // libpam keeps pointers to these two until pam_end.
    _conv: Box<PamConv>,
    conversation: *mut C,
}

impl<C: Conversation> Transaction<C> {
    /// `pam_start`, or `pam_start_confdir` where a directory of services is given.
    pub(crate) fn start(
        service: &CStr,
        user: &CStr,
        confdir: Option<&CStr>,
        conversation: C,
    ) -> Result<Self, c_int> {
        let conversation = Box::into_raw(Box::new(conversation));
        let conv = Box::new(PamConv {
            conv: converse::<C>,
            appdata: conversation.cast(),
        });
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end in NUL and outlive the call, which copies them; the two boxes
        // live until pam_end, in the Transaction.
        let code = unsafe {
            match confdir {
                Some(confdir) => pam_start_confdir(
                    service.as_ptr(),
                    user.as_ptr(),
                    &raw const *conv,
                    confdir.as_ptr(),
                    &raw mut handle,
                ),
                None => pam_start(
                    service.as_ptr(),
                    user.as_ptr(),
                    &raw const *conv,
                    &raw mut handle,
                ),
            }
        };
        match NonNull::new(handle) {
            Some(handle) if code == PAM_SUCCESS => Ok(Self {
                handle,
                last: code,
                _conv: conv,
                conversation,
            }),
            _ => {
                // SAFETY: the box made above; without a handle libpam keeps no pointer to it.
                drop(unsafe { Box::from_raw(conversation) });
                Err(code)
            }
        }
    }

    pub(crate) fn set_item(&mut self, item: Item, value: &CStr) -> c_int {
        // SAFETY: libpam copies the string, which all these items are.
        unsafe { pam_set_item(self.handle.as_ptr(), item as c_int, value.as_ptr().cast()) }
    }

    pub(crate) fn authenticate(&mut self) -> c_int {
        // SAFETY: the handle is libpam's own, and not ended yet.
        self.last = unsafe { pam_authenticate(self.handle.as_ptr(), 0) };
        self.last
    }

    pub(crate) fn setcred(&mut self) -> c_int {
        // SAFETY: as above.
        self.last = unsafe { pam_setcred(self.handle.as_ptr(), PAM_ESTABLISH_CRED) };
        self.last
    }

    /// `pam_end`; hands the conversation back.
    pub(crate) fn end(self) -> C {
        // SAFETY: the handle is ended once, here, because `self` is consumed; after it nobody
        // else holds the pointer that Box::into_raw gave out.
        unsafe {
            pam_end(self.handle.as_ptr(), self.last);
            *Box::from_raw(self.conversation)
        }
    }
}

/// libpam's conversation function. The answers belong to the module, which frees them: they come
/// from malloc.
unsafe extern "C" fn converse<C: Conversation>(
    count: c_int,
    messages: *mut *const PamMessage,
    responses: *mut *mut PamResponse,
    appdata: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else {
        return PAM_CONV_ERR;
    };
    // SAFETY: calloc takes any numbers; zeroed memory is an array of empty responses.
    let answers: *mut PamResponse = unsafe { calloc(count, size_of::<PamResponse>()) }.cast();
    if answers.is_null() {
        return PAM_BUF_ERR;
    }
    for index in 0..count {
        // SAFETY: appdata is the box that `start` made, alive until pam_end, and libpam calls
        // one at a time. Linux-PAM passes an array of `count` pointers to messages whose text
        // ends in NUL. `answers` has `count` members.
        unsafe {
            let conversation = &mut *appdata.cast::<C>();
            let message = &**messages.add(index);
            let text = CStr::from_ptr(message.text).to_string_lossy();
            let (style, is_prompt) = match message.style {
                1 => (Style::PromptEchoOff, true),
                2 => (Style::PromptEchoOn, true),
                3 => (Style::ErrorMsg, false),
                4 => (Style::TextInfo, false),
                other => (Style::Other(other), false),
            };
            if is_prompt {
                let answer: *mut u8 = calloc(LONGEST_ANSWER, 1).cast();
                if answer.is_null() {
                    return PAM_BUF_ERR;
                }
                (*answers.add(index)).text = answer.cast();
                // The last byte stays NUL.
                let room = slice::from_raw_parts_mut(answer, LONGEST_ANSWER - 1);
                if !conversation.hear(style, &text, Some(room)) {
                    return PAM_CONV_ERR;
                }
            } else {
                conversation.hear(style, &text, None);
            }
        }
    }
    // SAFETY: libpam gives a place for the result, which the module then owns.
    unsafe { *responses = answers };
    PAM_SUCCESS
}
