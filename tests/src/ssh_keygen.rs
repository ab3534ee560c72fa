//! Stock `ssh-keygen -Y verify`: the judge of signatures who shares no code with the product.

#![forbid(unsafe_code)]

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// What `ssh-keygen` thinks of a signature.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it exited with 0.
    pub is_good: bool,
    /// All it said.
    pub output: String,
}

/// Asks whether `signature` (armored) over `message`, made for `namespace`, is `principal`'s
/// according to the lines of `allowed_signers`.
///
/// It judges the signature and nothing else: flags of 0, nobody was there, are "Good" too.
pub fn verify(
    allowed_signers: &str,
    principal: &str,
    namespace: &str,
    message: &[u8],
    signature: &str,
) -> Verdict {
    let directory = tempfile::tempdir().expect("a directory for ssh-keygen");
    let file = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        fs::write(&path, contents).expect("a file for ssh-keygen");
        path
    };
    let mut ssh_keygen = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", namespace, "-I", principal, "-f"])
        .arg(file("allowed_signers", allowed_signers))
        .arg("-s")
        .arg(file("signature", signature))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh-keygen is installed (package openssh-client)");
    // It may refuse before it has read the message.
    let _ = ssh_keygen.stdin.take().expect("a pipe").write_all(message);
    let output = ssh_keygen.wait_with_output().expect("ssh-keygen ends");
    Verdict {
        is_good: output.status.success(),
        output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_message_its_signer_and_its_namespace_alone() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        let message = directory.path().join("message");
        fs::write(&message, "let alice in").unwrap();
        let ssh_keygen = |arguments: &[&str]| {
            let mut ssh_keygen = Command::new("ssh-keygen");
            let done = ssh_keygen
                .current_dir(&directory)
                .args(arguments)
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
        };
        ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]);
        ssh_keygen(&["-Y", "sign", "-n", "login@bench", "-f", "key", "message"]);
        let signature = fs::read_to_string(directory.path().join("message.sig")).unwrap();
        let public_key = fs::read_to_string(directory.path().join("key.pub")).unwrap();
        let signers = format!("alice {public_key}");

        let good = verify(
            &signers,
            "alice",
            "login@bench",
            b"let alice in",
            &signature,
        );
        assert!(good.is_good && good.output.contains("Good"), "{good:?}");
        for (principal, namespace, message) in [
            ("bob", "login@bench", "let alice in"),
            ("alice", "file", "let alice in"),
            ("alice", "login@bench", "let mallory in"),
        ] {
            let verdict = verify(
                &signers,
                principal,
                namespace,
                message.as_bytes(),
                &signature,
            );
            assert!(
                !verdict.is_good,
                "{principal} {namespace} {message}: {verdict:?}"
            );
        }
    }
}
