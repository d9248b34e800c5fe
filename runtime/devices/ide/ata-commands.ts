/** The commands of a hard disk (ATA/ATAPI-6, clause 8): a table from code to method. */
import type { AtaDisk } from "./ata-disk.ts";
import { command } from "./registers.ts";

type Method = (disk: AtaDisk) => void;

/** What each command code does; a code that is not here is aborted. */
export const diskCommands: Readonly<Record<number, Method>> = commandTable();

function commandTable(): Record<number, Method> {
  const table: Record<number, Method> = {};
  const rows: [codes: number[], method: Method][] = [
    [[command.readSectors, command.readSectorsNoRetry], (disk) => disk.moveByHost(false, 28, true)],
    [[command.readSectorsExt], (disk) => disk.moveByHost(false, 48, true)],
    [[command.readMultiple], (disk) => disk.moveByHost(false, 28, false)],
    [[command.readMultipleExt], (disk) => disk.moveByHost(false, 48, false)],
    [[command.readDma, command.readDmaNoRetry], (disk) => disk.moveByDma(false, 28)],
    [[command.readDmaExt], (disk) => disk.moveByDma(false, 48)],
    [[command.writeSectors, command.writeSectorsNoRetry], (disk) => disk.moveByHost(true, 28, true)],
    [[command.writeSectorsExt], (disk) => disk.moveByHost(true, 48, true)],
    [[command.writeMultiple], (disk) => disk.moveByHost(true, 28, false)],
    [[command.writeMultipleExt], (disk) => disk.moveByHost(true, 48, false)],
    [[command.writeDma, command.writeDmaNoRetry], (disk) => disk.moveByDma(true, 28)],
    [[command.writeDmaExt], (disk) => disk.moveByDma(true, 48)],
    [[command.readVerify, command.readVerifyNoRetry], (disk) => disk.verify(28)],
    [[command.readVerifyExt], (disk) => disk.verify(48)],
    [[command.seek], (disk) => disk.verify(28, 1)],
    [[command.identify], (disk) => disk.identify()],
    [[command.flush, command.flushExt], (disk) => disk.flush()],
    [[command.setMultiple], (disk) => disk.setMultiple()],
    [[command.initializeParameters], (disk) => disk.initializeParameters()],
    [[command.setFeatures], (disk) => disk.setFeatures()],
    [[command.idle, command.idleOld, command.idleImmediate, command.idleImmediateOld], (disk) => disk.setPower(false)],
    [[command.standby, command.standbyOld, command.standbyImmediate, command.standbyImmediateOld], (disk) => disk.setPower(true)],
    [[command.sleep, command.sleepOld], (disk) => disk.setPower(true)],
    [[command.checkPower, command.checkPowerOld], (disk) => disk.checkPower()],
    [[command.readNativeMax], (disk) => disk.readNativeMax(28)],
    [[command.readNativeMaxExt], (disk) => disk.readNativeMax(48)],
    // Codes 10h to 1Fh are all RECALIBRATE (ATA-1).
    [Array.from({ length: 16 }, (_, i) => command.recalibrate + i), (disk) => disk.recalibrate()],
  ];
  for (const [codes, method] of rows) for (const code of codes) table[code] = method;
  return table;
}
