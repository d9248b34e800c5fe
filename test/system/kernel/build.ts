/**
 * Builds the system test kernel and captures what Bochs makes of it: `node test/system/kernel/build.ts` writes kernel.elf; with `--bochs` also
 * bochs.txt.gz, the expected report. Needs `gcc -m32` (Debian: gcc-multilib) and, for the capture, bochs, bochs-term, bochsbios and vgabios; BOCHS_ROOT
 * names the folder they were unpacked to if they are not installed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const directory = dirname(fileURLToPath(import.meta.url));
/** The committed Multiboot image. */
export const kernelImage = join(directory, "kernel.elf");
/** The committed report of Bochs 2.7, cpu model p4_willamette. */
export const bochsReport = join(directory, "bochs.txt.gz");

const flags = [
  "-m32",
  "-Os",
  "-ffreestanding",
  "-fno-pic",
  "-fno-pie",
  "-fno-stack-protector",
  "-fno-asynchronous-unwind-tables",
  "-fcf-protection=none",
  "-fno-delete-null-pointer-checks",
  "-Wno-array-bounds",
  "-mno-sse",
  "-nostdlib",
  "-static",
  "-s",
  `-Wl,-T,${join(directory, "kernel.ld")}`,
  "-Wl,--build-id=none",
  "-Wl,-z,max-page-size=4096",
  "-Wl,-z,noexecstack",
  "-Wl,--no-warn-rwx-segments",
];
const sources = ["start.S", "kernel.c", "segments.c", "transfers.c", "others.c"];

function build(output: string): void {
  execFileSync("gcc", [...flags, "-o", output, ...sources.map((name) => join(directory, name))], { stdio: "inherit" });
}

/** A bootable floppy with the kernel behind the boot sector. */
function floppy(image: string, work: string): string {
  const flat = join(work, "kernel.bin");
  execFileSync("objcopy", ["-O", "binary", image, flat]);
  const sectors = Math.ceil(readFileSync(flat).length / 512);
  const entry = readFileSync(image).readUInt32LE(24);
  execFileSync("as", [
    "--32",
    "--defsym",
    `SECTORS=${sectors}`,
    "--defsym",
    `ENTRY=${entry}`,
    "-o",
    join(work, "boot.o"),
    join(directory, "floppy.S"),
  ]);
  execFileSync("ld", ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", join(work, "boot.bin"), join(work, "boot.o")]);
  const disk = Buffer.alloc(1474560);
  readFileSync(join(work, "boot.bin")).copy(disk);
  readFileSync(flat).copy(disk, 512);
  const path = join(work, "floppy.img");
  writeFileSync(path, disk);
  return path;
}

function runInBochs(image: string, work: string): string {
  const root = process.env.BOCHS_ROOT ?? "";
  const report = join(work, "report.txt");
  const configuration = [
    "megs: 32",
    `romimage: file=${root}/usr/share/bochs/BIOS-bochs-latest`,
    `vgaromimage: file=${root}/usr/share/vgabios/vgabios.bin`,
    `floppya: 1_44=${floppy(image, work)}, status=inserted`,
    "boot: floppy",
    "cpu: model=p4_willamette, ips=4000000, reset_on_triple_fault=0",
    "clock: sync=none",
    `com1: enabled=1, mode=file, dev=${report}`,
    `log: ${join(work, "log.txt")}`,
    "panic: action=fatal",
    "error: action=ignore",
    "display_library: term",
    "speaker: enabled=0",
  ];
  writeFileSync(join(work, "rc"), `${configuration.join("\n")}\n`);
  writeFileSync(join(work, "commands"), "c\nq\n");
  const library = `${root}/usr/lib/x86_64-linux-gnu`;
  const environment = { ...process.env, TERM: "xterm", BXSHARE: `${root}/usr/share/bochs`, LTDL_LIBRARY_PATH: `${library}/bochs/plugins` };
  if (root !== "") Object.assign(environment, { LD_LIBRARY_PATH: library });
  // It wants a terminal. The kernel ends it by the shutdown port, which Bochs calls a fatal error.
  const command = `${root}/usr/bin/bochs-bin -q -f ${join(work, "rc")} -rc ${join(work, "commands")}`;
  spawnSync("script", ["-qc", command, "/dev/null"], { env: environment, stdio: "ignore", timeout: 300_000 });
  return readFileSync(report, "latin1");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const work = mkdtempSync(join(tmpdir(), "xlat86-system-"));
  try {
    const image = join(work, "kernel.elf");
    build(image);
    if (process.argv.includes("--bochs")) {
      const lines = runInBochs(image, work).split("\n");
      // The end of the last line, "END", may stay in the UART.
      if (!lines.at(-1)?.startsWith("E")) throw new Error(`Bochs stopped early, after ${lines.length} lines: ${lines.at(-2)}`);
      writeFileSync(bochsReport, gzipSync(lines.slice(0, -1).join("\n"), { level: 9 }));
    }
    copyFileSync(image, kernelImage);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
