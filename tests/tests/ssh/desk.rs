//! Where the owner of the SSH keys sits: a machine with a security key, under each Debian.

use tests::machine::{Debian, Finished, PluggedIn, Run, privilege};
use tests::openssh::{Agent, Kind, Maker, Order, PIN, Protection, SkKey, Sshd};
use tests::{Machine, VirtualKey};

/// Who makes SSH keys here. What is tested holds for each of them.
const MAKERS: [Maker; 2] = [Maker::SshKeygen, Maker::Passkey];

/// One Debian, one security key with a PIN, one who makes SSH keys, and one kind of them.
pub(crate) struct Desk {
    pub(crate) machine: Machine,
    pub(crate) blue: PluggedIn,
    pub(crate) debian: Debian,
    pub(crate) maker: Maker,
    pub(crate) kind: Kind,
}

/// The same with each Debian at hand, each maker and each kind of key; each time everything is new.
pub(crate) fn everywhere(test: impl Fn(&Desk)) {
    for debian in Debian::at_hand() {
        for maker in MAKERS {
            for kind in Kind::ALL {
                let desk = Desk::new(&debian, maker, kind);
                desk.introduce();
                test(&desk);
            }
        }
    }
}

/// The same where a server can be logged in to; where not, it says so.
pub(crate) fn everywhere_with_a_server(test: impl Fn(&Desk, &Sshd<'_>)) {
    everywhere(|desk| {
        if !privilege().has_other_users() {
            println!("skipped: sshd wants a user of its own, and there is only root");
        } else if !desk.debian.has("/usr/sbin/sshd") {
            println!("skipped: sshd is not there (package openssh-server)");
        } else {
            test(desk, &desk.machine.sshd());
        }
    });
}

impl Desk {
    fn new(debian: &Debian, maker: Maker, kind: Kind) -> Self {
        let machine = Machine::new().with_programs_of(debian);
        let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
        if privilege().has_other_users() {
            // As udev does for whoever sits at the machine.
            blue.node_mode(0o666);
        }
        let desk = Self {
            machine,
            blue,
            debian: debian.clone(),
            maker,
            kind,
        };
        desk.sh("mkdir -p -m 700 ~/.ssh").expect_success();
        desk
    }

    /// For whoever reads along: whose OpenSSH this is.
    fn introduce(&self) {
        let version = self.run(&["ssh", "-V"]).output().expect_success();
        println!(
            "{}, {}, {:?}, {}",
            self.debian.name(),
            version.stderr.trim_end(),
            self.maker,
            self.kind.name()
        );
    }

    /// A command of the owner's.
    pub(crate) fn run(&self, command: &[&str]) -> Run<'_> {
        self.machine.by_owner(command.iter().copied())
    }

    /// A line of the owner's shell, in their home.
    pub(crate) fn sh(&self, line: &str) -> Finished {
        self.machine.sh_by_owner(&format!("cd; {line}")).output()
    }

    /// A key in `~/.ssh/id`, whose signatures take a touch.
    pub(crate) fn a_key(&self) -> SkKey {
        self.make(&self.order("id"))
    }

    /// A key in `~/.ssh/id` with this protection.
    pub(crate) fn a_key_with(&self, protection: Protection) -> SkKey {
        self.make(&self.order("id").protected(protection))
    }

    /// What is still to be made, in this file of `~/.ssh`.
    pub(crate) fn order(&self, file: &str) -> Order {
        Order::of(self.kind, file)
    }

    /// Makes it.
    #[track_caller]
    pub(crate) fn make(&self, order: &Order) -> SkKey {
        self.maker.make(&self.machine, order)
    }

    /// The line in `.pub`.
    pub(crate) fn public(&self, key: &SkKey) -> String {
        key.public_key(&self.machine)
    }

    /// An agent with nothing in it.
    pub(crate) fn agent(&self) -> Agent<'_> {
        self.machine.ssh_agent()
    }

    /// A plain key, of no security key: `~/.ssh/{file}`.
    pub(crate) fn a_plain_key(&self, file: &str) -> SkKey {
        let key = SkKey::at(&format!("{}/.ssh/{file}", tests::openssh::home()));
        let command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &key.file,
        ];
        self.run(&command).output().expect_success();
        key
    }
}

/// The algorithm and the key itself, without the comment.
pub(crate) fn without_comment(public_key: &str) -> String {
    let words: Vec<&str> = public_key.split_whitespace().take(2).collect();
    words.join(" ")
}
