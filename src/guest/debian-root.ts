// What makes a tree of unpacked Debian packages a system that boots. The packages' own scripts are not run (they would need the guest's programs, and root): the few
// things that they would have made and that are missed are made here, and dpkg is told what is installed, so that it can say so and check it.
//
// PID 1 is busybox's init: it mounts, gives a login on the serial line and on the screen, and at the end stops processes and unmounts. It knows no services.

import { lstatSync } from "node:fs";
import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runTool } from "./apt.ts";

export const DEBIAN_HOST_NAME = "xlat86";
/** The prompt of root's shell. */
export const DEBIAN_PROMPT = `root@${DEBIAN_HOST_NAME}:~# `;
/** Where busybox is; its applets are not in the way of Debian's programs. */
const BUSYBOX = "/usr/lib/xlat86/busybox";

/** Programs that Debian has in packages with services in them (sysvinit, kmod), as links to busybox. */
const BUSYBOX_LINKS = ["init", "poweroff", "reboot", "halt", "modprobe", "insmod", "rmmod", "lsmod", "ip", "udhcpc"];

const START_SCRIPT = `#!/bin/sh
# Run by init before the first login.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mkdir -p -m 1777 /run/lock
: > /run/utmp
hostname -F /etc/hostname
# "ro" on the kernel's command line stays for a disk that cannot be written.
if ! grep -qw keepro /proc/cmdline; then mount -o remount,rw / || echo "The disk stays read-only."; fi
[ -w / ] && mkdir -p -m 1777 /tmp
exit 0
`;

const STOP_SCRIPT = `#!/bin/sh
# Run by init before it ends all other processes. One that is writing, a login that has just begun for instance, keeps the disk busy: it is waited for, then told to end.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
trap "" TERM
sync
for try in 1 2 3 4 5 6 7 8; do
  mount -n -o remount,ro / 2>/dev/null && { echo "The disk is clean."; exit 0; }
  [ $try -ge 4 ] && kill -TERM -1
  sleep 0.5
done
echo "The disk is still written to."
exit 1
`;

const INITTAB = `::sysinit:/etc/xlat86/start
ttyS0::respawn:/sbin/agetty --autologin root --noclear --keep-baud 115200,38400,9600 ttyS0 vt102
tty1::respawn:/sbin/agetty --autologin root --noclear tty1 linux
::shutdown:/etc/xlat86/stop
::ctrlaltdel:/sbin/reboot
`;

const PROFILE = `export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
PS1='\\u@\\h:\\w\\$ '
`;

/** libpam-runtime's script makes these from profiles; this is what they come to with passwords in files. */
const PAM: Readonly<Record<string, string>> = {
  "common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
  "common-account":
    "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_permit.so\n",
  "common-password":
    "password [success=1 default=ignore] pam_unix.so obscure yescrypt\npassword requisite pam_deny.so\npassword required pam_permit.so\n",
  "common-session": "session required pam_permit.so\nsession required pam_unix.so\n",
  "common-session-noninteractive": "session required pam_permit.so\nsession required pam_unix.so\n",
};

type Put = (path: string, content: string | Uint8Array, mode?: number) => Promise<void>;

function putInto(tree: string): Put {
  return async (path, content, mode = 0o644) => {
    const place = join(tree, path);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, content);
    await chmod(place, mode);
  };
}

/** Makes the files above in the tree. */
export async function prepareRoot(tree: string, busybox: Uint8Array): Promise<void> {
  const put = putInto(tree);
  for (const path of ["proc", "sys", "dev", "run", "root", "mnt", "tmp", "var/log", "boot"]) await mkdir(join(tree, path), { recursive: true });
  await put(BUSYBOX, busybox, 0o755);
  for (const name of BUSYBOX_LINKS) await link(tree, `sbin/${name}`, BUSYBOX);
  await link(tree, "usr/bin/vi", BUSYBOX);
  await put("etc/inittab", INITTAB);
  await put("etc/xlat86/start", START_SCRIPT, 0o755);
  await put("etc/xlat86/stop", STOP_SCRIPT, 0o755);
  await put("etc/hostname", `${DEBIAN_HOST_NAME}\n`);
  await put("etc/hosts", `127.0.0.1 localhost\n127.0.1.1 ${DEBIAN_HOST_NAME}\n`);
  await put("etc/fstab", "# The root file system is the kernel's root=.\nproc /proc proc defaults 0 0\n");
  await put("etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n");
  await put("etc/environment", "");
  await put("root/.bashrc", PROFILE);
  await put("root/.profile", ". /root/.bashrc\n");
  await put("root/.hushlogin", "");
  // Nobody pastes into a serial line, and who reads it is spared the escape sequences.
  await put("etc/inputrc", "set enable-bracketed-paste off\n");
  await put("var/log/wtmp", "");
  await put("var/log/lastlog", "");
  for (const [name, text] of Object.entries(PAM)) await put(`etc/pam.d/${name}`, text);
  await accounts(tree, put);
  await alternatives(tree);
}

async function link(tree: string, path: string, target: string): Promise<void> {
  const place = join(tree, path);
  await mkdir(dirname(place), { recursive: true });
  if (await lstat(place).then(() => true, () => false)) return; // biome-ignore format: one thought
  await symlink(target, place);
}

/** base-passwd's master files are Debian's accounts; root has no password. */
async function accounts(tree: string, put: Put): Promise<void> {
  const master = (name: string): Promise<string> => readFile(join(tree, `usr/share/base-passwd/${name}.master`), "utf8");
  const passwd = (await master("passwd")).replace(/^root:[^:]*:/m, "root:x:");
  await put("etc/passwd", passwd);
  await put("etc/group", await master("group"));
  const names = passwd.split("\n").flatMap((line) => (line === "" ? [] : [line.slice(0, line.indexOf(":"))]));
  await put("etc/shadow", names.map((name) => `${name}:${name === "root" ? "" : "*"}:19700:0:99999:7:::\n`).join(""), 0o640);
}

/** What update-alternatives would have chosen. */
async function alternatives(tree: string): Promise<void> {
  const choices = { "usr/bin/awk": "mawk", "usr/bin/pager": "less", "usr/bin/editor": "nano" };
  for (const [path, target] of Object.entries(choices)) {
    if (await lstat(join(tree, "usr/bin", target)).catch(() => null)) await link(tree, path, target);
  }
}

/**
 * dpkg's files, as after an installation: a paragraph of status and the lists of files and checksums for each package in the directory `debs`. What has been left out
 * of the tree is left out of the lists, as if dpkg had been told so (path-exclude): its check then finds nothing missing.
 */
export async function writePackageDatabase(tree: string, debs: string): Promise<void> {
  const put = putInto(tree);
  const isThere = (path: string): boolean => lstatSync(join(tree, path), { throwIfNoEntry: false }) !== undefined;
  const paragraphs: string[] = [];
  for (const name of (await readdir(debs)).filter((file) => file.endsWith(".deb")).sort()) {
    const file = join(debs, name);
    const control = await runTool("dpkg-deb", ["-f", file]);
    const field = (key: string): string => new RegExp(`^${key}: (.*)$`, "m").exec(control)?.[1] ?? "";
    const parts = join(debs, `${name}.control`);
    await runTool("dpkg-deb", ["-e", file, parts]);
    // Library packages that can be there for several architectures are listed with theirs.
    const database = `var/lib/dpkg/info/${field("Package")}${field("Multi-Arch") === "same" ? `:${field("Architecture")}` : ""}`;
    for (const part of ["conffiles", "preinst", "postinst", "prerm", "postrm", "triggers", "shlibs"]) {
      const content = await readFile(join(parts, part)).catch(() => null);
      if (content !== null) await put(`${database}.${part}`, content, /^p(re|ost)/.test(part) ? 0o755 : 0o644);
    }
    const sums = await readFile(join(parts, "md5sums"), "utf8").catch(() => "");
    await put(`${database}.md5sums`, sums.split("\n").filter((line) => line !== "" && isThere(line.slice(34))).map((line) => `${line}\n`).join("")); // biome-ignore format: one thought
    await rm(parts, { recursive: true });
    // "drwxr-xr-x root/root 0 2023-01-01 00:00 ./usr/" -> "/usr"
    const contents = await runTool("dpkg-deb", ["-c", file]);
    const paths = contents.split("\n").flatMap((line) => {
      const found = /^\S+\s+\S+\s+\d+\s+\S+\s+\S+\s+\.(\/.*?)\/?(?: -> .*| link to .*)?$/.exec(line)?.[1];
      if (found === undefined || !isThere(found)) return [];
      return [found === "/" || found === "" ? "/." : found];
    });
    await put(`${database}.list`, `${paths.join("\n")}\n`);
    const [first, ...rest] = control.trimEnd().split("\n");
    paragraphs.push([first, "Status: install ok installed", ...rest].join("\n"));
  }
  await put("var/lib/dpkg/status", `${paragraphs.join("\n\n")}\n`);
  await put("var/lib/dpkg/available", "");
  await put("var/lib/dpkg/arch", "i386\n");
  // The form of file names in this directory.
  await put("var/lib/dpkg/info/format", "1\n");
}
