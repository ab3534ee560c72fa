//! The report descriptor by which a key is told from a mouse.
#![forbid(unsafe_code)]

use ceremony::authenticator::hidraw::is_fido;

/// A key stays one whatever follows; what never names the page is none.
pub(crate) fn report_descriptor(bytes: &[u8]) {
    let is_key = is_fido(bytes);
    if is_key {
        let names_the_page = bytes.windows(2).any(|pair| pair == [0xd0, 0xf1]);
        assert!(names_the_page);
        assert!(is_fido(&[bytes, &[0xc0, 0xfe, 0xff]].concat()));
    }
    // Behind something whole that is no key, it is still what it is.
    let mouse = [0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0xc0, 0x05, 0x00];
    assert_eq!(is_fido(&[&mouse, bytes].concat()), is_key);
}
