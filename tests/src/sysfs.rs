//! The files under `/sys` that a kernel shows for a USB HID device, and the links to them.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a HID device says about itself.
pub(crate) struct HidDevice<'a> {
    /// USB product string; the kernel's `HID_NAME`.
    pub name: &'a str,
    pub vendor: u16,
    pub product: u16,
    pub report_descriptor: &'a [u8],
}

/// A FIDO authenticator: usage page 0xF1D0, usage 1, reports of 64 bytes both ways.
pub(crate) const FIDO_REPORTS: &[u8] = &[
    0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08,
    0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91,
    0x02, 0xC0,
];

/// A mouse with three buttons, from the HID specification's appendix.
pub(crate) const MOUSE_REPORTS: &[u8] = &[
    0x05, 0x01, 0x09, 0x02, 0xA1, 0x01, 0x09, 0x01, 0xA1, 0x00, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03,
    0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7F, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06,
    0xC0, 0xC0,
];

/// A device in a machine's `/sys`. Dropping it takes the files away again.
pub(crate) struct SysfsEntry {
    links: Vec<PathBuf>,
    device: PathBuf,
}

impl SysfsEntry {
    /// Shows the device as `/sys/class/hidraw/hidraw{index}`, whose node is device `major:minor`.
    pub(crate) fn show(
        sys: &Path,
        index: usize,
        hid: &HidDevice<'_>,
        (major, minor): (u64, u64),
    ) -> Self {
        let HidDevice {
            name,
            vendor,
            product,
            report_descriptor,
        } = *hid;
        let node = format!("hidraw{index}");
        let port = format!("1-{}", index + 1);
        let id = format!("0003:{vendor:04X}:{product:04X}.{:04X}", index + 1);

        let usb_device = PathBuf::from("devices/usb1").join(&port);
        let interface = usb_device.join(format!("{port}:1.0"));
        let hid_device = interface.join(&id);
        let hidraw = hid_device.join("hidraw").join(&node);
        let entry = Self {
            links: vec![
                sys.join("class/hidraw").join(&node),
                sys.join(format!("dev/char/{major}:{minor}")),
                sys.join("bus/hid/devices").join(&id),
                sys.join("bus/usb/devices").join(&port),
            ],
            device: sys.join(&usb_device),
        };

        let write = |directory: &Path, attribute: &str, value: &[u8]| {
            fs::create_dir_all(sys.join(directory)).expect("a directory in sysfs");
            fs::write(sys.join(directory).join(attribute), value).expect("an attribute in sysfs");
        };
        write(&usb_device, "uevent", b"DEVTYPE=usb_device\nDRIVER=usb\n");
        write(
            &usb_device,
            "idVendor",
            format!("{vendor:04x}\n").as_bytes(),
        );
        write(
            &usb_device,
            "idProduct",
            format!("{product:04x}\n").as_bytes(),
        );
        write(&usb_device, "bcdDevice", b"0100\n");
        write(&usb_device, "manufacturer", b"Bench\n");
        write(&usb_device, "product", format!("{name}\n").as_bytes());
        write(
            &interface,
            "uevent",
            b"DEVTYPE=usb_interface\nDRIVER=usbhid\nINTERFACE=3/0/0\n",
        );
        write(&interface, "bInterfaceNumber", b"00\n");
        let uevent = format!(
            "DRIVER=hid-generic\nHID_ID=0003:{vendor:08X}:{product:08X}\nHID_NAME={name}\n\
             HID_PHYS=usb-bench-{port}/input0\nHID_UNIQ=\n\
             MODALIAS=hid:b0003g0001v{vendor:08X}p{product:08X}\n"
        );
        write(&hid_device, "uevent", uevent.as_bytes());
        write(&hid_device, "report_descriptor", report_descriptor);
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={node}\n");
        write(&hidraw, "uevent", uevent.as_bytes());
        write(&hidraw, "dev", format!("{major}:{minor}\n").as_bytes());

        let up = |directory: &Path| "../".repeat(directory.components().count());
        let link = |from: &Path, to: &str| {
            fs::create_dir_all(sys.join(from).parent().expect("inside sysfs"))
                .expect("a directory in sysfs");
            symlink(to, sys.join(from)).expect("a link in sysfs");
        };
        for (directory, subsystem) in [
            (&usb_device, "bus/usb"),
            (&interface, "bus/usb"),
            (&hid_device, "bus/hid"),
            (&hidraw, "class/hidraw"),
        ] {
            fs::create_dir_all(sys.join(subsystem)).expect("a directory in sysfs");
            link(&directory.join("subsystem"), &(up(directory) + subsystem));
        }
        link(&hidraw.join("device"), &format!("../../../{id}"));
        // Last of all the way by which it is found: nobody finds half a device.
        let targets = [&hidraw, &hidraw, &hid_device, &usb_device];
        for (from, target) in entry.links.iter().zip(targets).rev() {
            let from = from.strip_prefix(sys).expect("inside sysfs");
            let depth = from.parent().expect("inside sysfs");
            link(from, &(up(depth) + target.to_str().expect("plain names")));
        }
        entry
    }
}

impl Drop for SysfsEntry {
    fn drop(&mut self) {
        // The machine may already be gone, with all its files.
        for link in &self.links {
            let _ = fs::remove_file(link);
        }
        let _ = fs::remove_dir_all(&self.device);
    }
}
