// Child process: Debian's disk on QEMU; writes go to a temporary file.

import { spawn } from "node:child_process";
import { diskJob, passingOn } from "./disk-child.ts";

const job = diskJob();
const machine = ["-machine", "pc", "-accel", "tcg", "-m", `${job.memoryMiB}`, "-display", "none", "-nic", "none", "-no-reboot"];
const boot = ["-kernel", job.kernel, "-initrd", job.initrd, "-append", job.commandLine];
const disk = ["-drive", `file=${job.image},format=raw,snapshot=on,if=${job.bus}`];
const child = spawn("qemu-system-i386", [...machine, ...boot, ...disk, "-monitor", "none", "-serial", "stdio"], {
  stdio: ["pipe", "pipe", "inherit"],
});
const end = (): void => void child.kill("SIGKILL");
child.stdout.on("data", passingOn(job, end));
child.on("exit", (code) => process.exit(code ?? 0));
setTimeout(end, job.seconds * 1000);
