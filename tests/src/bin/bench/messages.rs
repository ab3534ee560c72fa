//! Messages to the keys and opens of their nodes.

#![forbid(unsafe_code)]

use tests::counts::{Count, Drawer, Module, Others, SCENES, login_with_pin};

use crate::text;

/// One line of the tables: a scene, and each module's count in it.
pub(crate) struct Row {
    scene: String,
    ours: Count,
    short: Count,
    theirs: Count,
}

pub(crate) fn measure(ours: &Drawer, short: &Drawer, theirs: &Drawer) -> Vec<Row> {
    let mut rows: Vec<Row> = SCENES
        .iter()
        .map(|&scene| Row {
            scene: format!(
                "{} × {}{}",
                scene.credentials,
                scene.keys,
                match (scene.keys, scene.others) {
                    (1, _) => "",
                    (_, Others::Enrolled) => ", all four keys enrolled",
                    (_, Others::Strangers) => ", three of the keys not enrolled",
                }
            ),
            ours: ours.login(scene),
            short: short.login(scene),
            theirs: theirs.login(scene),
        })
        .collect();
    rows.push(Row {
        scene: "1 × 1, with PIN".to_owned(),
        ours: login_with_pin(Module::PamPasskey),
        short: login_with_pin(Module::PamPasskeyDiscoverable),
        theirs: login_with_pin(Module::PamU2f),
    });
    rows
}

pub(crate) fn tables(rows: &[Row]) -> String {
    let head = [
        "credentials × keys",
        "pam_passkey, 241-byte ids",
        "pam_passkey, 32-byte ids",
        "pam_u2f",
    ];
    let table = |cell: fn(&Count) -> String| {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let counts = [&row.ours, &row.short, &row.theirs].map(cell);
                [row.scene.clone()].into_iter().chain(counts).collect()
            })
            .collect();
        text::table(&head, &rows)
    };
    let messages = table(|count| count.transactions.to_string());
    let opens = table(|count| {
        format!(
            "{} / {} / {}",
            count.opens, count.most_opens, count.mouse_opens
        )
    });
    format!(
        "## Messages to the keys

CTAPHID messages that the keys were sent in one login, all keys together; CANCEL, which has no answer, is not counted.

{messages}
\"24 × 4\" is 24 credentials in the file and 4 keys plugged in.
The credential that wins is the last in the file, and its key the last that was plugged in.
\"All four keys enrolled\" means that the last four credentials are those of the four keys; all others belong to keys that are not plugged in.
A mouse is plugged in, too.
Beside other keys, the winning one is touched 0.7 s after it begins to blink, when all have been asked.
The others are not touched; but pam_u2f asks one key after the other, and each would keep it for 30 s, so in its logins they deny the touch at once.
The 32-byte ids are those of credentials made with `passkey enroll --discoverable`, which cost a slot on the key; without the option, this firmware makes the long ones, and other firmware ids of 16 to 304 bytes.
\"With PIN\" takes one message more than pam_u2f: the key says how many tries are left before its PIN is asked for.
\"With PIN\" is `user_verification = \"required\"` here and `pamu2fcfg -N` there, and a key on which a PIN is set.

pam_u2f has credentials made by `pamu2fcfg` and this line, in which `max_devices` stands because a line of 24 such credentials is too long for its buffer otherwise:

    auth required pam_u2f.so authfile=/etc/u2f_mappings origin=pam://bench appid=pam://bench max_devices=64

The length of its ids changes nothing for pam_u2f, which sends one at a time.
The counts come from the key's own journal, are the same in every run, and those of pam_passkey have an upper bound in `tests/tests/counts.rs`.

## Opens

How often device nodes were opened in the same logins, counted by the kernel (inotify): all keys together / the key opened most / a mouse.

{opens}"
    )
}
